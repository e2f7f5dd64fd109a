import pytest
import torch

from workbench.engine.evaluate import evaluate, load_adapter
from workbench.errors import ConfigError
from workbench.run.config import RunConfig
from workbench.run.knobs import Knobs

TINY = RunConfig(model="tiny", task="addition", device="cpu")
SAMPLING = Knobs(num_generations=4, max_completion_length=48)


def test_the_same_policy_is_found_as_good_each_time_and_a_broken_one_never_right(make_policy, tmp_path):
    first, again = (evaluate(TINY, SAMPLING, None, num_prompts=8) for _ in range(2))
    assert first == again and 0 < first.right < 1 and 0 < first.reward < 1.5
    policy = make_policy(model="tiny")
    for weight in policy.trainable:
        torch.nn.init.normal_(weight)
    policy.save_adapter(tmp_path)
    broken = evaluate(TINY, SAMPLING, tmp_path, num_prompts=8)
    assert broken.right == 0 and broken.reward < first.reward


def test_a_loaded_adapter_is_the_one_that_was_saved(make_policy, tmp_path):
    policy, other = make_policy(model="tiny"), make_policy(model="tiny", seed=5)
    for weight in policy.trainable:
        torch.nn.init.normal_(weight)
    policy.save_adapter(tmp_path)
    load_adapter(other, tmp_path)
    assert all(torch.equal(a, b) for a, b in zip(policy.trainable, other.trainable, strict=True))


def test_an_adapter_that_does_not_fit_or_is_not_there_is_refused(make_policy, tmp_path):
    with pytest.raises(ConfigError, match="holds no adapter"):
        load_adapter(make_policy(model="tiny"), tmp_path)
    make_policy(model="tiny", lora_r=4).save_adapter(tmp_path / "small")
    with pytest.raises(ConfigError, match="another LoRA rank"):
        load_adapter(make_policy(model="tiny"), tmp_path / "small")
