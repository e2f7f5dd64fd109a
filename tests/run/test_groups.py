import numpy as np
import pytest

from tests.run.records import is_same, make_record
from workbench.run.knobs import Knobs

RECORD = make_record(1, Knobs(num_iterations=2), lengths=((3, 2), (0, 1), (4, 4)))


def test_the_columns_are_all_completions_one_after_the_other():
    completions = [c for group in RECORD.groups for c in group.completions]
    assert [len(c.token_ids) for c in completions] == [3, 2, 0, 1, 4, 4]
    for name, column in RECORD.groups.columns.items():
        axis = 1 if name.endswith("_by_update") else 0
        np.testing.assert_array_equal(np.concatenate([getattr(c, name) for c in completions], axis=axis), column)
    assert RECORD.groups.num_tokens == 14


def test_a_group_is_the_same_object_each_time_and_is_made_without_those_before_it():
    groups = make_record(1, lengths=((3, 2), (0, 1), (4, 4))).groups
    last = groups[-1]
    assert last is groups[2] is groups[1:][1] is tuple(groups)[2] and len(groups[:]) == 3
    assert is_same(last.completions[0].entropy, groups.columns["entropy"][6:10])
    assert last.completions[0].text == groups.plain[2]["completions"][0]["text"]


@pytest.mark.parametrize("index", [3, -4])
def test_a_group_that_is_not_there_is_an_index_error(index):
    with pytest.raises(IndexError):
        RECORD.groups[index]


def test_what_is_looked_at_cannot_be_changed_by_accident():
    with pytest.raises(ValueError, match="read-only"):
        RECORD.groups.columns["entropy"][0] = 0
    with pytest.raises(ValueError, match="read-only"):
        RECORD.groups[0].completions[0].entropy[0] = 0


def test_other_columns_leave_the_groups_as_they_were():
    zeros = np.zeros(14, dtype=np.float32)
    other = RECORD.groups.with_columns({"entropy": zeros})
    assert is_same(other[0].completions[0].entropy, zeros[:3])
    assert is_same(other[0].completions[0].logps, RECORD.groups[0].completions[0].logps)
    assert not is_same(RECORD.groups[0].completions[0].entropy, zeros[:3])


def test_groups_are_shown_as_a_tuple_of_them():
    assert repr(RECORD.groups) == repr(tuple(RECORD.groups))
    assert repr(RECORD.groups).startswith("(GroupRecord('a0'")
