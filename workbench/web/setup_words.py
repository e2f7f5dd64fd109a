"""The words of the set-up form in English and Chinese."""

from collections.abc import Mapping

# section: its title and what it is about
SECTIONS: Mapping[str, tuple[str, str, str, str]] = {
    "start": ("Start from", "起点", "Fills in the form, knobs included.", "填好整张表单，包括参数。"),
    "method": ("Method", "方法", "What is trained, and how.", "训练什么、怎样训练。"),
    "prompts": ("Prompts", "题目", "What the policy is asked.", "问策略什么。"),
    "reward": ("Reward", "奖励", "What counts as better.", "什么算更好。"),
    "reference": ("Reference", "参考策略", "What the KL pulls back to.", "KL 把策略拉回到哪里。"),
    "knobs": (
        "Knobs",
        "参数",
        "Step 1 uses these. All can be turned during the run.",
        "第 1 步就用这些值。训练中都可以再调。",
    ),
    "model": ("Model and sizes", "模型与规模", "", ""),
    "speed": (
        "Fast paths",
        "快速路径",
        "All are on. They give the same numbers in less time; leave some out to compare.",
        "全部开启。数值相同、用时更少；可关掉几条来比较。",
    ),
    "bug": (
        "Break it on purpose",
        "故意放进一个错误",
        "A known mistake, built in to see its symptom. The run is labelled with it for good.",
        "放进一个已知的错误，看它的症状。这次训练会一直带着标记。",
    ),
}
# field: label en, label zh, help en, help zh
FIELDS: Mapping[str, tuple[str, str, str, str]] = {
    "preset_group": ("Kind", "类别", "", ""),
    "preset": ("Preset", "预设", "", ""),
    "method": ("Method", "方法", "", ""),
    "gamma": ("Discount γ", "折扣 γ", "1: later rewards count in full.", "1：之后的奖励不打折。"),
    "gae_lambda": ("GAE λ", "GAE λ", "1: returns alone; 0: the critic alone.", "1：只看回报；0：只看评论家。"),
    "critic_learning_rate": ("Critic's learning rate", "评论家学习率", "", ""),
    "cliprange_value": ("Value clip", "价值裁剪", "How far a value may move.", "价值一步能移动多远。"),
    "task": ("Task", "任务", "Built-in prompts and rewards.", "自带的题目和奖励。"),
    "dataset": (
        "Prompts from a dataset",
        "从数据集取题",
        "Optional: a .jsonl, .csv or .parquet file, or a hub id.",
        "可不填：.jsonl、.csv、.parquet 文件或 hub id。",
    ),
    "prompt_column": ("Prompt column", "题目所在列", "A string or messages.", "字符串或消息列表。"),
    "reward_funcs": (
        "Reward functions",
        "奖励函数",
        "Optional: names, file.py:function or a reward model, comma-separated.",
        "可不填：名字、file.py:function 或奖励模型，逗号分隔。",
    ),
    "reward_weights": (
        "Reward weights",
        "奖励权重",
        "Optional: one for each, comma-separated.",
        "可不填：每个函数一个，逗号分隔。",
    ),
    "step_rewards": (
        "Step rewards",
        "步骤奖励",
        "Optional, for process supervision: file.py:function.",
        "可不填，用于过程监督：file.py:function。",
    ),
    "learn_reward": (
        "Learn the reward",
        "学习奖励",
        "Train a reward model on the policy's ranked samples, and the policy against it; the true reward is shown.",
        "用策略自己的排序样本训练奖励模型，再用它训练策略；真实奖励仍会画出。",
    ),
    "steps_per_round": ("Steps per round", "每轮步数", "Then the reward is learned anew.", "之后重新学习奖励。"),
    "refresh_reward_model": (
        "Refresh every round",
        "每轮更新",
        "Off: learned once, then fixed.",
        "关：只学一次，之后固定。",
    ),
    "reward_model_replay": ("Replay share", "回放比例", "Pairs from earlier rounds.", "来自前几轮的回答对。"),
    "reward_model_steps": ("Its gradient steps", "其梯度步数", "In each training.", "每次训练。"),
    "reward_model_learning_rate": ("Its learning rate", "其学习率", "", ""),
    "sync_ref_model": (
        "Reset the reference",
        "重置参考策略",
        "From time to time the policy becomes its own reference.",
        "每隔一段时间，参考策略换成当前策略。",
    ),
    "ref_model_sync_steps": ("Steps between resets", "重置间隔步数", "", ""),
    "other_knobs": (
        "Other knobs",
        "其余参数",
        "name=value, comma-separated; all others are at their defaults.",
        "name=value，逗号分隔；没有写的都用默认值。",
    ),
    "model": ("Model", "模型", "tiny, a folder, or a hub id (org/name).", "tiny（自带）、文件夹或 hub id。"),
    "prompts_per_step": ("Prompts per step", "每步题数", "Each gets G completions.", "每题采样 G 个回答。"),
    "max_steps": ("Steps", "步数", "The run ends after them.", "到此结束。"),
    "seed": ("Seed", "随机种子", "Same seed, same run.", "相同种子，相同过程。"),
    "lora_r": ("LoRA rank", "LoRA 秩", "Size of the adapter.", "适配器的大小。"),
    "dtype": ("Precision", "精度", "auto: bfloat16 on a GPU.", "auto：GPU 用 bfloat16。"),
    "plain_paths": (
        "Leave out",
        "关掉",
        "The Time row of the Curves tab explains each.",
        "每条的说明见曲线页的“用时”。",
    ),
    "bug": ("Mistake", "错误", "", ""),
}
PRESET_GROUPS: Mapping[str, tuple[str, str]] = {
    "tasks": ("Tasks", "任务"),
    "algorithms": ("Variants of GRPO", "GRPO 的变体"),
    "neighbours": ("Neighbours", "相邻方法"),
    "mistakes": ("Mistakes", "错误"),
}
PHRASES: Mapping[str, tuple[str, str]] = {
    "button": ("Train with these settings", "按此设置训练"),
    "none": ("none", "无"),
    "all": ("all of them", "全部"),
    "sets": ("Sets {knobs}.", "设定 {knobs}。"),
    "source": ("Completions", "回答来源"),
    "reward": ("Reward", "奖励"),
    "coefficient": ("Gradient coefficient", "梯度系数"),
    "symptom": ("Symptom", "症状"),
}


def phrase(key: str, lang: str, **values: object) -> str:
    """Return a phrase, with its blanks filled.

    >>> phrase("sets", "en", knobs="β 0.1")
    'Sets β 0.1.'
    """
    return PHRASES[key][lang == "zh"].format(**values)
