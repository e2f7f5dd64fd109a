"""A group as a static HTML table: every completion's rewards, advantage and tokens, complete without JavaScript.

All styles are inline, because notebooks that are not trusted drop style sheets; with the styles gone too, every number
is still there as text. Whatever a model or a data set wrote is escaped.
"""

from collections.abc import Sequence
from html import escape
from math import isfinite, log

import numpy as np

from workbench.run.completion import CompletionRecord, GroupRecord
from workbench.views.clipplane import inner_update
from workbench.views.figures import theme_of
from workbench.views.group import visible_spans
from workbench.views.objectives import Curve
from workbench.views.theme import FONT, Theme
from workbench.views.words import reward_title, word

MONO = "JetBrains Mono, ui-monospace, Menlo, Consolas, DejaVu Sans Mono, monospace"
STRONGEST = 0.55  # share of the hue in the strongest chip: ink on it stays legible
BAR = 64  # pixels
VISIBLE = str.maketrans({" ": "·", "\n": "⏎", "\t": "⇥"})


def group_html(group: GroupRecord, *, update: int = -1, theme: str = "light", lang: str = "en") -> str:
    """Return the group's completions as a table: result, each reward function's value, advantage, length and tokens.

    Rewards are unweighted, the column "reward" is their weighted sum, and "true reward" what a learned one stands for;
    bars start at zero, a negative one to the left of it. The advantage bar leaves its centre line, 0, to the right or
    the left. Tokens are tinted by their ratio, hatched where the clip made the gradient zero, underlined where the
    ratio is outside the band and they still learn, dashed where a mask left them out. Under process supervision the
    steps follow, each with its reward, whether it is right, and its normalised reward.

    Raises IndexError if there is no such inner update.
    """
    colours, index = theme_of(theme), inner_update(group.completions, update)
    names = list(dict.fromkeys(name for c in group.completions for name in c.rewards))
    truth = [word("reward_true", lang)] if any(c.true_reward is not None for c in group.completions) else []
    heads = ["#", word("result", lang), *(reward_title(name, lang) for name in names), word("reward", lang), *truth]
    heads += [word("advantage", lang), word("length", lang)]
    cells = "".join(
        f"<th style='{_cell(colours)};font-weight:400;color:{colours.ink3}'>{escape(h)}</th>" for h in heads
    )
    rows = "".join(_rows(group, number, names, index, colours, lang) for number in range(len(group.completions)))
    style = f"background:{colours.sheet};color:{colours.ink};font:13px {FONT};padding:12px 16px;overflow-x:auto"
    table = f"<table style='border-collapse:collapse;font-variant-numeric:tabular-nums'><tr>{cells}</tr>{rows}</table>"
    return f"<div style='{style}'>{_head(group, index, colours, lang)}{table}{_legend(colours, lang)}</div>"


def _head(group: GroupRecord, index: int, colours: Theme, lang: str) -> str:
    num_updates = len(group.completions[0].logps_by_update)
    notes = [word("target", lang) + " " + group.target] if group.target is not None else []
    if group.mean is not None:
        std = "–" if group.std is None else f"{group.std:.2f}"
        notes.append(word("mean_std", lang, mean=f"{group.mean:.2f}", std=std))
    if group.is_dead and not any(c.token_advantages.any() for c in group.completions):
        notes.append(word("dead_group", lang, n=len(group.completions)))
    notes.append(word("inner_update", lang, k=index + 1, n=num_updates))
    prompt = f"<b style='font:600 16px {MONO};white-space:pre-wrap'>{escape(group.prompt)}</b>"
    note = f"<span style='color:{colours.ink2}'>{escape(' · '.join(notes))}</span>"
    return f"<div style='margin-bottom:6px'>{prompt} &emsp; {note}</div>"


def _cell(colours: Theme) -> str:
    ground = f"color:{colours.ink};background:{colours.sheet};font:13px {FONT};border:0"
    return f"{ground};padding:2px 22px 2px 0;text-align:left;vertical-align:middle;white-space:nowrap"


