import os

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM, AutoTokenizer

from workbench.models.location import model_location
from workbench.models.make_tiny import Recipe, make_tiny
from workbench.models.sample import sampled_accuracy
from workbench.models.tokenizer import CONTROL_TOKENS, TAG_TOKENS
from workbench.tasks.registry import TASKS

FOLDER = model_location("tiny")
TOKENIZER = AutoTokenizer.from_pretrained(FOLDER)


@pytest.fixture(scope="module")
def tiny():
    return AutoModelForCausalLM.from_pretrained(FOLDER).eval()


def test_the_folder_is_small_and_readable_by_all():
    files = list(os.scandir(FOLDER))
    assert sum(file.stat().st_size for file in files) < 4_000_000
    assert all(file.stat().st_mode & 0o444 == 0o444 for file in files)


@given(st.text(max_size=50))
def test_any_text_comes_back(text):
    assert TOKENIZER.decode(TOKENIZER(text)["input_ids"]) == text


@given(st.lists(st.sampled_from([*TAG_TOKENS, " ", "25+73=?", "你好", "<answer"])))
def test_tags_come_back_among_any_text_even_without_special_tokens(parts):
    text = "".join(parts)
    assert TOKENIZER.decode(TOKENIZER(text)["input_ids"], skip_special_tokens=True) == text


def test_special_tokens_are_single_distinct_and_never_added():
    ids = [TOKENIZER(token)["input_ids"] for token in (*CONTROL_TOKENS, *TAG_TOKENS)]
    assert ids == [[0], [1], [2], [3], [4], [5]]
    assert (TOKENIZER.pad_token_id, TOKENIZER.eos_token_id, TOKENIZER.padding_side) == (0, 1, "left")
    assert len(TOKENIZER("7")["input_ids"]) == 1 and len(TOKENIZER("字")["input_ids"]) == 3
    assert TOKENIZER.decode([0, 5, 1], skip_special_tokens=True) == "</answer>"


def test_messages_become_their_contents():
    messages = [{"role": "user", "content": "25+73=?"}]
    assert TOKENIZER.apply_chat_template(messages, tokenize=False, add_generation_prompt=True) == "25+73=?"


def test_the_model_loads_in_float32_with_the_tokenizers_vocabulary(tiny):
    assert {parameter.dtype for parameter in tiny.parameters()} == {torch.float32}
    assert tiny.config.vocab_size == len(TOKENIZER)
    assert (tiny.config.pad_token_id, tiny.config.eos_token_id) == (0, 1)


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_samples_are_right_about_half_of_the_time_and_wrong_in_many_ways(tiny, task):
    sampled = sampled_accuracy(tiny, TOKENIZER, task, num_samples=256, temperature=1.0, seed=0)
    truth = task.reward_functions[0].__name__
    assert 0.25 <= sampled.rewards[truth] <= 0.65
    assert sampled.mean_length <= 28 and sampled.share_truncated < 0.02
    assert sampled.rewards["format"] < 0.95


def test_making_the_model_twice_gives_the_same_bytes(tmp_path):
    recipe = Recipe(hidden_size=16, intermediate_size=16, batch_size=8, num_faultless_steps=3, num_habit_steps=3)
    first, second = tmp_path / "first", tmp_path / "second"
    make_tiny(first, recipe)
    make_tiny(second, recipe)
    for file in os.scandir(first):
        assert (second / file.name).read_bytes() == (first / file.name).read_bytes(), file.name
