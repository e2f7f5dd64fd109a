import math
import threading
import time
from dataclasses import asdict, fields
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import KnobError
from workbench.run.knobs import KnobBoard, Knobs, knob_differences, knob_spec, knob_specs

NUMBERS = [spec for spec in knob_specs().values() if spec.kind in ("int", "float")]
WHOLE = [spec for spec in NUMBERS if spec.kind == "int"]
SWITCHES = [spec for spec in knob_specs().values() if spec.kind == "bool"]
CHOICES = [spec for spec in knob_specs().values() if spec.kind == "choice"]
NO_NUMBERS = [math.nan, math.inf, -math.inf, "0.1", "", [], {}, object(), True, False, 1j, 10**400, -(10**400)]


def test_a_number_knob_refuses_whatever_is_no_finite_number_and_says_what_it_takes():
    for spec in NUMBERS:
        for bad in NO_NUMBERS:
            with pytest.raises(KnobError) as refused:
                Knobs(**{spec.name: bad})
            assert str(refused.value).startswith(f"{spec.name}=")
            assert f"in [{spec.low:g}, {spec.high:g}]" in str(refused.value)


def test_a_number_knob_takes_its_ends_and_refuses_the_next_number_beyond():
    for spec in NUMBERS:
        assert spec.check(spec.low) == spec.low and spec.check(spec.high) == spec.high
        step = 1 if spec.kind == "int" else 1e-9
        for beyond in (spec.low - step, spec.high + max(step, spec.high * 1e-9)):
            with pytest.raises(KnobError, match=spec.name):
                Knobs(**{spec.name: beyond})


def test_a_whole_number_knob_takes_a_whole_float_as_an_int_and_refuses_a_half():
    for spec in WHOLE:
        value = spec.check(float(spec.low))
        assert value == spec.low and type(value) is int
        with pytest.raises(KnobError, match=r"a whole number in \["):
            spec.check(spec.low + 0.5)


def test_a_scalar_of_numpys_is_taken_as_pythons_own():
    given = {
        "num_generations": np.int64(8),
        "beta": np.float32(0.5),
        "use_bias_correction_kl": np.True_,
        "top_k": np.uint8(3),
    }
    knobs = Knobs().changed(given | {"loss_type": np.str_("dapo"), "epsilon": Fraction(1, 4)})
    expected = {"num_generations": 8, "beta": 0.5, "use_bias_correction_kl": True, "top_k": 3}
    assert knobs == Knobs(**expected, loss_type="dapo", epsilon=0.25)
    for name, value in (expected | {"loss_type": "dapo", "epsilon": 0.25}).items():
        assert type(getattr(knobs, name)) is type(value)
    for bad in (np.int64(1), np.float64(2.5), np.nan, np.True_, np.str_("8"), np.complex64(8), np.array([8])):
        with pytest.raises(KnobError, match=r"num_generations=.* a whole number in"):
            Knobs().changed({"num_generations": bad})


def test_a_choice_knob_takes_each_of_its_choices_and_refuses_everything_else_listing_them():
    for spec in CHOICES:
        for choice in spec.choices:
            assert spec.check(choice) == choice
        for bad in ("", "GRPO", "nonsense", 1, None, True, ["grpo"]):
            with pytest.raises(KnobError) as refused:
                Knobs(**{spec.name: bad})
            assert all(choice in str(refused.value) for choice in spec.choices)


def test_a_switch_takes_true_and_false_and_on_a_command_line_their_spellings():
    assert SWITCHES
    for spec in SWITCHES:
        assert spec.check(True) is True and spec.check(False) is False
        assert [spec.parse(text) for text in ("true", "False", "1", "0")] == [True, False, True, False]
        for bad in (1, 0, "true", None, "yes"):
            with pytest.raises(KnobError, match="must be true or false"):
                spec.check(bad)


def test_none_is_taken_by_the_optional_knobs_alone():
    for spec in knob_specs().values():
        if spec.optional:
            assert getattr(Knobs(**{spec.name: None}), spec.name) is None
        else:
            with pytest.raises(KnobError, match=spec.name):
                Knobs(**{spec.name: None})


def test_an_unknown_name_is_refused_with_the_list_of_names():
    for refuse in (
        lambda: Knobs().changed({"betta": 1}),
        lambda: KnobBoard(Knobs()).propose(betta=1),
        lambda: knob_spec("betta"),
    ):
        with pytest.raises(KnobError) as refused:
            refuse()
        assert "betta" in str(refused.value)
        assert all(name in str(refused.value) for name in knob_specs())


