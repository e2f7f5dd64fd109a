from itertools import pairwise

import pytest

from workbench.run.knobs import Knobs
from workbench.run.metrics import METRICS
from workbench.views.curve_lines import MOST_POINTS, smoothed, spread, thinned
from workbench.views.curve_panels import CORE, NOT_CLIPPED, panels_of
from workbench.views.curves import curves_figure
from workbench.views.figures import plain
from workbench.views.knobmarks import describe_change, knob_marks

EVENTS = [
    {"index": 0, "step": 3, "knob": "beta", "old": 0.04, "new": 0.1},
    {"index": 1, "step": 5, "knob": "epsilon", "old": 0.2, "new": 0.1},
    {"index": 2, "step": 5, "knob": "epsilon_high", "old": None, "new": 0.28},
]


CORE_METRICS = [line.metric for panel in CORE for line in panel.lines if line.metric != "cispo_clip_ratio"]


def make_rows(count: int, **metrics) -> list[dict]:
    """Return rows in which every run's metrics are measured; a metric given as None is not."""

    def row(step: int) -> dict:
        values = dict.fromkeys(CORE_METRICS, 0.01) | {"reward": step / 10, "kl": None if step == 2 else 0.01 * step}
        parts = {"answer": step / 20, "steps": None, "<img onerror=x>": 0.1}
        own = {name: value(step) if callable(value) else value for name, value in metrics.items()}
        return {"step": step, "metrics": values | own, "reward_parts": parts, "reward_low": 0.0, "reward_high": 1.0}

    return [row(step) for step in range(1, count + 1)]


def named(figure, name: str, mode: str = "lines"):
    return [trace for trace in figure.data if trace.name == name and trace.mode == mode]


def texts(figure) -> list[str]:
    return [note.text for note in figure.layout.annotations]


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_every_panel_has_its_title_its_unit_and_its_lines(lang):
    figure = curves_figure(make_rows(6), EVENTS, lang=lang)
    written = " ".join(texts(figure))
    for panel in CORE:
        assert panel.title[lang == "zh"] in written and panel.unit[lang == "zh"] in written
        for line in panel.lines:
            assert line.metric == "cispo_clip_ratio" or plain(line.label[lang == "zh"]) in written
    assert figure.layout.xaxis9.title.text == ("步" if lang == "zh" else "step")
    assert len(named(figure, "kl")) == 1 and len(named(figure, "kl", "markers")) == 1


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_the_hover_of_a_panels_title_says_what_each_of_its_lines_means(lang):
    figure = curves_figure(make_rows(6), EVENTS, lang=lang)
    titles = [note.hovertext for note in figure.layout.annotations if note.font.size == 13 and note.hovertext]
    hovers = ["".join(text.replace("<br>", "").split()) for text in titles]
    assert len(hovers) == len(CORE)
    for panel, hover in zip(CORE, hovers, strict=True):
        for line in panel.lines:
            assert (
                line.metric == "cispo_clip_ratio"
                or "".join(METRICS[line.metric].meaning[lang == "zh"].split()) in hover
            )
    assert max(len(line) for text in titles for line in text.split("<br>")) <= 48


def test_a_value_that_was_not_measured_is_a_gap_and_never_a_zero():
    (line,) = named(curves_figure(make_rows(4), []), "kl")
    assert line.y[1] is None and line.connectgaps is False


def test_a_panel_appears_only_where_the_run_has_its_data_and_moves_none_before_it():
    def titles(rows):
        return [panel.title[0] for panel in panels_of(rows)]

    assert titles([]) == titles(make_rows(2)) == [panel.title[0] for panel in CORE]
    assert "Entropy" not in titles(make_rows(2, entropy=None))
    ppo = titles(make_rows(2, **{"value_loss": 0.1, "explained_variance": -3.0}))
    assert ppo == [*titles([]), "Value loss", "Explained variance"]
    assert titles(make_rows(2, **{"dynamic_sampling/num_discarded_groups": 0})) == [*titles([]), "Dynamic sampling"]