def _rows(group: GroupRecord, number: int, names: Sequence[str], index: int, colours: Theme, lang: str) -> str:
    """Return the two rows of a completion: its numbers, and its tokens."""
    c = group.completions[number]
    totals = [each.reward for each in group.completions]
    cells = [str(number + 1), _result(c, lang)]
    for name in names:
        cells.append(_bar(c.rewards.get(name), [each.rewards.get(name) for each in group.completions], colours.s2))
    cells.append(_bar(c.reward, totals, colours.s1))
    truths = [each.true_reward for each in group.completions]
    if any(value is not None for value in truths):
        cells.append(_bar(c.true_reward, truths, colours.ink2))
    cells += [_advantage(c, group, colours), str(len(c.token_ids))]
    numbers = "".join(f"<td style='{_cell(colours)}'>{cell}</td>" for cell in cells)
    tokens = f"<td></td><td colspan='{len(cells) - 1}' style='{_cell(colours)};padding-bottom:7px;white-space:normal'>"
    rule = f"<tr style='border-top:1px solid {colours.line};background:{colours.sheet}'>"
    return (
        f"{rule}{numbers}</tr><tr style='background:{colours.sheet}'>"
        f"{tokens}{token_chips(c, index, colours)}{_steps(c, colours)}</td></tr>"
    )


def _result(c: CompletionRecord, lang: str) -> str:
    if c.is_truncated:
        return word("cut_off", lang)
    mark = {True: " ✓", False: " ✗", None: ""}[c.is_correct]
    return f"<span style='font-family:{MONO}'>{escape(c.answer or '–')}</span>{mark}"


def _bar(value: float | None, others: Sequence[float | None], colour: str) -> str:
    """Return a number beside its bar from zero, on the scale of the whole column; "–" where there is no reward."""
    if value is None or not isfinite(value):
        return "–" if value is None else escape(str(value))
    known = [v for v in others if v is not None and isfinite(v)]
    low, high = min(0.0, *known), max(0.0, *known)
    unit = BAR / ((high - low) or 1.0)
    left, width = (min(0.0, value) - low) * unit, abs(value) * unit
    style = f"display:inline-block;height:11px;margin-left:{left:.0f}px;width:{width:.0f}px;background:{colour}"
    room = f"<span style='display:inline-block;width:{BAR}px;line-height:0'><span style='{style}'></span></span>"
    return f"{room} {value:.2f}".replace(" -", " −")


def _advantage(c: CompletionRecord, group: GroupRecord, colours: Theme) -> str:
    """Return the advantage as a bar from a centre line, blue to the right or orange to the left, and as a number."""
    if not isfinite(c.advantage):
        return escape(str(c.advantage))
    largest = max(1.5, *(abs(each.advantage) for each in group.completions if isfinite(each.advantage)))
    width = abs(c.advantage) / largest * BAR / 2
    left, colour = (BAR / 2, colours.up) if c.advantage > 0 else (BAR / 2 - width, colours.dn)
    bar = f"<rect x='{left:.1f}' y='1' width='{width:.1f}' height='11' rx='2' fill='{colour}'/>"
    centre = f"<line x1='{BAR / 2}' x2='{BAR / 2}' y1='0' y2='13' stroke='{colours.line2}'/>"
    text = f"{c.advantage:+.2f}".replace("-", "−") if c.advantage else "0.00"
    return f"<svg width='{BAR}' height='13' style='vertical-align:middle'>{centre}{bar}</svg> {text}"


def token_chips(c: CompletionRecord, index: int, colours: Theme) -> str:
    """Return the tokens of inner update `index`, one chip for each visible piece of text."""
    if not len(c.token_ids):
        return "∅"
    with np.errstate(divide="ignore"):
        log_ratio = np.log(c.ratio_by_update[index].astype(np.float64))
    scale = chip_scale(c, log_ratio)
    texts, spans = visible_spans(c.tokens)
    chips = []
    for start, end in spans or [[i, i + 1] for i in range(len(texts))]:
        strongest = start + int(np.argmax(np.abs(np.nan_to_num(log_ratio[start:end]))))
        part = slice(start, end)
        chips.append(_chip(texts[start], float(log_ratio[strongest]), scale, _state(c, index, part), colours))
    return f"<span style='font:13px/22px {MONO};font-variant-ligatures:none;letter-spacing:2px'>{''.join(chips)}</span>"


