import pytest
from tokenizers import Tokenizer, decoders, models
from transformers import PreTrainedTokenizerFast

from workbench.engine.vocabulary import Vocabulary
from workbench.models.tokenizer import build_tokenizer


def texts_of(text: str) -> list[str]:
    tokenizer = build_tokenizer()
    vocabulary = Vocabulary(tokenizer)
    return [vocabulary[token_id] for token_id in tokenizer(text)["input_ids"]]


def test_bytes_that_are_no_character_alone_are_written_as_bytes():
    assert texts_of("你") == ["<0xE4>", "<0xBD>", "<0xA0>"]
    assert texts_of("好a") == ["<0xE5>", "<0xA5>", "<0xBD>", "a"]
    assert texts_of("🙂") == ["<0xF0>", "<0x9F>", "<0x99>", "<0x82>"]


def test_characters_blanks_tags_and_end_tokens_are_shown_as_they_are():
    assert texts_of("a =\n") == ["a", " ", "=", "\n"]
    assert texts_of("</think><answer>7") == ["</think>", "<answer>", "7"]
    assert Vocabulary(build_tokenizer())[1] == "<eos>"


def test_every_id_has_a_text_and_no_two_bytes_have_the_same():
    vocabulary = Vocabulary(build_tokenizer())
    texts = [vocabulary[token_id] for token_id in range(262)]
    assert all(texts) and len(set(texts)) == 262
    assert not any("\ufffd" in text for text in texts)


def test_an_id_beyond_the_tokenizer_is_shown_by_its_number():
    assert Vocabulary(build_tokenizer())[300] == "<id 300>"


@pytest.fixture
def sentencepiece() -> PreTrainedTokenizerFast:
    """A tokenizer as Llama 2's: words begin with ▁, what is not in it is written in bytes."""
    symbols = ["<unk>", "</s>", "▁the", "cat", "▁", "<0xE4>", "<0x0A>"]
    backend = Tokenizer(
        models.BPE(vocab={symbol: i for i, symbol in enumerate(symbols)}, merges=[], byte_fallback=True)
    )
    backend.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<unk>", eos_token="</s>")


def test_a_word_keeps_the_space_in_front_of_it(sentencepiece):
    vocabulary = Vocabulary(sentencepiece)
    assert [vocabulary[i] for i in range(7)] == ["<unk>", "</s>", " the", "cat", " ", "<0xE4>", "\n"]
