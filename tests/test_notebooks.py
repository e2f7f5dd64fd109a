import ast
import re

import nbformat
import pytest
import torch

from notebooks.build import FOLDER, execute, read_source, sources
from workbench import Knobs, RunConfig, Session
from workbench.grpo import estimate_advantages, grpo_loss
from workbench.run.tapes import TAPES

SOURCES = sources()


@pytest.fixture(params=SOURCES, ids=[path.stem for path in SOURCES])
def source(request):
    return request.param


def test_there_are_notebooks():
    assert SOURCES


def test_the_notebook_is_what_its_source_says(source):
    made = nbformat.read(source.with_suffix(".ipynb"), as_version=4)
    expected = read_source(source)
    advice = "run `python -m notebooks.build`"
    assert [(c.cell_type, c.source) for c in made.cells] == [(c.cell_type, c.source) for c in expected.cells], advice


def test_every_cell_was_run_in_order_without_an_error(source):
    made = nbformat.read(source.with_suffix(".ipynb"), as_version=4)
    code = [cell for cell in made.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert not [output for cell in code for output in cell.outputs if output.output_type == "error"]


def test_what_is_committed_is_small_static_and_offline(source):
    text = source.with_suffix(".ipynb").read_text(encoding="utf-8")
    assert len(text) < 400_000
    assert not re.search(r"<script|<iframe|<link|src=|@import|cdn|require\(", text, re.IGNORECASE)
    addresses = set(re.findall(r"https?://[^\\\s\"'<)]+", text)) - {"http://www.w3.org/2000/svg"}
    assert not addresses


def test_every_markdown_cell_speaks_both_languages(source):
    for cell in read_source(source).cells:
        if cell.cell_type == "markdown":
            assert re.search(r"[\u4e00-\u9fff]", cell.source) and re.search(r"[a-z]{4}", cell.source)


@pytest.mark.skipif(not TAPES.exists(), reason="the tapes have not been recorded yet")
def test_the_notebook_runs_from_top_to_bottom(source):
    execute(read_source(source))


# --- the answers that the notebooks give to their exercises


def train(num_steps: int, **changes):
    usual = Knobs(num_generations=8, num_iterations=4, beta=0.04, max_completion_length=48)
    records = list(Session(RunConfig(model="tiny", task="addition", seed=0), usual.changed(changes)).run(num_steps))
    completions = [c for group in records[0].groups for c in group.completions]
    crosses = sum(int(c.clipped.sum()) for c in completions)
    return records, crosses, sum(int(c.outside_band.sum()) for c in completions) - crosses


def num_dead(records) -> int:
    return sum(group.is_dead for record in records for group in record.groups)


def test_the_answers_of_the_quickstart_are_right():
    usual, crosses, triangles = train(4)
    assert num_dead(train(4, num_generations=2)[0]) > 4 * num_dead(usual)
    once, *marks = train(1, num_iterations=1)
    assert marks == [0, 0] and all((c.ratio == 1).all() for group in once[0].groups for c in group.completions)
    _, *marks = train(1, epsilon=0.05)
    assert marks[0] > 1.5 * crosses and marks[1] > 1.5 * triangles > 0
    lost, *_ = train(2, learning_rate=0.05)
    assert lost[1].metrics["reward"] < 0.05 and num_dead(lost[1:]) >= 7
    assert lost[0].metrics["kl"] > 1e3
    assert train(1, loss_type="sapo")[1] == 0


def function_of(stem: str, name: str, **names):
    """Return a function that a notebook defines, the names that it uses being given."""
    body = ast.parse((FOLDER / f"{stem}.py").read_text(encoding="utf-8")).body
    (text,) = [ast.unparse(node) for node in body if isinstance(node, ast.FunctionDef) and node.name == name]
    exec(text, names)
    return names[name]


def test_the_answers_of_the_family_are_right():
    gradient = function_of("01_family", "gradient", grpo_loss=grpo_loss)
    both = function_of("01_family", "ratios_and_pushes", torch=torch, grpo_loss=grpo_loss, gradient=gradient)
    assert (both([1.029, -0.1, 0.0, -0.2], "sequence")[1] > 0).all()
    assert (both([1.030, -0.1, 0.0, -0.2], "sequence")[1] == 0).all()

    def advantage(last: float, scale: str) -> float:
        rewards = torch.tensor([[1.0], [1.0], [1.0], [last]])
        return estimate_advantages(rewards, torch.ones(1), 4, scale_rewards=scale)[3].item()

    found = [round(advantage(last, "group"), 2) for last in (0.99, 0.9999, 0.999999)]
    assert found == [-1.47, -0.5, -0.01] and advantage(0.99, "none") == pytest.approx(-0.0075, rel=1e-4)


def test_without_its_1e_4_the_loss_by_hand_fails_its_check_and_is_nan_for_equal_rewards():
    imports, by_hand = [c.source for c in read_source(FOLDER / "01_family.py").cells if c.cell_type == "code"][:2]
    names: dict = {}
    exec(imports, names)
    with pytest.raises(AssertionError, match="not close"):
        exec(by_hand.replace(" + 1e-4)", ")"), names)
    logps, mask = -torch.rand(2, 3), torch.ones(2, 3)
    assert names["grpo_by_hand"](logps, logps, logps, torch.ones(2), mask, 2).isnan()