def _state(c: CompletionRecord, index: int, part: slice) -> str:
    """Return what happened to the tokens: "masked", "clipped", "outside", or nothing."""
    if c.is_masked or not c.kept_by_update[index][part].all():
        return "masked"
    if c.clipped_by_update[index][part].any():
        return "clipped"
    return "outside" if c.outside_by_update[index][part].any() else ""


def _steps(c: CompletionRecord, colours: Theme) -> str:
    """Return the steps of a completion under process supervision, or nothing."""
    parts, start = [], 0
    for step in c.steps:
        text = escape("".join(c.tokens[start : step.end]).strip())
        mark, push = "✓" if step.reward > 0 else "✗", f"{step.normalised:+.2f}".replace("-", "−")
        colour = colours.up if step.normalised > 0 else colours.dn
        bracket = f"border-top:2px solid {colour};margin-right:14px"
        numbers = f"{mark} {step.reward:g} → {push}".replace("-", "−")
        title = escape(step.reason, quote=True)
        parts.append(
            f"<span title='{title}' style='{bracket}'><span style='font-family:{MONO}'>{text}</span> {numbers}</span>"
        )
        start = step.end
    return f"<div style='font-size:12px;color:{colours.ink2}'>{' '.join(parts)}</div>" if parts else ""


def chip_scale(c: CompletionRecord, log_ratio: np.ndarray) -> float:
    """Return the log-ratio of the strongest tint: one and a half bands, or the completion's 99th percentile.

    A loss without a band is tinted as one with the usual band, 0.2.
    """
    curve = Curve(c.knobs)
    high = curve.bounds.high if curve.form == "clip" else 1.2
    finite = np.abs(log_ratio[np.isfinite(log_ratio)])
    return max(1.5 * log(high), float(np.quantile(finite, 0.99)) if len(finite) else 0.0, 1e-6)


def _chip(text: str, log_ratio: float, scale: float, state: str, colours: Theme) -> str:
    amount = 0.0 if np.isnan(log_ratio) else min(1.0, abs(log_ratio) / scale)
    styles = []
    if amount > 0.01:
        styles.append(f"background-color:{mixed(colours.sheet, colours.up if log_ratio > 0 else colours.dn, amount)}")
    marks = {
        "masked": f"border-bottom:1px dashed {colours.ink3};color:{colours.ink3}",
        "clipped": _hatch(colours),
        "outside": f"border-bottom:2px dotted {colours.ink}",
    }
    if state:
        styles.append(marks[state])
    visible, title = escape(text.translate(VISIBLE)), "r –" if np.isnan(log_ratio) else f"r {np.exp(log_ratio):.3f}"
    style = f" style='{';'.join(styles)}'" if styles else ""
    return f"<span title='{title}'{style}>{visible}</span><wbr>"


def mixed(ground: str, hue: str, amount: float) -> str:
    """Return the colour between two hex colours, `STRONGEST` of the way to the hue at amount 1."""
    pairs = [(int(ground[i : i + 2], 16), int(hue[i : i + 2], 16)) for i in (1, 3, 5)]
    return "#" + "".join(f"{round(a + (b - a) * STRONGEST * amount):02X}" for a, b in pairs)


def _legend(colours: Theme, lang: str) -> str:
    less, more = (mixed(colours.sheet, hue, 1) for hue in (colours.dn, colours.up))
    box = "display:inline-block;height:11px;vertical-align:middle"
    scale = f"{box};width:90px;background:linear-gradient(90deg,{less},{colours.sheet},{more})"
    parts = [
        f"{word('less_likely', lang)} <span style='{scale}'></span> {word('more_likely', lang)}",
        f"<span style='{box};width:16px;{_hatch(colours)}'></span> {word('zero_gradient', lang)}",
        f"<span style='{box};width:16px;border-bottom:2px dotted {colours.ink}'></span> {word('outside', lang)}",
        f"<span style='{box};width:16px;border-bottom:1px dashed {colours.ink3}'></span> {word('masked', lang)}",
    ]
    return f"<div style='margin-top:8px;font-size:12px;color:{colours.ink2}'>{' &emsp; '.join(parts)}</div>"


def _hatch(colours: Theme) -> str:
    lines = f"repeating-linear-gradient(135deg,transparent 0 3px,{colours.ink3} 3px 4px)"
    return f"background-image:{lines};outline:1.25px solid {colours.ink2};border-radius:3px"
