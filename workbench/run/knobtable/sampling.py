"""How the groups are sampled."""

from dataclasses import dataclass

from workbench.run.knobspec import knob


@dataclass(frozen=True, kw_only=True)
class SamplingKnobs:
    """The knobs that the next sampling is the first to use."""

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
    top_p: float = knob(
        1.0,
        kind="float",
        symbol="top-p",
        low=0.01,
        high=1.0,
        slider=(0.1, 1.0, 0.05),
        takes_effect="sampling",
        label=("nucleus", "核采样"),
        help=(
            "Samples among the likeliest tokens whose probabilities add up to this. 1: among all. Scoring always uses "
            "all tokens.",
            "只在累计概率达到此值的最可能词元中采样。1 表示全部。打分时总用全部词元。",
        ),
    )
    top_k: int = knob(
        0,
        kind="int",
        symbol="top-k",
        low=0,
        high=1000000,
        slider=(0, 100, 1),
        takes_effect="sampling",
        label=("likeliest only", "最可能的 k 个"),
        help=(
            "Samples among this many likeliest tokens. 0: among all. Scoring always uses all tokens.",
            "只在最可能的若干词元中采样。0 表示全部。打分时总用全部词元。",
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
    max_num_gen_batches: int = knob(
        1,
        kind="int",
        symbol="×",
        low=1,
        high=20,
        slider=(1, 8, 1),
        takes_effect="sampling",
        label=("dynamic sampling", "动态采样"),
        help=(
            "Dead groups are sampled again, with new prompts, until none is left or this many rounds are over (DAPO). "
            "1: off.",
            "死组换新题重新采样，直到没有死组或达到此轮数（DAPO）。1 表示关闭。",
        ),
    )
