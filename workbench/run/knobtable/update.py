"""How far one step moves the weights."""

from dataclasses import dataclass

from workbench.run.knobspec import knob


@dataclass(frozen=True, kw_only=True)
class UpdateKnobs:
    """The knobs of the optimizer."""

    num_iterations: int = knob(
        1,
        kind="int",
        symbol="μ",
        low=1,
        high=32,
        slider=(1, 8, 1),
        takes_effect="update",
        label=("inner updates", "内层更新次数"),
        help=(
            "Updates made on the same samples. At 1 every ratio is exactly 1 and the clip never acts.",
            "同一批样本上更新的次数。为 1 时所有概率比恰为 1，裁剪不起作用。",
        ),
    )
    learning_rate: float = knob(
        1e-3,
        kind="float",
        symbol="lr",
        low=0.0,
        high=1.0,
        slider=(1e-5, 1e-2, 1e-5),
        scale="log",
        takes_effect="update",
        label=("learning rate", "学习率"),
        help=(
            "AdamW's step size for the LoRA weights: 2e-4 to 1e-3 for the tiny model, 1e-5 to 1e-4 for one of 0.5B.",
            "LoRA 权重的 AdamW 步长。自带的小模型用 2e-4 到 1e-3；0.5B 模型用 1e-5 到 1e-4。",
        ),
    )
