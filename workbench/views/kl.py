"""The estimates of the KL to the reference at every token of one completion, and the exact one, as a Plotly figure."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from workbench.run.completion import CompletionRecord, kl_estimates
from workbench.views.clipplane import inner_update
from workbench.views.figures import heading, plain, say, theme_of, themed
from workbench.views.theme import Theme
from workbench.views.words import word

MOST_TOKEN_LABELS = 64


def kl_figure(completion: CompletionRecord, *, update: int = -1, theme: str = "light", lang: str = "en") -> go.Figure:
    """Return k1 as signed bars, k2 as open rings and k3 as a line over the tokens of a completion; in nats.

    k1 may be negative; k2 and k3 lie on one another while the policy is near the reference. Where the run summed the KL
    over the vocabulary, that is a dashed line in ink. The one that the run uses is the one whose name is bold.

    Raises IndexError if there is no such inner update.
    """
    colours, index = theme_of(theme), inner_update((completion,), update)
    figure, num_tokens = go.Figure(), len(completion.token_ids)
    sentence = None
    if completion.ref_logps is None:
        sentence = word("no_reference", lang)
    elif not num_tokens:
        sentence = word("no_tokens", lang)
    else:
        estimates = kl_estimates(completion.logps_by_update[index], completion.ref_logps)
        if completion.exact_kl_by_update is not None:
            estimates["exact"] = completion.exact_kl_by_update[index].astype(np.float64)
        for name, values in estimates.items():
            figure.add_trace(_trace(name, values, completion, colours, lang))
        if not estimates["k1"].any():
            sentence = word("same_policy", lang)
    if sentence:
        say(figure, sentence, colours, y=0.8)
    _set_axes(figure, completion, colours, lang)
    k = word("inner_update", lang, k=index + 1, n=len(completion.logps_by_update))
    return themed(figure, colours, heading(word("kl_title", lang), k, colours), height=340, margin_t=48, legend_y=-0.42)


def _trace(
    name: str, values: np.ndarray, completion: CompletionRecord, colours: Theme, lang: str
) -> go.Bar | go.Scatter:
    shown = word("exact_kl", lang) if name == "exact" else name
    label = f"<b>{shown}</b>" if name == completion.knobs.kl_estimator else shown
    label = f"{label}  {word('kl_mean', lang, value=f'{values.mean():.4f}')}"
    positions = np.arange(len(values))
    if name == "k1":
        trace = go.Bar(x=positions, y=values, name=label, marker={"color": colours.s2, "line": {"width": 0}})
    elif name == "k2":
        ring = {"symbol": "circle-open", "size": 6, "color": colours.ink3, "line": {"width": 1.2}}
        trace = go.Scatter(x=positions, y=values, mode="markers", name=label, marker=ring)
    elif name == "exact":
        line = {"color": colours.ink, "width": 1.5, "dash": "dot"}
        trace = go.Scatter(x=positions, y=values, mode="lines", name=label, line=line)
    else:
        line = {"color": colours.kl, "width": 2}
        trace = go.Scatter(x=positions, y=values, mode="lines+markers", name=label, line=line, marker={"size": 4})
    trace.customdata = [plain(token) for token in completion.tokens]
    trace.hovertemplate = f"<b>%{{customdata}}</b>  {name} = %{{y:.4f}}<extra></extra>"
    return trace


def _set_axes(figure: go.Figure, completion: CompletionRecord, colours: Theme, lang: str) -> None:
    num_tokens = len(completion.tokens)
    if 0 < num_tokens <= MOST_TOKEN_LABELS:
        figure.update_xaxes(tickvals=list(range(num_tokens)), ticktext=token_labels(completion.tokens), tickangle=0)
    figure.update_xaxes(range=[-0.7, max(num_tokens, 1) - 0.3], title_text=word("token_axis", lang))
    figure.update_yaxes(title_text=word("kl_axis", lang), nticks=5, showgrid=True)
    figure.add_hline(y=0, line={"color": colours.line2, "width": 1}, layer="below")


def token_labels(tokens: Sequence[str]) -> list[str]:
    """Return the tokens as labels of an axis; long ones stand a line lower, in turn, so that neighbours do not touch.

    >>> token_labels(["1", " ", "</think>", "<answer>"])
    ['1', '·', '<br>&lt;/think&gt;', '<br><br>&lt;answer&gt;']
    """
    labels, depth = [], 0
    for token in tokens:
        is_long = len(token) > 2
        depth = depth % 2 + 1 if is_long else 0
        labels.append("<br>" * depth + ("·" if token == " " else plain(token)))
    return labels
