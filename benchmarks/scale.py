"""How a step grows with G, prompts, length and model size, and what a 0.5B model needs: `python -m benchmarks.scale`.

Models have random weights and end no completion early, so a length is a length. Times are medians of few steps after
two to warm up, in one process, in turn. `--plot FILE` also draws sampling against G.
"""

import argparse
import json
import shutil
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from workbench import Knobs, RunConfig, Session
from workbench.engine.lean.head import LOGITS_AT_ONCE
from workbench.engine.scoring import BYTES_IN_A_PASS
from workbench.models.location import model_location
from workbench.views import svg
from workbench.views.theme import THEMES

STEPS, WARM_UP = 5, 2
LIGHT = THEMES["light"]


@dataclass(frozen=True)
class Work:
    """One step's size. `hidden` 128 with 2 layers is the bundled model's shape."""

    num_generations: int = 8
    prompts: int = 8
    length: int = 32
    hidden: int = 128
    layers: int = 2


BASE = Work()
AXES: dict[str, Sequence[Work]] = {
    "G": [replace(BASE, num_generations=g) for g in (2, 4, 8, 16, 32, 64)],
    "prompts": [replace(BASE, prompts=p) for p in (1, 2, 4, 8, 16, 32)],
    "new tokens": [replace(BASE, length=t) for t in (8, 16, 32, 64, 128)],
    "model": [replace(BASE, hidden=h, layers=n) for h, n in ((64, 2), (128, 2), (128, 4), (256, 4), (384, 6))],
}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plot", type=Path, help="write the picture of sampling against G here")
    options = parser.parse_args(arguments)
    print("## Scale: milliseconds a step (8 prompts × G = 8, 32 new tokens, the bundled model's shape, unless said)\n")
    print("| | completions | sample | update | step | sample per completion |")
    print("|---|--:|--:|--:|--:|--:|")
    sampled: list[tuple[int, float]] = []
    for axis, works in AXES.items():
        for work in works:
            timings = step_timings(work)
            rows = work.num_generations * work.prompts
            sample, update, step = (1000 * timings[name] for name in ("sample", "update", "step"))
            cells = f"{rows} | {sample:.0f} | {update:.0f} | {step:.0f} | {sample / rows:.2f}"
            print(f"| {_named(axis, work)} | {cells} |", flush=True)
            if axis == "G":
                sampled.append((work.num_generations, sample))
    print()
    print_memory()
    if options.plot:
        options.plot.write_text(plot(sampled))


def _named(axis: str, work: Work) -> str:
    sizes = {"G": work.num_generations, "prompts": work.prompts, "new tokens": work.length}
    return f"{axis} = {sizes[axis]}" if axis in sizes else f"width {work.hidden}, {work.layers} layers"


def step_timings(work: Work) -> dict[str, float]:
    """Return the median seconds of a step's stages, and of the step, of a model of that size."""
    folder = random_model(work.hidden, work.layers)
    config = RunConfig(
        model=str(folder), prompts_per_step=work.prompts, max_steps=WARM_UP + STEPS, score_reference=False
    )
    knobs = Knobs(
        num_generations=work.num_generations,
        max_completion_length=work.length,
        num_iterations=1,
        learning_rate=1e-6,
        beta=0.0,
    )
    records = list(Session(config, knobs).run())[WARM_UP:]
    shutil.rmtree(folder)
    stages = {name: statistics.median(record.timings[name] for record in records) for name in ("sample", "update")}
    return stages | {"step": statistics.median(sum(record.timings.values()) for record in records)}


