import pytest

from workbench.tasks.tags import is_well_formed, parse_integer, read_answer, read_thinking


@pytest.mark.parametrize(
    ("completion", "answer"),
    [
        ("</think><answer> 7 </answer>", "7"),
        ("<answer>1</answer><answer>2</answer>", "2"),
        ("<answer>1</answer><answer>2", "1"),
        ("<answer>1<answer>2</answer>", "2"),
        ("7", None),
        ("", None),
    ],
)
def test_the_answer_is_the_last_complete_tag(completion, answer):
    assert read_answer(completion) == answer


def test_thinking_ends_at_its_tag_or_at_the_answer():
    assert read_thinking("<think>a; b</think><answer>1</answer>") == "a; b"
    assert read_thinking("a; b<answer>1</answer>") == "a; b"


@pytest.mark.parametrize(
    ("value", "integer"),
    [
        ("98", 98),
        (" -3 ", -3),
        (98, 98),
        (98.0, 98),
        (98.5, None),
        ("9.8", None),
        ("", None),
        (None, None),
        (True, None),
        ("٣", None),
        ("²", None),
        ("1" * 5000, None),
    ],
)
def test_an_integer_is_read_only_where_one_is_written(value, integer):
    assert parse_integer(value) == integer


@pytest.mark.parametrize(
    ("completion", "ok"),
    [
        ("a</think><answer>7</answer>", True),
        ("<think>a 1<2</think>\n<answer>7</answer>\n", True),
        ("a<answer>7</answer>", False),
        ("a</think></think><answer>7</answer>", False),
        ("a</think><answer>7</answer> so", False),
        ("a</think><answer>7</answer><answer>7</answer>", False),
        ("a</think><answer>x</answer>", False),
        ("a</think>7", False),
    ],
)
def test_a_well_formed_completion_is_thinking_and_one_answer_and_nothing_else(completion, ok):
    assert is_well_formed(completion, "[0-9]+", needs_thinking=True) == ok


def test_thinking_may_be_left_out_where_it_is_not_needed():
    assert is_well_formed("<answer>7</answer>", "[0-9]+", needs_thinking=False)
    assert not is_well_formed("so <answer>7</answer>", "[0-9]+", needs_thinking=False)
