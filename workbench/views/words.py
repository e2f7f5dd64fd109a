"""The words of the pictures in English and Chinese."""

from collections.abc import Mapping

LANGUAGES = ("en", "zh")

WORDS: Mapping[str, tuple[str, str]] = {
    "advantage": ("advantage", "优势 advantage"),
    "all_one": ("Every ratio is exactly 1: first update on these samples", "概率比都恰好为 1：这批样本的第一次更新"),
    "all_one_mu": (
        "Every ratio is exactly 1: one update per batch (μ = 1)",
        "概率比都恰好为 1：每批只更新一次（μ = 1）",
    ),
    "at_cap": ("at the cap, still learning", "已封顶，仍在学习"),
    "band": ("clip band", "裁剪带"),
    "cap_title": ("Capped gradient weight", "封顶的梯度权重"),
    "clip_title": ("Clipped objective", "裁剪目标 clipped objective"),
    "completion": ("completion", "回答"),
    "count": ("tokens (square-root scale)", "词元数（平方根刻度）"),
    "count_completions": ("completions (square-root scale)", "回答数（平方根刻度）"),
    "cut_off": ("cut off", "截断"),
    "dead_group": (
        "{n} equal rewards, so A = 0: no gradient from them",
        "{n} 个奖励相同，A = 0：奖励不给梯度",
    ),
    "gate_note": ("gate closing, never shut", "软门渐合，从不全关"),
    "gate_title": ("Soft-gated objective", "软门目标"),
    "cap_note": ("weight r up to the cap, then held", "未达上限时权重为 r，超过后不变"),
    "exact_kl": ("exact", "精确"),
    "flat": ("gradient = 0", "梯度 = 0"),
    "inner_update": ("inner update {k} of {n}", "内层更新 {k} / {n}"),
    "kl_axis": ("nats", "nats"),
    "kl_mean": ("mean {value}", "均值 {value}"),
    "kl_title": ("KL to the reference, token by token", "与参考策略的 KL，逐词元"),
    "learning": ("learning", "在学习"),
    "learned": ("learned", "学到的"),
    "length": ("tokens", "词元数"),
    "less_likely": ("less likely", "更不可能"),
    "live": ("inside the band", "带内"),
    "memory_note": ("what training holds, by part", "训练所占用的，按部分"),
    "memory_title": ("Memory", "内存 memory"),
    "masked": ("left out by a mask", "被屏蔽，不计入"),
    "mean_std": ("mean {mean}, std {std}", "均值 {mean}，标准差 {std}"),
    "more_likely": ("more likely", "更可能"),
    "negative": ("A < 0, push down", "A < 0，压低"),
    "no_part": ("no {part}", "无{part}"),
    "no_reference": ("The reference was not scored in this step", "这一步没有给参考策略打分"),
    "no_reward": ("No reward function applied to these completions", "没有适用于这些回答的奖励函数"),
    "no_steps": ("No steps yet: train, and the curves appear here", "还没有步骤：开始训练后，曲线会出现在这里"),
    "no_tokens": ("The completions are empty: no token to show", "回答都是空的：没有词元可画"),
    "no_ratio": (
        "{method} has no ratio to an old policy, so it has no curve",
        "{method} 没有与旧策略的概率比，也就没有曲线",
    ),
    "not_a_number": ("{n} tokens without a ratio", "{n} 个词元没有概率比"),
    "objective_axis": ("L / |A|", "L / |A|"),
    "off_scale": ("off scale", "超出范围"),
    "own_scales": ("each from its lowest to its highest", "各自从最低到最高"),
    "outside": ("outside band, still learning", "带外，仍在学习"),
    "phi_note": ("far from 1, weight near 0", "远离 1，权重近 0"),
    "phi_title": ("Sequence weight φ", "序列权重 φ"),
    "plain_note": ("weight 1, at every ratio", "任何概率比下，权重都是 1"),
    "plain_title": ("Gradient weight", "梯度权重"),
    "positive": ("A > 0, push up", "A > 0，推高"),
    "ratio_axis": ("probability ratio r = π / π_old (log scale)", "概率比 r = π / π_old（对数刻度）"),
    "ratio_title": ("How far the tokens have moved", "词元移动了多远"),
    "result": ("result", "结果"),
    "reward": ("reward", "奖励 reward"),
    "reward_note": ("dots: steps; line: smoothed; number: last step", "点：各步；线：平滑后；数字：最后一步"),
    "reward_true": ("true reward", "真实奖励"),
    "round": ("round {n}", "第 {n} 轮"),
    "sequence_axis": ("ratio of the completion, s (log scale)", "整个回答的概率比 s（对数刻度）"),
    "same_policy": ("Policy and reference agree on every token", "策略与参考策略在每个词元上都相同"),
    "step": ("step", "步"),
    "summary": (
        "{dead} zero gradient, {out} outside but learning, of {n} tokens",
        "{n} 个词元：{dead} 个零梯度，{out} 个带外但仍在学习",
    ),
    "summary_cap": ("{out} of {n} tokens at the cap, none lost", "{n} 个词元：{out} 个封顶，无一丢失"),
    "summary_completions": ("{dead} of {n} completions with zero gradient", "{n} 个回答：{dead} 个零梯度"),
    "summary_whole": ("{n} completions, none cut", "{n} 个回答，无一被裁"),
    "summary_plain": ("{n} tokens, none cut", "{n} 个词元，无一被裁"),
    "target": ("target", "目标"),
    "this_run": ("{method}, this run", "{method}，本次"),
    "timing_factor": ("{factor}× its limit of {limit} s", "极限 {limit} 秒的 {factor} 倍"),
    "timing_limit": ("physical limit", "物理极限"),
    "timing_paths": ("Fast paths: {paths}", "快速路径：{paths}"),
    "timing_plain": ("No fast path was in use.", "没有使用快速路径。"),
    "timing_step": ("step {step}: ", "第 {step} 步："),
    "timing_title": ("Time", "用时 time"),
    "timing_total": ("{seconds} s, {speed} tokens/s", "{seconds} 秒，每秒 {speed} 词元"),
    "timing_unknown": (
        "This recording is older than limits and fast paths: it says nothing of them.",
        "这份录像早于极限与快速路径的记录，无从显示。",
    ),
    "token_axis": ("token", "词元"),
    "weight_axis": ("gradient weight g", "梯度权重 g"),
    "true": ("true", "真实"),
    "zero_gradient": ("zero gradient", "零梯度"),
}

