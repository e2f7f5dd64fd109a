"""The shapes of the losses that do not clip."""

from dataclasses import dataclass

from workbench.run.knobspec import knob


@dataclass(frozen=True, kw_only=True)
class SoftLossKnobs:
    """The knobs of sapo and vespo."""

    sapo_temperature_pos: float = knob(
        1.0,
        kind="float",
        symbol="τ+",
        low=0.01,
        high=100.0,
        slider=(0.1, 10.0, 0.05),
        scale="log",
        used_when=({"loss_type": ("sapo",)},),
        takes_effect="update",
        label=("sapo, A > 0", "sapo，A > 0"),
        help=(
            "For sapo: how quickly the gradient of good completions fades as the ratio leaves 1.",
            "用于 sapo：概率比离开 1 时，好回答的梯度衰减多快。",
        ),
    )
    sapo_temperature_neg: float = knob(
        1.05,
        kind="float",
        symbol="τ−",
        low=0.01,
        high=100.0,
        slider=(0.1, 10.0, 0.05),
        scale="log",
        used_when=({"loss_type": ("sapo",)},),
        takes_effect="update",
        label=("sapo, A ≤ 0", "sapo，A ≤ 0"),
        help=(
            "For sapo: the same for bad completions; a little larger, so that they fade sooner.",
            "用于 sapo：坏回答的同一参数；略大，衰减更快。",
        ),
    )
    vespo_k_pos: float = knob(
        2.0,
        kind="float",
        symbol="k+",
        low=0.0,
        high=100.0,
        slider=(0.0, 10.0, 0.1),
        used_when=({"loss_type": ("vespo",)},),
        takes_effect="update",
        label=("vespo power, A ≥ 0", "vespo 幂，A ≥ 0"),
        help=(
            "For vespo: good completions weigh w^k · e^(λ(1 − w)), w their ratio as a whole; this is k.",
            "用于 vespo：好回答的权重为 w^k · e^(λ(1 − w))，w 为整条序列的概率比；此为 k。",
        ),
    )
    vespo_lambda_pos: float = knob(
        3.0,
        kind="float",
        symbol="λ+",
        low=0.0,
        high=100.0,
        slider=(0.0, 10.0, 0.1),
        used_when=({"loss_type": ("vespo",)},),
        takes_effect="update",
        label=("vespo decay, A ≥ 0", "vespo 衰减，A ≥ 0"),
        help=(
            "For vespo: λ of good completions.",
            "用于 vespo：好回答的 λ。",
        ),
    )
    vespo_k_neg: float = knob(
        3.0,
        kind="float",
        symbol="k−",
        low=0.0,
        high=100.0,
        slider=(0.0, 10.0, 0.1),
        used_when=({"loss_type": ("vespo",)},),
        takes_effect="update",
        label=("vespo power, A < 0", "vespo 幂，A < 0"),
        help=(
            "For vespo: k of bad completions.",
            "用于 vespo：坏回答的 k。",
        ),
    )
    vespo_lambda_neg: float = knob(
        2.0,
        kind="float",
        symbol="λ−",
        low=0.0,
        high=100.0,
        slider=(0.0, 10.0, 0.1),
        used_when=({"loss_type": ("vespo",)},),
        takes_effect="update",
        label=("vespo decay, A < 0", "vespo 衰减，A < 0"),
        help=(
            "For vespo: λ of bad completions.",
            "用于 vespo：坏回答的 λ。",
        ),
    )
