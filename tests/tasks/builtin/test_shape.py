import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import ConfigError
from workbench.tasks.builtin.shape import RepetitionPenalty, SoftOverlongPunishment, think_format_reward

pieces = st.sampled_from(["<think>", "</think>", "<think", "a", "\n", "答", " ", ""])
completions = st.lists(st.lists(pieces, max_size=7).map("".join), max_size=6)
token_ids = st.lists(st.lists(st.integers(0, 3), max_size=24), max_size=6)


@given(completions)
def test_the_form_of_thinking_is_judged_as_by_trl(texts):
    trl = pytest.importorskip("trl.rewards")
    messages = [[{"role": "assistant", "content": text}] for text in texts]
    ours = think_format_reward(completions=texts, prompts=["?"] * len(texts), completion_ids=None)
    assert ours == think_format_reward(completions=messages) == trl.think_format_reward(messages)
    assert all(reward.reason for reward in ours)


@pytest.mark.parametrize(
    ("text", "reward", "reason"),
    [
        ("<think>a\nb</think>c", 1, "at the beginning"),
        ("<think></think>", 1, "at the beginning"),
        (" <think>a</think>", 0, "does not begin"),
        ("<think>a<think>b</think>", 0, "more than once"),
        ("<think>a</think><think>", 0, "more than once"),
        ("<think>a", 0, "never closes"),
        ("", 0, "does not begin"),
    ],
)
def test_the_reason_says_what_is_wrong_with_the_form(text, reward, reason):
    (judged,) = think_format_reward([text])
    assert judged == reward and reason in judged.reason


@given(token_ids, st.integers(1, 20), st.integers(0, 30))
def test_overlong_completions_are_punished_as_by_trl(ids, longest, cache):
    trl = pytest.importorskip("trl.rewards")
    theirs = trl.get_soft_overlong_punishment(max_completion_len=longest, soft_punish_cache=cache)
    ours = SoftOverlongPunishment(longest, cache)
    assert ours(prompts=["?"], completions=[""], completion_ids=ids) == theirs(completion_ids=ids)
    assert ours.__name__ == theirs.__name__


@given(token_ids, st.integers(1, 5), st.floats(-5, 0))
def test_repetition_is_punished_as_by_trl(ids, size, penalty):
    trl = pytest.importorskip("trl.rewards")
    theirs = trl.get_repetition_penalty_reward(ngram_size=size, max_penalty=penalty)
    ours = RepetitionPenalty(size, penalty)
    assert ours(prompts=["?"], completions=[""], completion_ids=ids) == theirs(completion_ids=ids)
    assert ours.__name__ == theirs.__name__


def test_the_reasons_count_what_is_punished():
    (overlong,) = SoftOverlongPunishment(10, 4)([[0] * 7])
    assert (overlong, overlong.reason) == (-0.25, "7 tokens, 1 of 4 into the cache")
    (repeated,) = RepetitionPenalty(2)([[5, 5, 5, 5, 5]])
    assert (repeated, repeated.reason) == (-0.75, "3 of 4 runs of 2 tokens are repeats")


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: SoftOverlongPunishment(0, 0), "max_completion_len=0 is not a whole number of at least 1"),
        (lambda: SoftOverlongPunishment(8, -1), "soft_punish_cache=-1 is not"),
        (lambda: SoftOverlongPunishment(8.5, 1), "max_completion_len=8.5 is not"),
        (lambda: SoftOverlongPunishment(True, 0), "max_completion_len=True is not"),
        (lambda: RepetitionPenalty(0), "ngram_size=0 is not a whole number of at least 1"),
        (lambda: RepetitionPenalty(3, 0.5), "max_penalty=0.5 is not a finite number of at most 0"),
        (lambda: RepetitionPenalty(3, float("-inf")), "max_penalty=-inf is not a finite number"),
        (lambda: RepetitionPenalty(3, "1"), "max_penalty='1' is not a finite number"),
    ],
)
def test_arguments_outside_their_range_are_refused_with_what_is_allowed(make, sentence):
    with pytest.raises(ConfigError, match=sentence):
        make()
