from math import log10

import numpy as np
import pytest

from tests.views.groups import completion, group, two_sided_group
from workbench import grpo
from workbench.run.completion import kl_estimates
from workbench.run.knobs import Knobs
from workbench.views.clip import clip_figure
from workbench.views.kl import kl_figure
from workbench.views.notebook import show_clip
from workbench.views.ratio import bin_edges, count_ticks, ratio_figure
from workbench.views.theme import THEMES


def texts(figure) -> str:
    return " ".join([figure.layout.title.text or "", *(note.text for note in figure.layout.annotations)])


def traces(figure, name: str) -> list:
    return [trace for trace in figure.data if trace.name == name and trace.x[0] is not None]


def test_the_clip_figure_has_a_mark_for_every_token_in_the_panel_of_its_sign():
    figure = clip_figure(two_sided_group())
    assert [len(trace.x) for trace in traces(figure, "live")] == [2, 2]
    assert [trace.x[0] for trace in traces(figure, "zero_gradient")] == pytest.approx([1.5, 0.7], rel=1e-6)
    assert [trace.x[0] for trace in traces(figure, "outside")] == pytest.approx([0.7, 1.5], rel=1e-6)
    symbols = {
        trace.name: trace.marker.symbol for trace in figure.data if trace.mode == "markers" and trace.xaxis == "x"
    }
    assert (symbols["zero_gradient"], symbols["live"], symbols["outside"]) == ("x-thin", "circle", "triangle-right")


def test_the_marks_lie_on_the_objective():
    (live, *_) = traces(clip_figure(two_sided_group()), "live")
    assert live.y == pytest.approx(live.x), "A > 0 inside the band: L / |A| = r"


def test_the_clip_figure_names_axes_and_regions_and_shades_the_flat_side():
    figure = clip_figure(two_sided_group())
    assert figure.layout.xaxis.type == figure.layout.xaxis2.type == "log"
    assert "probability ratio" in figure.layout.xaxis.title.text and figure.layout.yaxis.title.text == "L / |A|"
    assert "gradient = 0" in texts(figure) and "still learning" in texts(figure)
    assert "2 zero gradient, 2 outside but learning, of 8 tokens" in texts(figure)
    shaded = [(s.x0, s.x1) for s in figure.layout.shapes if s.fillcolor == THEMES["light"].dead]
    assert shaded[0][0] == pytest.approx(1.2) and shaded[1][1] == pytest.approx(0.8)
    assert 10 ** figure.layout.xaxis.range[1] > 1.2 and figure.layout.xaxis.range[0] == -figure.layout.xaxis.range[1]
    words = next(note for note in figure.layout.annotations if note.text == "gradient = 0")
    assert words.x > log10(1.2), "a log axis takes an annotation's place as a logarithm"


@pytest.mark.parametrize(
    ("knobs", "title", "unit", "words"),
    [
        (Knobs(loss_type="cispo", epsilon_high=5.0), "Capped gradient weight", "gradient weight g", "then held"),
        (Knobs(loss_type="sapo"), "Soft-gated objective", "L / |A|", "never shut"),
        (Knobs(loss_type="vespo"), "Sequence weight φ", "gradient weight g", "weight near 0"),
        (Knobs(loss_type="online"), "Gradient weight", "gradient weight g", "at every ratio"),
    ],
)
def test_a_loss_that_does_not_clip_is_drawn_as_what_it_is(knobs, title, unit, words):
    made = group(completion([[0.7, 1.5]], 1.0, knobs), completion([[0.9, 1.1]], -1.0, knobs))
    figure = clip_figure(made)
    assert title in texts(figure) and words in texts(figure) and figure.layout.yaxis.title.text == unit
    assert "gradient = 0" not in texts(figure) and "zero gradient" not in texts(figure)
    assert not [s for s in figure.layout.shapes if s.fillcolor == THEMES["light"].dead], "nothing is flat"
    assert "zero gradient" not in [trace.name for trace in figure.data if trace.x[0] is None], "nor in the legend"
    assert title in show_clip(made).svg and "gradient = 0" not in show_clip(made).svg


def test_a_limit_that_is_close_to_1_is_named_beside_its_line():
    made = group(completion([[1.0, 2.8]], 1.0, Knobs(epsilon=0.05)))
    for draw in (clip_figure, ratio_figure):
        labels = draw(made).layout.xaxis.ticktext
        assert [text.strip() for text in labels[:3]] == ["1", "1−ε", "1+ε"]
        assert labels[1].endswith("\N{NO-BREAK SPACE}") and labels[2].startswith("\N{NO-BREAK SPACE}")


def test_a_method_without_a_ratio_gets_a_sentence_and_no_curve():
    figure = clip_figure(two_sided_group(), method="dpo")
    assert "DPO has no ratio" in texts(figure) and not figure.data
    assert "DPO has no ratio" in show_clip(two_sided_group(), method="dpo").svg
    assert "<polyline" not in show_clip(two_sided_group(), method="dpo").svg


def test_masked_tokens_are_rings_with_their_mark_in_the_legend_and_are_not_counted():
    kept = np.array([[True, False]])
    made = group(completion([[1.1, 1.1]], 1.0, Knobs(), kept_by_update=kept))
    (ring,) = traces(clip_figure(made), "masked")
    assert ring.marker.symbol == "circle-open" and len(ring.x) == 1
    assert any(trace.name == "left out by a mask" for trace in clip_figure(made).data)
    assert "left out" not in str([trace.name for trace in clip_figure(two_sided_group()).data if trace.x[0] is None])
    assert sum(row[0] for bars in ratio_figure(made).data for row in bars.customdata) == 1


