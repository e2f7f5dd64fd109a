"""The bundled tokenizer: one token per byte, so any text goes in and comes out, and six tokens for the tags."""

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

CONTROL_TOKENS = ("<pad>", "<eos>")  # dropped by skip_special_tokens, like any model's
TAG_TOKENS = ("<think>", "</think>", "<answer>", "</answer>")  # kept in decoded text: the reward functions read them


def build_tokenizer() -> PreTrainedTokenizerFast:
    """Return the tokenizer: ids 0 to 5 are the special tokens, 6 to 261 the bytes.

    Nothing is added around a text; padding is on the left; the chat template joins the messages' contents as they are.
    """
    specials = [*CONTROL_TOKENS, *TAG_TOKENS]
    symbols = specials + sorted(pre_tokenizers.ByteLevel.alphabet())
    backend = Tokenizer(models.BPE(vocab={symbol: index for index, symbol in enumerate(symbols)}, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in CONTROL_TOKENS])
    backend.add_tokens([AddedToken(token, special=False, normalized=False) for token in TAG_TOKENS])
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token="<pad>",
        eos_token="<eos>",
        padding_side="left",
        clean_up_tokenization_spaces=False,
        model_max_length=512,
        chat_template="{% for message in messages %}{{ message['content'] }}{% endfor %}",
    )
