from dataclasses import replace

import pytest
import torch
from tokenizers.processors import TemplateProcessing

from tests.engine.arrays import PROMPTS
from workbench.engine.demonstrations import read_texts
from workbench.engine.prompts import encode_prompts, render_prompt
from workbench.engine.reward_model import whole_text
from workbench.errors import ConfigError

MESSAGES = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "1+2=?"}]


def test_prompts_are_padded_on_the_left_and_their_positions_count_from_0(make_policy):
    prompts = encode_prompts(make_policy(), PROMPTS)
    longest = max(map(len, PROMPTS))
    assert prompts.ids.shape == (3, longest) and prompts.has_padding
    for text, ids, mask, positions in zip(PROMPTS, prompts.ids, prompts.mask, prompts.positions, strict=True):
        assert mask.tolist() == [False] * (longest - len(text)) + [True] * len(text)
        assert positions[mask].tolist() == list(range(len(text)))
        assert make_policy().tokenizer.decode(ids[mask]) == text
    assert not encode_prompts(make_policy(), ["1+2", "3+4"]).has_padding


def test_messages_become_the_text_of_the_chat_template_with_the_assistants_turn_opened(make_policy, chat_folder):
    policy = make_policy(chat_folder)
    assert render_prompt(policy.tokenizer, MESSAGES) == "<system>Be brief.\n<user>1+2=?\n<assistant>"
    assert render_prompt(policy.tokenizer, "1+2=?") == "1+2=?"
    prompts = encode_prompts(policy, [MESSAGES])
    assert policy.tokenizer.decode(prompts.ids[0]) == prompts.texts[0] == render_prompt(policy.tokenizer, MESSAGES)


def test_messages_without_a_chat_template_are_joined(make_policy):
    tokenizer = make_policy().tokenizer
    tokenizer.chat_template = None
    assert render_prompt(tokenizer, [*MESSAGES, {"role": "user", "content": None}]) == "Be brief.\n1+2=?\n"


@pytest.mark.parametrize("has_template", [True, False])
def test_a_content_given_as_parts_of_text_is_their_text(make_policy, chat_folder, has_template):
    tokenizer = make_policy(chat_folder).tokenizer
    if not has_template:
        tokenizer.chat_template = None
    parts = [{"type": "text", "text": "1+"}, {"type": "text", "text": "2=?"}]
    messages = [MESSAGES[0], {"role": "user", "content": parts}]
    assert render_prompt(tokenizer, messages) == render_prompt(tokenizer, MESSAGES)
    if has_template:
        assert whole_text(tokenizer, messages, []) == whole_text(tokenizer, MESSAGES, [])


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("{{ raise_exception('System role not supported') }}", "TemplateError: System role not supported"),
        ("{% for message in messages %}", "TemplateSyntaxError: "),
        ("{{ messages[0].content.first.second }}", "UndefinedError: "),
        ("{{ 'user: ' + messages }}", "TypeError: "),
    ],
)
def test_a_chat_template_that_refuses_the_messages_or_is_malformed_is_told_in_a_sentence(make_policy, template, reason):
    tokenizer = make_policy().tokenizer
    tokenizer.chat_template = template
    with pytest.raises(ConfigError, match=r"^the model's chat template cannot render the prompt .*'system'") as refused:
        render_prompt(tokenizer, MESSAGES)
    assert reason in str(refused.value)


def test_a_token_that_the_model_has_no_embedding_for_is_named(make_policy):
    policy = make_policy()
    size = len(policy.tokenizer)
    policy.tokenizer.add_tokens(["<tool>"])
    assert encode_prompts(policy, ["1+2=?"]).ids.shape == (1, 5)
    sentence = rf"token '<tool>' has the id {size}, and the model's embeddings end at {size - 1}: take the tokenizer"
    with pytest.raises(ConfigError, match=sentence):
        encode_prompts(policy, ["1+2=?", "1<tool>"])
    prompts = encode_prompts(policy, ["1+2=?"])
    with pytest.raises(ConfigError, match=sentence):
        read_texts(policy, prompts, ["3<tool>"], 8, 4)


def test_special_tokens_are_added_to_plain_text_and_not_once_more_to_a_chat_template_that_writes_them(make_policy):
    tokenizer = make_policy().tokenizer
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single="<eos> $A", special_tokens=[("<eos>", 1)])
    tokenizer.chat_template = "<eos>{% for message in messages %}{{ message['content'] }}{% endfor %}"
    policy = replace(make_policy(), tokenizer=tokenizer)
    expected = [1, *tokenizer("1+2=?", add_special_tokens=False)["input_ids"]]
    for prompt in ("1+2=?", [{"role": "user", "content": "1+2=?"}]):
        assert encode_prompts(policy, [prompt]).ids[0].tolist() == expected


def test_a_prompt_without_a_token_is_refused(make_policy):
    with pytest.raises(ConfigError, match="the prompt '' has no token"):
        encode_prompts(make_policy(), ["1+2=?", ""])


def test_a_prompt_must_leave_room_for_one_token(make_policy):
    policy = make_policy()
    limit = policy.model.config.max_position_embeddings
    assert encode_prompts(policy, ["1" * (limit - 1)]).ids.shape == (1, limit - 1)
    with pytest.raises(ConfigError, match=f"has {limit} tokens; the model takes fewer than {limit}"):
        encode_prompts(policy, ["1" * limit])


def test_any_unicode_text_is_encoded_and_comes_back(make_policy):
    policy = make_policy()
    for text in ("你好 ≠ β", "emoji 🙂", "\n\t ", "<answer>", "\x00"):
        assert policy.tokenizer.decode(encode_prompts(policy, [text]).ids[0]) == text
    assert torch.equal(encode_prompts(policy, ["ab"]).ids, encode_prompts(policy, ["ab"]).ids)
