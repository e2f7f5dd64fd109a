import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.tasks.expression import parse_expression

numbers = st.integers(0, 999_999_999)
terms = st.tuples(numbers, st.lists(st.tuples(st.sampled_from("+-"), numbers), max_size=63))
spaces = st.text(" \t", max_size=2)


@given(terms, spaces)
def test_a_written_expression_parses_to_its_terms_and_its_value_is_pythons(expression, space):
    first, rest = expression
    text = space + str(first) + "".join(f"{space}{sign}{space}{number}" for sign, number in rest) + space
    parsed = parse_expression(text)
    assert parsed == [first, *(number if sign == "+" else -number for sign, number in rest)]
    assert sum(parsed) == eval(text.strip())  # a second route, on text that this test wrote itself


@given(st.text("0123456789+-*/() x_.²٣", max_size=12))
def test_any_other_text_is_refused_and_never_raises(text):
    parsed = parse_expression(text)
    assert parsed is None or set(text) <= set("0123456789+- ")


@pytest.mark.parametrize(
    "text", ["", "-5+2", "5--2", "5+", "(5-2)", "5*2", "5 2", "٣+1", "1" * 10, "1+" * 64 + "1", "5;2"]
)
def test_refused_texts(text):
    assert parse_expression(text) is None