@pytest.mark.parametrize(
    ("loss_type", "measured", "title", "lines"),
    [
        ("dapo", {}, "Clip", ["A > 0", "A < 0"]),
        ("cispo", {"cispo_clip_ratio": 0.1}, "Clip", ["capped"]),
        ("vespo", {"vespo/phi_seq_mean": 0.9}, "Weight of a completion, φ", [""]),
        ("sapo", {}, "Clip", []),
        ("online", {}, "Clip", []),
    ],
)
def test_the_clip_panel_shows_what_the_loss_type_has_instead_of_a_clip_and_says_so_where_it_has_none(
    loss_type, measured, title, lines
):
    clipped = {name: 0.01 if loss_type == "dapo" else None for name in CORE_METRICS if name.startswith("clip_ratio/")}
    rows = make_rows(3, **clipped, **measured)
    knobs = Knobs(loss_type=loss_type, epsilon_high=5.0)
    panel = panels_of(rows, knobs)[3]
    assert (panel.title[0], [line.label[0] for line in panel.lines]) == (title, lines)
    figure = curves_figure(rows, [], knobs=knobs)
    written = " ".join(texts(figure))
    assert any(trace.xaxis == "x4" for trace in figure.data), "Plotly draws no axes, and no words on them, for nothing"
    assert (NOT_CLIPPED.get(loss_type, ("absent",))[0] in written) == (not lines)


def test_a_step_that_left_every_completion_out_does_not_change_what_the_clip_panel_shows():
    measured = {"vespo/phi_seq_mean": lambda step: 0.9 if step < 3 else None}
    assert panels_of(make_rows(3, **measured), Knobs(loss_type="vespo"))[3].title[0] == "Weight of a completion, φ"


def test_learned_and_true_reward_share_an_axis_where_their_scales_allow():
    figure = curves_figure(make_rows(6, true_reward=lambda step: 1 - step / 10), [])
    (learned,), (true,) = named(figure, "learned"), named(figure, "true")
    assert (learned.line.dash, true.line.dash) == ("dash", "solid")
    assert true.y[0] == pytest.approx(0.9) and learned.y[0] == pytest.approx(0.1)
    assert named(figure, "answer") == [] and named(figure, "reward_low")
    assert "Learned and true reward" in " ".join(texts(figure))


def test_where_the_scales_are_apart_each_reward_fills_the_panel_and_keeps_its_own_numbers():
    figure = curves_figure(make_rows(6, true_reward=lambda step: 100 - step), [])
    (learned,), (true,) = named(figure, "learned"), named(figure, "true")
    assert learned.y[0] == 0 and true.y[0] == 1 and true.customdata[0] == 99
    assert named(figure, "reward_low") == [] and figure.layout.yaxis.showticklabels is False
    written = " ".join(texts(figure))
    assert "each from its lowest to its highest" in written and "true 94" in written


