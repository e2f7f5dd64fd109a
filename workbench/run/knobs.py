"""The knobs: what a person may turn while a run goes on, each with its range, symbol and help beside it.

The slider on the page, the `--set` flag and the README's table are made from these fields.
"""

from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from threading import Lock
from typing import Any

from workbench.errors import KnobError
from workbench.run.knobspec import KnobSpec


def knob(default: Any, **spec: Any) -> Any:
    return field(default=default, metadata={"spec": spec})


@dataclass(frozen=True, kw_only=True)
class Knobs:
    """One consistent setting of all knobs. A step takes one at its start and uses no other. Names are TRL's.

    Raises KnobError, naming knob, value and range, when a value is not allowed.
    """

    beta: float = knob(
        0.0,
        kind="float",
        symbol="β",
        low=0.0,
        high=10.0,
        slider=(0.0, 0.5, 0.01),
        takes_effect="update",
        label=("KL weight", "KL 权重"),
        help=(
            "Weight of the KL penalty that pulls the policy back to the reference. 0: no pull.",
            "KL 惩罚的权重，把策略拉回参考策略。0 表示不拉。",
        ),
    )
    epsilon: float = knob(
        0.2,
        kind="float",
        symbol="ε",
        low=0.0,
        high=1.0,
        slider=(0.0, 0.5, 0.01),
        takes_effect="update",
        label=("clip range, low side", "裁剪范围（下界）"),
        help=(
            "Tokens of bad completions stop being pushed down once their ratio falls below 1 − ε; "
            "without ε high, tokens of good ones stop being pushed up above 1 + ε.",
            "坏回答的词元，概率比低于 1 − ε 后不再被压低；未设 ε 上界时，好回答的词元高于 1 + ε 后不再被推高。",
        ),
    )
    epsilon_high: float | None = knob(
        None,
        kind="float",
        symbol="ε high",
        low=0.0,
        high=10.0,
        slider=(0.0, 0.5, 0.01),
        optional=True,
        takes_effect="update",
        label=("clip range, high side", "裁剪范围（上界）"),
        help=(
            "Upper clip bound 1 + ε high, if it should differ from the lower one (DAPO: 0.28). None: the same ε.",
            "上界 1 + ε high，可与下界不同（DAPO 取 0.28）。不设则与 ε 相同。",
        ),
    )
    delta: float | None = knob(
        None,
        kind="float",
        symbol="δ",
        low=1.0,
        high=100.0,
        slider=(1.0, 10.0, 0.1),
        optional=True,
        takes_effect="update",
        label=("ratio cap", "概率比上限"),
        help=(
            "Two-sided clipping: caps the ratio itself, which bounds the push on bad completions whose ratio exploded. "
            "Use a value above 1 + ε high. None: off.",
            "双侧裁剪：给概率比本身封顶，限制坏回答中比值暴涨的词元。应大于 1 + ε 上界。不设则关闭。",
        ),
    )
    num_generations: int = knob(
        8,
        kind="int",
        symbol="G",
        low=2,
        high=256,
        slider=(2, 32, 1),
        takes_effect="sampling",
        label=("group size", "组大小"),
        help=(
            "Completions sampled for each prompt. Their mean reward is the baseline; small groups are often dead.",
            "每道题采样的回答数。组内平均奖励就是基线；组太小时常成为死组。",
        ),
    )
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
            "AdamW's step size for the LoRA weights. The bundled tiny model likes 1e-3; a 0.5B model 1e-5 to 1e-4.",
            "LoRA 权重的 AdamW 步长。自带的小模型用 1e-3 左右；0.5B 模型用 1e-5 到 1e-4。",
        ),
    )
    temperature: float = knob(
        1.0,
        kind="float",
        symbol="T",
        low=0.05,
        high=5.0,
        slider=(0.1, 2.0, 0.05),
        takes_effect="sampling",
        label=("temperature", "采样温度"),
        help=(
            "Divides the logits wherever they are sampled or scored. Higher: more varied completions.",
            "采样与打分时都用它去除 logits。越高，回答越多样。",
        ),
    )
    loss_type: str = knob(
        "grpo",
        kind="choice",
        symbol="Σ",
        choices=("grpo", "bnpo", "dr_grpo", "dapo"),
        takes_effect="update",
        label=("averaging", "平均方式"),
        help=(
            "How token losses are averaged: grpo over each completion's own length, dapo and bnpo over all tokens of "
            "the step (here they are the same: a step is one batch), dr_grpo over the fixed maximal length.",
            "词元损失的平均方式：grpo 按各回答自身长度；dapo 与 bnpo 按本步全部词元数（此处一步即一批，两者相同）；"
            "dr_grpo 按固定最大长度。",
        ),
    )
    scale_rewards: str = knob(
        "group",
        kind="choice",
        symbol="A",
        choices=("group", "batch", "none"),
        takes_effect="update",
        label=("advantage", "优势"),
        help=(
            "What the centred reward is divided by: the group's standard deviation (z-score), the batch's, "
            "or nothing (Dr. GRPO).",
            "中心化后的奖励除以什么：组标准差（z 分数）、批标准差，或不除（Dr. GRPO）。",
        ),
    )
    importance_sampling_level: str = knob(
        "token",
        kind="choice",
        symbol="IS",
        choices=("token", "sequence"),
        takes_effect="update",
        label=("ratio level", "概率比粒度"),
        help=(
            "One probability ratio per token, or one per completion: its length-normalised product (GSPO).",
            "每个词元一个概率比，或每个回答一个：按长度归一的连乘（GSPO）。",
        ),
    )
    kl_estimator: str = knob(
        "k3",
        kind="choice",
        symbol="KL",
        choices=("k1", "k2", "k3"),
        takes_effect="update",
        label=("estimator", "估计"),
        help=(
            "Per-token estimate of KL(π‖π_ref) used in the loss: k1 = −d, k2 = d²/2, k3 = eᵈ − d − 1, "
            "d = log π_ref − log π. As a loss, k1 pulls nowhere on average.",
            "损失里逐词元的 KL(π‖π_ref) 估计：k1 = −d，k2 = d²/2，k3 = eᵈ − d − 1，d = log π_ref − log π。"
            "作为损失，k1 平均不产生拉力。",
        ),
    )
    max_completion_length: int = knob(
        64,
        kind="int",
        symbol="L",
        low=1,
        high=8192,
        slider=(8, 512, 8),
        takes_effect="sampling",
        label=("longest completion", "最长回答"),
        help=(
            "Sampling stops after this many tokens; a completion without an end is cut off there.",
            "采样到此词元数即止；没有结束符的回答在此被截断。",
        ),
    )

    def __post_init__(self) -> None:
        for spec in knob_specs().values():
            object.__setattr__(self, spec.name, spec.check(getattr(self, spec.name)))

    def changed(self, changes: Mapping[str, Any]) -> "Knobs":
        """Return these knobs with `changes` merged in; raise KnobError for an unknown name or a value out of range."""
        for name in changes:
            knob_spec(name)
        return replace(self, **changes)


