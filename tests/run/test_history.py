import pytest

from workbench.run.history import BLOCK, MOST_BUCKETS, CurveHistory, scalars


def make_row(step: int, **metrics) -> dict:
    return {"step": step, "metrics": {"reward": step % 7, **metrics}, "reward_parts": {"answer": 0.5}, "tokens": step}


def history_of(rows: list[dict]) -> CurveHistory:
    history = CurveHistory()
    for start in range(0, len(rows), BLOCK):
        history.append(rows[start : start + BLOCK])
    return history


def in_width(rows: list[dict], width: int) -> list[list[dict]]:
    return [rows[i : i + width] for i in range(0, len(rows), width)]


@pytest.mark.parametrize("num_blocks", [1, 6, 7, 13, 40, 157])
def test_every_bucket_has_the_extremes_their_steps_and_the_mean_of_its_rows(num_blocks):
    rows = [make_row(step, kl=(step * 37) % 101 - 50.0) for step in range(1, num_blocks * BLOCK + 1)]
    curves = history_of(rows).curves(["kl"])
    parts = in_width(rows, curves["width"])
    assert curves["end"] == len(rows) and len(parts) <= MOST_BUCKETS
    assert curves["steps"] == [[part[0]["step"] for part in parts], [part[-1]["step"] for part in parts]]
    kl = curves["curves"]["kl"]
    lowest = [min(part, key=lambda row: row["metrics"]["kl"]) for part in parts]
    highest = [max(part, key=lambda row: row["metrics"]["kl"]) for part in parts]
    assert list(zip(kl["low_at"], kl["low"], strict=True)) == [(r["step"], r["metrics"]["kl"]) for r in lowest]
    assert list(zip(kl["high_at"], kl["high"], strict=True)) == [(r["step"], r["metrics"]["kl"]) for r in highest]
    assert kl["mean"] == pytest.approx([sum(r["metrics"]["kl"] for r in part) / len(part) for part in parts])
    assert kl["first"] == rows[0]["metrics"]["kl"]


def test_a_spike_of_one_step_in_ten_thousand_stays_where_it_was():
    rows = [make_row(step, grad_norm=500.0 if step == 4321 else 1.0) for step in range(1, 157 * BLOCK + 1)]
    norm = history_of(rows).curves(["grad_norm"])["curves"]["grad_norm"]
    assert (4321.0, 500.0) in zip(norm["high_at"], norm["high"], strict=True)
    assert norm["high"].count(500.0) == 1 and set(norm["low"]) == {1.0}


def test_what_was_not_measured_is_none_and_a_name_may_come_late():
    rows = [make_row(step, **({"kl": 0.1} if step > 2 * BLOCK else {"kl": None})) for step in range(1, 4 * BLOCK + 1)]
    rows[0]["metrics"]["reward"] = float("nan")
    curves = history_of(rows).curves()["curves"]
    assert curves["kl"]["mean"] == [None] * 2 * BLOCK + [0.1] * 2 * BLOCK and curves["kl"]["first"] is None
    assert curves["reward"]["low"][:2] == [None, 2]


def test_it_takes_the_same_memory_however_long_the_run_is():
    rows = [make_row(step) for step in range(1, 157 * BLOCK + 1)]
    short, long = history_of(rows[: 6 * BLOCK]), history_of(rows)
    sizes = [sum(array.nbytes for array in history._buckets) for history in (short, long)]
    assert sizes[0] == sizes[1]


def test_a_row_for_each_bucket_has_what_the_curves_are_drawn_from():
    rows = [make_row(step, reward=float(step)) for step in range(1, 12 * BLOCK + 1)]
    drawn = history_of(rows).rows()
    assert [row["step"] for row in drawn[:2]] == [2, 4] and drawn[-1]["step"] == 12 * BLOCK
    assert drawn[0]["metrics"]["reward"] == 1.5 and drawn[0]["reward_parts"] == {"answer": 0.5}
    assert drawn[0]["extremes"]["reward"] == ((1.0, 1.0), (2.0, 2.0))


def test_the_scalars_of_a_row_are_its_finite_numbers():
    row = make_row(3, kl=None, loss=float("inf"))
    assert scalars(row) == {"reward": 3, "reward_parts/answer": 0.5, "tokens": 3}