def random_model(hidden: int, layers: int) -> Path:
    """Return a folder with a Llama of that size and random weights. Its end token has no logit: nothing ends early."""
    bundled, folder = Path(model_location("tiny")), Path(tempfile.mkdtemp())
    torch.manual_seed(0)
    sizes: dict[str, Any] = json.loads((bundled / "config.json").read_text())
    sizes |= {
        "hidden_size": hidden,
        "intermediate_size": 3 * hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": hidden // 32,
        "num_key_value_heads": hidden // 32,
        "eos_token_id": sizes["vocab_size"],
    }
    LlamaForCausalLM(LlamaConfig(**sizes)).save_pretrained(folder)
    shutil.copy(bundled / "tokenizer.json", folder)
    tokenizer = json.loads((bundled / "tokenizer_config.json").read_text()) | {"eos_token": "<end>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer))
    return folder


def print_memory() -> None:
    print("### Memory of Qwen2.5-0.5B's shape in bfloat16, 64 completions of 512 tokens (computed, not measured)\n")
    print("| what | GiB |")
    print("|---|--:|")
    parts = list(memory_parts(rows=64, length=512))
    for name, size in parts:
        print(f"| {name} | {size / 2**30:.2f} |")
    print(f"| sum, all at once | {sum(size for _, size in parts) / 2**30:.2f} |")
    print(f"| for comparison: the logits [B, T, V] once in float32 | {64 * 512 * 151_936 * 4 / 2**30:.2f} |\n")


def memory_parts(rows: int, length: int, rank: int = 8) -> Iterator[tuple[str, int]]:
    """Yield what a step of that shape holds, in bytes: each part's greatest, though not all are there at once."""
    hidden, layers, heads, kv_heads, width, inner, vocabulary = 896, 24, 14, 2, 64, 4864, 151_936
    in_out = [
        (hidden, (heads + 2 * kv_heads) * width),
        (heads * width, hidden),
        (hidden, 2 * inner),
        (inner, hidden),
    ]
    trunk = layers * sum(i * o for i, o in in_out)
    adapter = layers * rank * (4 * hidden + (2 * heads + 2 * kv_heads) * width + 3 * hidden + 3 * inner)
    yield "base weights", 2 * (trunk + vocabulary * hidden)
    yield "packed copy of the linear layers, for policy and reference at once", 2 * 2 * trunk
    yield "adapter, its gradient and AdamW's two moments, float32", 4 * 4 * adapter
    yield "keys and values while sampling", 2 * rows * length * layers * 2 * kv_heads * width
    yield "kept for the gradient of a pass, at most", BYTES_IN_A_PASS
    yield "logits of a piece: probabilities, their copy and their gradient", 3 * 4 * LOGITS_AT_ONCE


def plot(sampled: Sequence[tuple[int, float]]) -> str:
    """Return the time of sampling against G as an SVG, beside what time in proportion to G would be."""
    width, height, left, bottom, top = 560, 300, 56, 40, 40
    largest = sampled[0][1] * sampled[-1][0] / sampled[0][0]
    ceiling = max(max(time for _, time in sampled) * 1.1, min(largest, 2.2 * sampled[-1][1]))

    def place(number: float, time: float) -> tuple[float, float]:
        across = left + (width - left - 20) * number / sampled[-1][0]
        return across, height - bottom - (height - bottom - top) * min(time, ceiling) / ceiling

    def name(text: str, x: float, y: float, **style: Any) -> str:
        return svg.tag("text", text, x=float(x), y=float(y), **style)

    parts = [name("Sampling one step against G (8 prompts, 32 new tokens, CPU)", left, 20, font_size=13)]
    for tick in svg.round_ticks(0.0, ceiling):
        _, y = place(0, tick)
        parts += [
            svg.line(left, y, width - 20, y, LIGHT.line),
            name(f"{tick:g} ms", left - 6, y + 4, text_anchor="end"),
        ]
    for number, _ in sampled[1:]:
        x, y = place(number, 0)
        parts.append(name(f"G={number}", x, y + 18, text_anchor="middle"))
    slope = sampled[0][1] / sampled[0][0]
    end = min(sampled[-1][0], ceiling / slope)
    parts.append(svg.polyline([place(0, 0), place(end, slope * end)], LIGHT.ink2, stroke_dasharray="5 4"))
    parts.append(name("in proportion to G = 2", *place(end * 0.62, slope * end * 0.8), text_anchor="end"))
    points = [place(number, time) for number, time in sampled]
    parts.append(svg.polyline(points, LIGHT.ink, stroke_width=2))
    parts += [svg.tag("circle", cx=x, cy=y, r=3.5, fill=LIGHT.ink) for x, y in points]
    return svg.document(width, height, parts, LIGHT, "Time of sampling against the group size G")


if __name__ == "__main__":
    main()