def knob_specs() -> dict[str, KnobSpec]:
    """Return every knob's specification by name, in the order of the fields."""
    return _SPECS


def knob_spec(name: str) -> KnobSpec:
    """Return one knob's specification; raise KnobError, listing the names, if there is none."""
    if name not in _SPECS:
        raise KnobError(f"unknown knob {name!r}: the knobs are {', '.join(_SPECS)}")
    return _SPECS[name]


def knob_differences(old: Knobs, new: Knobs) -> dict[str, tuple[Any, Any]]:
    """Return `{name: (old value, new value)}` for the knobs that differ."""
    before, after = asdict(old), asdict(new)
    return {name: (before[name], after[name]) for name in before if before[name] != after[name]}


class KnobBoard:
    """Where any thread proposes knob changes and the engine takes one consistent setting at the start of a step."""

    def __init__(self, knobs: Knobs) -> None:
        self._lock = Lock()  # guards _proposed and _taken: read-modify-write from many web threads and the engine
        self._proposed = knobs
        self._taken = knobs

    def propose(self, **changes: Any) -> Knobs:
        """Merge `changes` into what the next step will take, all or nothing; return the merged knobs."""
        with self._lock:
            self._proposed = self._proposed.changed(changes)
            return self._proposed

    def take(self) -> Knobs:
        """Return the knobs for a step that starts now. The engine calls this once a step."""
        with self._lock:
            self._taken = self._proposed
            return self._taken

    def read(self) -> tuple[Knobs, Knobs]:
        """Return the knobs in use and those that the next step will take."""
        with self._lock:
            return self._taken, self._proposed


def _read_specs() -> dict[str, KnobSpec]:
    return {
        f.name: KnobSpec(name=f.name, default=None if f.default is MISSING else f.default, **f.metadata["spec"])
        for f in fields(Knobs)
    }


_SPECS = _read_specs()