def test_rounds_cross_every_panel_and_are_numbered_where_they_begin():
    figure = curves_figure(make_rows(12, round=lambda step: 1 + (step - 1) // 4), [])
    lines = [shape.x0 for shape in figure.layout.shapes if shape.type == "line"]
    assert sorted(lines) == [5] * len(CORE) + [9] * len(CORE)
    assert [note.text for note in figure.layout.annotations if note.font.size == 10] == ["round 2", "3"]


def test_more_panels_make_a_higher_figure_of_equally_high_panels():
    few, many = curves_figure(make_rows(3), []), curves_figure(make_rows(3, value_loss=1.0), [])
    assert (few.layout.meta["rows"], many.layout.meta["rows"]) == (3, 4)
    assert many.layout.height > few.layout.height
    heights = {round(axis.domain[1] - axis.domain[0], 9) for axis in many.select_yaxes()}
    assert len(heights) == 1 and min(axis.domain[0] for axis in many.select_yaxes()) == pytest.approx(0)
    assert (
        many.layout.xaxis10.showticklabels
        and many.layout.xaxis9.showticklabels
        and not many.layout.xaxis7.showticklabels
    )


def test_the_band_lies_between_the_groups_quantiles():
    figure = curves_figure(make_rows(4), [])
    assert named(figure, "reward_high")[0].fill == "tonexty" and set(named(figure, "reward_low")[0].y) == {0.0}


def test_reward_parts_are_thin_lines_with_their_name_at_the_end_escaped():
    figure = curves_figure(make_rows(4), [])
    (line,) = named(figure, "answer")
    assert line.line.width < 2 and line.y[0] == pytest.approx(0.05)
    assert any("answer 0.2" in text for text in texts(figure))
    assert "<img" not in figure.to_json()


def test_a_knob_change_crosses_every_panel_and_is_numbered_and_spelled_out():
    figure = curves_figure(make_rows(8), EVENTS)
    lines = [shape for shape in figure.layout.shapes if shape.type == "line"]
    assert [sum(line.x0 == step for line in lines) for step in (3, 5)] == [9, 9]
    discs = [shape for shape in figure.layout.shapes if shape.type == "circle"]
    assert sorted(disc.xanchor for disc in discs) == [3] * 3 + [5] * 3
    hovers = {note.hovertext for note in figure.layout.annotations if note.hovertext and "@" in note.hovertext}
    assert hovers == {"β 0.04 → 0.1 @ 3", "ε 0.2 → 0.1 @ 5<br>ε high – → 0.28 @ 5"}
    assert "β 0.04 → 0.1 @ 3" in figure.layout.title.text


def test_changes_of_one_step_share_a_mark_numbered_in_the_order_of_steps():
    assert [(mark.number, mark.step, len(mark.events)) for mark in knob_marks(EVENTS)] == [(1, 3, 1), (2, 5, 2)]
    assert describe_change(EVENTS[2]) == "ε high – → 0.28 @ 5"


def test_marks_too_close_to_tell_apart_are_thinned_the_newest_kept():
    many = [{"index": i, "step": i + 1, "knob": "beta", "old": 0.0, "new": 0.1} for i in range(200)]
    figure = curves_figure(make_rows(200), many)
    assert 30 * 9 < sum(shape.type == "line" for shape in figure.layout.shapes) < 126 * 9
    assert {shape.xanchor for shape in figure.layout.shapes if shape.type == "circle"} >= {200}
    assert sum(shape.type == "circle" for shape in figure.layout.shapes) < 40 * 3
    assert len(figure.layout.title.text) < 500


def test_no_steps_no_curves_one_sentence():
    figure = curves_figure([], [])
    assert any("No steps yet" in text for text in texts(figure))
    assert all(not trace.x for trace in figure.data)


def test_one_step_is_a_figure_too():
    figure = curves_figure(make_rows(1), [])
    assert figure.layout.xaxis.range[0] < 1 < figure.layout.xaxis.range[1] and figure.layout.xaxis.dtick == 1


@pytest.mark.parametrize("count", [1, 2])
def test_a_line_that_is_one_point_long_is_drawn_as_a_dot(count):
    once = {"kl": lambda step: 0.02 if step == 1 else None}
    lines = [t for t in curves_figure(make_rows(count, **once), []).data if t.mode != "markers" and t.line.width]
    single = {t.name for t in lines if sum(y is not None for y in t.y) == 1}
    assert single == {t.name for t in lines if t.mode == "lines+markers"}
    assert single >= ({"kl"} if count == 2 else {"kl", "mean"})


def test_bars_and_axes_start_at_zero_or_below_a_negative_value():
    figure = curves_figure(make_rows(4, reward=-0.5), [])
    assert figure.layout.yaxis.range[0] < -0.5 < 0 < figure.layout.yaxis.range[1]
    assert figure.layout.yaxis3.range[0] == 0


@pytest.mark.parametrize("count", [0, 1, MOST_POINTS, MOST_POINTS + 1, 3 * MOST_POINTS + 7])
def test_a_long_run_is_thinned_evenly_and_its_newest_step_is_kept(count):
    kept = list(thinned(range(count)))
    assert len(kept) <= MOST_POINTS and (not count or kept[-1] == count - 1)
    assert len({b - a for a, b in pairwise(kept)}) <= 1


def test_the_average_of_a_thinned_run_is_that_of_all_its_steps():
    rows = make_rows(2 * MOST_POINTS)
    line = named(curves_figure(rows, []), "mean")[0]
    assert line.y[-1] == pytest.approx(smoothed([row["metrics"]["reward"] for row in rows])[-1])


@pytest.mark.parametrize("values", [[0.5] * 4, [0.0, 0.0, 0.0], [1.0, 1.0], [0.1, 0.9], []])
def test_labels_never_touch_and_never_leave_the_panel(values):
    placed = sorted(spread(values, 0.13, (0.0, 1.0)))
    assert all(b - a > 0.13 - 1e-9 for a, b in pairwise(placed))
    assert all(0 <= y <= 1 for y in placed)


def test_the_same_records_give_the_same_figure_and_are_left_alone():
    rows = make_rows(5)
    assert curves_figure(rows, EVENTS) == curves_figure(rows, EVENTS)
    assert rows == make_rows(5)


def test_a_row_that_stands_for_many_steps_has_its_extremes_as_dots_each_at_its_own_step():
    rows = make_rows(6)
    rows[2]["extremes"] = {"kl": ((2.0, -0.5), (1.0, 7.0))}
    figure = curves_figure(rows, [])
    (dots,), (line,) = named(figure, "kl", "markers"), named(figure, "kl")
    assert [(x, y) for x, y in zip(dots.x, dots.y, strict=True) if y in (-0.5, 7.0)] == [(1.0, 7.0), (2.0, -0.5)]
    assert len(line.y) == 6 and len(dots.y) == 7
    assert next(axis for axis in figure.select_yaxes() if axis.range[1] > 7)


def test_fewer_columns_are_wider_and_make_a_higher_figure_of_the_same_panels():
    wide, narrow = (curves_figure(make_rows(6), EVENTS, columns=columns) for columns in (3, 2))
    assert len(narrow.data) == len(wide.data)
    assert (wide.layout.meta["rows"], narrow.layout.meta["rows"]) == (3, 5)
    for figure, columns in ((wide, 3), (narrow, 2)):
        ends = [figure.layout[f"xaxis{number}"].domain for number in range(2, columns + 1)]
        (left, right) = figure.layout.xaxis.domain
        assert left == 0 and ends[-1][1] == pytest.approx(1)
        assert all(end[1] - end[0] == pytest.approx(right) for end in ends)
        written = [number for number in range(1, 10) if figure.layout[f"xaxis{number}"].showticklabels]
        assert written == list(range(10 - columns, 10))


def test_a_reward_functions_name_gives_way_to_its_number():
    rows = make_rows(4)
    for row in rows:
        row["reward_parts"] = {"another_extremely_long_reward": -0.339, "short": 1.0}
    written = texts(curves_figure(rows, []))
    assert any(">another… −0.339<" in text for text in written)
    assert any(">short 1<" in text for text in written)


def test_of_many_reward_functions_those_that_end_farthest_from_zero_are_named():
    rows = make_rows(4)
    sizes = {"tiny": 0.001, "a": 0.1, "b": 0.2, "c": -0.9, "d": 0.4, "large": 1.33}
    for row in rows:
        row["reward_parts"] = sizes
    written = " ".join(texts(curves_figure(rows, [])))
    assert ">large 1.33<" in written and ">c −0.9<" in written and ">tiny" not in written