# The bundled reward functions, by what they are called in metrics.
REWARDS: Mapping[str, tuple[str, str]] = {
    "answer": ("answer", "答对"),
    "steps": ("steps", "步骤"),
    "format": ("format", "格式"),
    "exact": ("exact", "全对"),
    "ordered": ("in order", "有序"),
    "value": ("value", "得数"),
    "learned_reward": ("learned", "学得的"),
    "soft_overlong_punishment_reward": ("overlong", "超长惩罚"),
    "repetition_penalty_reward": ("repetition", "重复惩罚"),
    "think_format_reward": ("think format", "思考格式"),
    "accuracy_reward": ("accuracy", "准确"),
    "reasoning_accuracy_reward": ("accuracy", "准确"),
    "cosine_scaled_reward": ("cosine", "余弦"),
}


def reward_title(name: str, lang: str) -> str:
    """Return what a reward function is called where a person reads it; of somebody's own, the name in words.

    >>> reward_title("ordered", "en"), reward_title("ordered", "zh"), reward_title("my_own_reward", "zh")
    ('in order', '有序', 'my own reward')
    """
    return REWARDS[name][lang == "zh"] if name in REWARDS else name.replace("_", " ")


def word(key: str, lang: str, **values: object) -> str:
    """Return a phrase, with its blanks filled; English for any language but "zh".

    >>> word("inner_update", "en", k=2, n=4)
    'inner update 2 of 4'
    """
    english, chinese = WORDS[key]
    return (chinese if lang == "zh" else english).format(**values)
