from dataclasses import replace

import pytest

from tests.run.records import make_record
from workbench.run.config import RunConfig
from workbench.run.fastpaths import FAST_PATHS
from workbench.run.knobs import Knobs
from workbench.run.store import RunStore
from workbench.views.stages import STAGES, page_timing
from workbench.views.timing import timing_figure

RECORD = replace(
    make_record(),
    timings={"update": 0.6, "sample": 0.3, "record": 0.1},
    limits={"sample": 0.1, "update": 0.3},
    fast_paths=("merged_rollout", "fused_adamw"),
)


def written(figure) -> str:
    return figure.layout.title.text + " ".join(note.text for note in figure.layout.annotations)


def test_the_stages_follow_each_other_and_a_limit_begins_where_its_stage_does():
    *stages, limit = timing_figure(RECORD).data
    assert [(trace.name, trace.x[0]) for trace in stages] == [("Sample", 0.3), ("Update", 0.6), ("Record", 0.1)]
    assert list(limit.base) == [0.0, 0.3] and list(limit.x) == [0.1, 0.3]


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_hovering_says_the_seconds_the_share_and_how_many_times_the_limit(lang):
    sample, update, record, _ = timing_figure(RECORD, lang=lang).data
    for trace, number, factor in ((sample, "0.300 s, 30%", "3.0"), (update, "0.600 s, 60%", "2.0")):
        (hover,) = trace.hovertemplate
        assert number in hover and factor in hover
        assert STAGES[{0: "sample", 1: "update"}[trace is update]][1][lang == "zh"][:8] in hover.replace("<br>", " ")
    assert "0.100 s" in record.hovertemplate[0] and "×" not in record.hovertemplate[0]


@pytest.mark.parametrize("lang", [0, 1])
def test_the_total_the_speed_and_the_fast_paths_are_written(lang):
    text = written(timing_figure(RECORD, lang=("en", "zh")[lang]))
    num_tokens = sum(len(c.token_ids) for group in RECORD.groups for c in group.completions)
    assert "1.00" in text and str(num_tokens) in text
    assert FAST_PATHS["merged_rollout"].title[lang] in text and FAST_PATHS["cuda_graphs"].title[lang] not in text


def test_a_recording_without_limits_says_so_and_a_plain_run_does_not():
    assert "older than" in written(timing_figure(replace(RECORD, limits={}, fast_paths=())))
    assert "No fast path" in written(timing_figure(replace(RECORD, fast_paths=())))
    assert len(timing_figure(replace(RECORD, timings={}, limits={})).data) == 1


def test_the_page_is_told_the_rows_time_with_what_writing_took(tmp_path):
    store = RunStore(RunConfig(plain_paths=("lean_model",)), Knobs(), title="t")
    store.append(RECORD)
    timing = page_timing(store, 1)
    assert list(timing["timings"].items()) == [("sample", 0.3), ("update", 0.6), ("record", 0.1)]
    assert timing["limits"] == RECORD.limits and timing["fast_paths"] == ["merged_rollout", "fused_adamw"]
    assert timing["plain_paths"] == ["lean_model"]
    with pytest.raises(KeyError):
        page_timing(store, 2)
