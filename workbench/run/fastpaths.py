"""The fast paths in words: what the engine does to be quick, each with the same numbers as the plain way.

`RunConfig.plain_paths` leaves them out by name, `RunConfig.uses` tells the engine, and a step's record says which ones
it used. Each has a test that compares it with the plain way.
"""

from collections.abc import Mapping
from dataclasses import dataclass

Words = tuple[str, str]  # English, Chinese
ALL = "all"  # in `plain_paths`: every one of them


@dataclass(frozen=True, kw_only=True)
class FastPath:
    """One way of doing less for the same numbers. `needs` is what must be so for it to be used at all."""

    title: Words
    meaning: Words
    stages: tuple[str, ...]  # those that it makes shorter
    needs: Words


_ALWAYS = ("It applies to every run.", "对每次训练都适用。")
_FLOAT32 = (
    "It needs float32, for in bfloat16 a small B·A would be rounded away in the sum, and no fused experts.",
    "需要 float32（bfloat16 下很小的 B·A 会在相加时被舍入掉），且没有融合的专家层。",
)
_LLAMA = ("It needs a Llama-, Qwen2- or Qwen3-type model.", "需要 Llama、Qwen2 或 Qwen3 类模型。")
FAST_PATHS: Mapping[str, FastPath] = {
    "merged_rollout": FastPath(
        title=("merged adapter", "合并适配器"),
        meaning=(
            "While sampling, the adapter is folded into a copy of the weights, W + s·B·A: fewer operations a token, "
            "and log-probabilities equal to 1e-5 in float32.",
            "采样时把适配器并入权重的副本 W + s·B·A：每个词元的运算更少，float32 下对数概率相差不超过 1e-5。",
        ),
        stages=("sample",),
        needs=_FLOAT32,
    ),
    "shared_prefill": FastPath(
        title=("prompt read once", "题目只读一次"),
        meaning=(
            "While sampling, a prompt is read once and its keys and values are repeated for its G completions, "
            "which changes no number.",
            "采样时每道题只读一次，键和值复制给它的 G 个回答，数值不变。",
        ),
        stages=("sample",),
        needs=_ALWAYS,
    ),
    "row_compaction": FastPath(
        title=("ended rows leave", "结束即离开"),
        meaning=(
            "Completions that have ended leave the batch while the others are sampled on; the others' "
            "log-probabilities stay equal to 1e-5 in float32.",
            "已结束的回答离开批次，其余继续采样；其余的对数概率在 float32 下相差不超过 1e-5。",
        ),
        stages=("sample",),
        needs=(
            "It applies where the batch may change its shape: not while CUDA graphs replay a fixed one.",
            "需要批次形状可以改变：CUDA 图重放固定形状时不用。",
        ),
    ),
    "lean_model": FastPath(
        title=("lean model", "精简前向"),
        meaning=(
            "Sampling, scoring and update run our own forward pass instead of transformers': the same arithmetic in "
            "fewer calls and on the tokens alone, without padding; log-probabilities are equal to 1e-5 in float32.",
            "采样、打分、更新用我们自己的前向计算代替 transformers 的：算术相同、调用更少，只算真正的词元、没有填充；"
            "float32 下对数概率相差不超过 1e-5。",
        ),
        stages=("sample", "score", "update"),
        needs=_LLAMA,
    ),
    "shared_prompt": FastPath(
        title=("shared prompt", "共享题目"),
        meaning=(
            "In scoring and update a prompt is read once for its whole group and the completions' gradients add up "
            "in it; log-probabilities and gradients are equal to 1e-5 in float32.",
            "打分和更新时，每组的题目只读一次，各回答的梯度在其中相加；float32 下对数概率和梯度相差不超过 1e-5。",
        ),
        stages=("score", "update"),
        needs=_LLAMA,
    ),
    "parallel_parts": FastPath(
        title=("parallel parts", "分块并行"),
        meaning=(
            "Sampling by the compiled loop, scoring and update work on parts of the batch at the same time, one thread "
            "each; the parts' gradients are added in a fixed order and are equal to 1e-5 in float32.",
            "编译后的采样、打分和更新把批次分成几块同时计算，每块一个线程；各块的梯度按固定次序相加，"
            "float32 下相差不超过 1e-5。",
        ),
        stages=("sample", "score", "update"),
        needs=(
            "It needs a Llama-, Qwen2- or Qwen3-type model so small that one product is no work for two cores, and a "
            "CPU with cores to spare: a short test when a run begins decides.",
            "需要 Llama、Qwen2 或 Qwen3 类的小模型（单个矩阵乘不值得用两个核），且 CPU 有空闲的核："
            "训练开始时由一次短测试决定。",
        ),
    ),
    "folded_update": FastPath(
        title=("folded update", "合并后更新"),
        meaning=(
            "Scoring and update multiply by W + s·B·A once and send the gradient straight to A and B: one product on "
            "activations instead of three, with gradients equal to 1e-5 in float32.",
            "打分和更新时只乘一次 W + s·B·A，梯度直接传给 A 和 B：激活上的三次乘法变成一次，"
            "float32 下梯度相差不超过 1e-5。",
        ),
        stages=("score", "update"),
        needs=(
            "It needs float32, and a Llama-, Qwen2- or Qwen3-type model or one without fused experts and so small that "
            "operations cost more than arithmetic.",
            "需要 float32，并且是 Llama、Qwen2 或 Qwen3 类模型，或者没有融合专家层且小到调用开销超过算术的模型。",
        ),
    ),
    "no_old_pass": FastPath(
        title=("no old pass", "不算旧概率"),
        meaning=(
            "The first update's own log-probabilities are the old ones, so no pass is spent on them and the first "
            "ratio is exactly 1.",
            "第一次更新自己的对数概率就是旧的，不必多算一遍，首个概率比恰为 1。",
        ),
        stages=("update",),
        needs=(
            "It applies to losses with a ratio to the policy that sampled.",
            "用于含有与采样策略之比的损失。",
        ),
    ),
    "length_sorted": FastPath(
        title=("length-sorted", "按长度排序"),
        meaning=(
            "Micro-batches hold completions of like length, trimmed to their longest; sums are taken in another order, "
            "so gradients are equal to 1e-5 in float32.",
            "微批内的回答长度相近，并裁到其中最长者；求和顺序不同，float32 下梯度相差不超过 1e-5。",
        ),
        stages=("score", "update"),
        needs=(
            "It applies where transformers' forward pass is used: our own has no padding.",
            "用于 transformers 的前向计算：我们自己的没有填充。",
        ),
    ),
    "compiled_decode": FastPath(
        title=("compiled loop", "编译的循环"),
        meaning=(
            "A part of the batch is sampled to its end in one call, compiled by TorchScript: no Python between its "
            "operations, and no part waits for another; log-probabilities are equal to 1e-5 in float32.",
            "批次的每一块由 TorchScript 编译成一次调用，从头采样到尾：运算之间没有 Python，各块也互不等待；"
            "float32 下对数概率相差不超过 1e-5。",
        ),
        stages=("sample",),
        needs=(
            "It needs a CPU, float32, the merged adapter, a Llama-, Qwen2- or Qwen3-type model, and TorchScript, "
            "so a Python before 3.14.",
            "需要 CPU、float32、合并适配器、Llama、Qwen2 或 Qwen3 类模型，以及 TorchScript（Python 须早于 3.14）。",
        ),
    ),
    "compiled_pass": FastPath(
        title=("compiled pass", "编译的前向反向"),
        meaning=(
            "In scoring and update a part of the batch is one call forward and one call backward, compiled by "
            "TorchScript, its gradient written by hand; log-probabilities and gradients are equal to 1e-5 in float32.",
            "打分和更新时，批次的每一块由 TorchScript 编译成前向、反向各一次调用，梯度由手写公式给出；"
            "float32 下对数概率和梯度相差不超过 1e-5。",
        ),
        stages=("score", "update"),
        needs=(
            "It needs a CPU, float32, the folded update, a Llama-, Qwen2- or Qwen3-type model of fewer than 20 million "
            "weights, TorchScript, so a Python before 3.14, and rows whose attention's scores can all be held.",
            "需要 CPU、float32、合并后更新、权重少于 2000 万的 Llama、Qwen2 或 Qwen3 类模型、"
            "TorchScript（Python 须早于 3.14），以及足够短、放得下注意力分数的序列。",
        ),
    ),
    "cuda_graphs": FastPath(
        title=("CUDA graphs", "CUDA 图"),
        meaning=(
            "A decode step is captured once and replayed on the GPU, without the host's cost for each operation; "
            "it computes what the plain step computes.",
            "解码的一步在 GPU 上录制一次、反复重放，省去主机逐个发起运算的开销；所算与普通的一步相同。",
        ),
        stages=("sample",),
        needs=(
            "It needs an NVIDIA GPU and a Llama-, Qwen2- or Qwen3-type model.",
            "需要 NVIDIA GPU 和 Llama、Qwen2 或 Qwen3 类模型。",
        ),
    ),
    "fused_adamw": FastPath(
        title=("fused AdamW", "融合 AdamW"),
        meaning=(
            "The optimizer's step runs as one operation over all adapter weights, equal to the plain one to float32's "
            "rounding.",
            "优化器的一步对全部适配器权重作为一次运算执行，与普通方式只差 float32 的舍入。",
        ),
        stages=("update",),
        needs=_ALWAYS,
    ),
}
