import torch

from tests.engine.arrays import PROMPTS
from workbench.engine.decoding import Decoder
from workbench.engine.prompts import encode_prompts


def alone(policy, prompt, continuation):
    """Return the next-token logits after one prompt and continuation, read in one pass without padding or memory."""
    ids = torch.tensor([[*policy.tokenizer(prompt)["input_ids"], *continuation]])
    with torch.no_grad():
        return policy.logits(ids, None, torch.arange(ids.shape[1])[None], num_last=1)[0, -1]


def test_every_row_decodes_as_if_it_were_alone(make_policy, any_folder):
    """Left padding, the repeated memory of a prompt, and rows that leave in the middle never mix rows up."""
    policy = make_policy(any_folder)
    decoder = Decoder(policy, encode_prompts(policy, PROMPTS), 2)
    rows = [(prompt, []) for prompt in PROMPTS for _ in range(2)]
    random = torch.Generator().manual_seed(0)
    for leaving in ([], [1], [0, 3], [], [0]):
        for i, (prompt, continuation) in enumerate(rows):
            torch.testing.assert_close(decoder.logits[i], alone(policy, prompt, continuation), atol=2e-4, rtol=1e-4)
        goes_on = torch.tensor([i not in leaving for i in range(len(rows))])
        token_ids = torch.randint(0, 262, (len(rows),), generator=random)
        rows = [(p, [*c, int(t)]) for (p, c), t, keep in zip(rows, token_ids, goes_on, strict=True) if keep]
        decoder.keep(goes_on.nonzero()[:, 0])
        decoder.advance(token_ids[goes_on])
    assert len(rows) == len(decoder.logits) == 2