@pytest.mark.parametrize("draw", [clip_figure, ratio_figure])
@pytest.mark.parametrize(("lang", "words"), [("en", "Every ratio is exactly 1"), ("zh", "概率比都恰好为 1")])
def test_the_first_update_says_why_all_ratios_are_1(draw, lang, words):
    assert words in texts(draw(two_sided_group(), update=0, lang=lang))
    assert words not in texts(draw(two_sided_group(), lang=lang))


@pytest.mark.parametrize("draw", [clip_figure, ratio_figure])
def test_a_dead_group_is_an_empty_picture_with_a_reason(draw):
    dead = group(*(completion([[1.0, 1.0]], 0.0, Knobs()) for _ in range(2)), is_dead=True)
    assert "2 equal rewards" in texts(draw(dead))


def test_off_scale_tokens_stand_at_the_edge_with_an_arrow_and_a_legend():
    figure = clip_figure(group(completion([[np.inf, 1.0]], 1.0, Knobs())))
    (arrows,) = traces(figure, "off scale")
    assert arrows.marker.symbol == ("arrow-right",)
    assert arrows.x[0] == pytest.approx(10 ** figure.layout.xaxis.range[1])
    assert any(trace.name == "off scale" and trace.x[0] is None for trace in figure.data)


def test_token_text_in_a_hover_is_shown_letter_by_letter():
    evil = completion([[1.0]], 1.0, Knobs(), tokens=("<b onload=x>",))
    written = clip_figure(group(evil)).to_json() + kl_figure(evil).to_json()
    assert "<b onload" not in written and "\\u003cb onload" not in written and "&lt;b onload=x&gt;" in written


def test_the_histogram_counts_every_token_once_and_hatches_the_dead_ones():
    figure = ratio_figure(two_sided_group())
    counts = {bars.name: sum(row[0] for row in bars.customdata) for bars in figure.data}
    assert counts == {
        "A > 0, push up": 3,
        "A > 0, push up, zero gradient": 1,
        "A < 0, push down": 3,
        "A < 0, push down, zero gradient": 1,
    }
    assert all(y > 0 for y in figure.data[0].y) and all(y < 0 for y in figure.data[2].y)
    assert figure.data[1].marker.pattern.shape == "/" and figure.data[0].marker.pattern.shape is None
    assert "clip band" in texts(figure)


@pytest.mark.parametrize(
    ("reach", "epsilon"),
    [(0.4, 0.2), (1.1, 0.2), (1.1, 0.0), (0.34, 0.01), *((reach, 0.01) for reach in np.linspace(0.34, 3, 200))],
)
def test_bins_cover_the_axis_and_one_is_centred_on_ratio_1(reach, epsilon):
    edges = bin_edges(reach, epsilon)
    assert edges[-1] >= reach * (1 - 1e-9) and len(edges) <= 61
    assert np.isclose(edges + edges[::-1], 0).all() and np.diff(edges).min() > 0 and not np.isclose(edges, 0).any()


@pytest.mark.parametrize("tallest", range(1, 400, 7))
def test_count_ticks_rise_and_stay_on_the_axis(tallest):
    ticks = list(count_ticks(tallest))
    assert ticks == sorted(set(ticks)) and ticks[0] == 0 and ticks[-1] <= tallest


def test_the_three_estimates_are_those_of_the_loss():
    torch = pytest.importorskip("torch")
    logps, ref = np.array([-1.0, -0.2, -3.0]), np.array([-3.0, -0.2, -1.0])
    for name, values in kl_estimates(logps, ref).items():
        of_loss = grpo.KL_ESTIMATORS[name](torch.tensor(logps), torch.tensor(ref))
        np.testing.assert_allclose(values, of_loss.numpy(), rtol=1e-12)


def test_the_kl_figure_shows_three_estimates_in_nats_and_marks_the_one_in_use():
    made = completion([[1.0] * 4, [0.7, 1.0, 1.1, 1.5]], 1.0, Knobs(num_iterations=2, kl_estimator="k2"))
    figure = kl_figure(made)
    names = [trace.name.split("  ")[0] for trace in figure.data]
    assert names == ["k1", "<b>k2</b>", "k3"]
    assert [trace.type for trace in figure.data] == ["bar", "scatter", "scatter"]
    assert figure.layout.yaxis.title.text == "nats"
    assert figure.data[2].line.color == THEMES["light"].kl
    np.testing.assert_allclose(figure.data[1].y, made.kl, rtol=1e-4)


def test_the_exact_kl_is_drawn_beside_the_estimates_by_its_name():
    exact = np.array([[0.0, 0.5]], dtype=np.float32)
    made = completion([[1.0, 1.5]], 1.0, Knobs(kl_estimator="exact"), exact_kl_by_update=exact)
    *_, line = kl_figure(made).data
    assert line.name.startswith("<b>exact</b>") and line.y == pytest.approx(exact[0])
    assert kl_figure(made, lang="zh").data[-1].name.startswith("<b>精确</b>")


def test_the_kl_figure_says_when_there_is_no_reference_or_no_token():
    made = completion([[1.0]], 1.0, Knobs())
    assert "not scored" in texts(kl_figure(completion([[1.0]], 1.0, Knobs(), ref_logps=None)))
    assert "empty" in texts(kl_figure(completion([[]], 1.0, Knobs())))
    same = completion([[1.0]], 1.0, Knobs(), ref_logps=made.logps)
    assert "agree on every token" in texts(kl_figure(same))


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("lang", ["en", "zh"])
def test_every_colour_is_the_themes(theme, lang):
    made = two_sided_group()
    for figure in (clip_figure(made, theme=theme, lang=lang), kl_figure(made.completions[0], theme=theme, lang=lang)):
        assert figure.layout.paper_bgcolor == THEMES[theme].sheet
        assert all(trace.marker.color in vars(THEMES[theme]).values() for trace in figure.data if trace.marker.color)