@given(st.sampled_from(NUMBERS), st.floats() | st.integers() | st.text(max_size=3) | st.booleans() | st.none())
def test_a_value_is_either_refused_by_name_or_becomes_a_number_in_range(spec, value):
    try:
        taken = spec.check(value)
    except KnobError as refused:
        assert spec.name in str(refused)
    else:
        assert taken is None if value is None else spec.low <= taken <= spec.high
        assert taken is None or type(taken) is {"int": int, "float": float}[spec.kind]


def test_every_knob_is_a_field_with_a_valid_default_a_slider_inside_its_range_and_words_in_two_languages():
    assert [f.name for f in fields(Knobs)] == list(knob_specs())
    for spec in knob_specs().values():
        assert spec.check(spec.default) == spec.default
        assert len(spec.label) == len(spec.help) == 2 and all((*spec.label, *spec.help))
        assert spec.takes_effect in ("update", "sampling")
        if spec.slider is not None:
            low, high, step = spec.slider
            assert spec.low <= low < high <= spec.high and 0 < step <= high - low


def test_text_from_a_command_line_is_read_as_the_value_it_spells():
    for spec in knob_specs().values():
        assert spec.parse(str(spec.default)) == spec.default
        for bad in ("nan", "inf", "one", "1e999", "0x10", "--1"):
            with pytest.raises(KnobError, match=spec.name):
                spec.parse(bad)
    assert knob_spec("num_generations").parse("16") == 16
    assert knob_spec("learning_rate").parse("1e-5") == 1e-5
    assert knob_spec("delta").parse("none") is None


def test_the_differences_are_exactly_what_was_changed():
    old = Knobs()
    new = old.changed({"beta": 0.5, "delta": 2.0, "num_generations": old.num_generations})
    assert knob_differences(old, new) == {"beta": (0.0, 0.5), "delta": (None, 2.0)}
    assert old.changed({name: new for name, (_, new) in knob_differences(old, new).items()}) == new


def test_a_proposal_with_one_bad_value_changes_nothing():
    board = KnobBoard(Knobs())
    board.propose(beta=0.1)
    before = board.read()
    for bad in ({"epsilon": 0.3, "beta": -1}, {"beta": 0.7, "nonsense": 1}, {"loss_type": "x", "epsilon": 0.1}):
        with pytest.raises(KnobError):
            board.propose(**bad)
        assert board.read() == before


def test_a_proposal_is_used_from_the_next_take_on_and_keeps_what_others_proposed():
    board = KnobBoard(Knobs())
    first = board.take()
    board.propose(beta=0.1)
    board.propose(epsilon=0.3)
    assert board.read()[0] is first and first.beta == 0.0
    second = board.take()
    assert (second.beta, second.epsilon) == (0.1, 0.3)
    assert asdict(second) == asdict(first) | {"beta": 0.1, "epsilon": 0.3}


@pytest.fixture
def slow_merge(monkeypatch):
    """Let the other threads run while a proposal is being merged, so that a missing lock shows."""
    changed = Knobs.changed

    def slow(knobs, changes):
        merged = changed(knobs, changes)
        time.sleep(0.0005)
        return merged

    monkeypatch.setattr(Knobs, "changed", slow)


def test_two_threads_of_fifty_proposals_are_never_taken_half_and_none_is_lost(slow_merge):
    """Each thread moves its own pair of knobs together; whoever takes meanwhile sees both or neither."""
    board = KnobBoard(Knobs(beta=0.0, epsilon=0.0, num_generations=2, max_completion_length=2))
    start, num_running, kept = threading.Barrier(3), threading.Semaphore(0), []

    def propose(*names: str, values) -> None:
        start.wait()
        for value in values:
            board.propose(**dict.fromkeys(names, value))
            kept.append(getattr(board.read()[1], names[0]) == value)
        num_running.release()

    threads = [
        threading.Thread(target=propose, args=("beta", "epsilon"), kwargs={"values": [i / 50 for i in range(1, 51)]}),
        threading.Thread(
            target=propose, args=("num_generations", "max_completion_length"), kwargs={"values": range(3, 53)}
        ),
    ]
    for thread in threads:
        thread.start()
    start.wait()
    taken = [board.take()]
    while num_running._value < 2:
        taken.append(board.take())
    for thread in threads:
        thread.join()
    taken.append(board.take())
    assert all(k.beta == k.epsilon and k.num_generations == k.max_completion_length for k in taken)
    assert (taken[-1].beta, taken[-1].num_generations) == (1.0, 52)
    assert len(kept) == 100 and all(kept), "no thread's proposal was undone by the other's"


def test_where_the_kl_goes_is_said_for_ppo_too_which_takes_it_off_token_by_token():
    english, chinese = knob_specs()["kl_in"].help
    assert "with method=ppo each token's" in english and "method=ppo 时则在每个词元处" in chinese
