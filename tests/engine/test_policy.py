import json
import shutil

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer, MambaConfig, MambaForCausalLM

from tests.conftest import save_model
from tests.engine.arrays import PROMPTS, run_steps
from workbench.engine import loading
from workbench.engine.policy import load_policy
from workbench.engine.prompts import encode_prompts
from workbench.errors import ConfigError
from workbench.run.knobs import Knobs


def logits_of(policy):
    prompts = encode_prompts(policy, PROMPTS)
    with torch.no_grad():
        return policy.logits(prompts.ids, prompts.mask, prompts.positions, num_last=1)[:, -1]


def test_the_reference_is_the_base_model(make_policy, any_folder):
    policy = make_policy(any_folder)
    base = AutoModelForCausalLM.from_pretrained(any_folder).eval()
    prompts = encode_prompts(policy, PROMPTS)
    with torch.no_grad(), policy.reference():
        ours = policy.logits(prompts.ids, prompts.mask, prompts.positions, num_last=1)
        theirs = base(prompts.ids, attention_mask=prompts.mask.long(), position_ids=prompts.positions).logits[:, -1:]
    torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-6)


def test_a_fresh_policy_is_the_reference_and_only_the_adapter_is_trained(make_config):
    policy = load_policy(make_config())
    with policy.reference():
        reference = logits_of(policy)
    assert torch.equal(logits_of(policy), reference)
    trained = [name for name, weight in policy.model.named_parameters() if weight.requires_grad]
    assert trained and all("lora_" in name for name in trained)
    assert not policy.model.training


def test_the_adapter_can_be_trained_again_after_it_was_merged_or_switched_off(make_policy):
    policy = make_policy()
    before = [id(weight) for weight in policy.trainable]
    with policy.merged():
        pass
    with policy.reference():
        pass
    assert [id(weight) for weight in policy.trainable] == before


def test_the_saved_adapter_loads_with_peft_and_is_the_same_policy(make_policy, any_folder, tmp_path):
    policy = make_policy(any_folder)
    for _ in range(2):  # the second save replaces the first
        policy.save_adapter(tmp_path / "adapter")
    loaded = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(any_folder), tmp_path / "adapter").eval()
    prompts = encode_prompts(policy, PROMPTS)
    with torch.no_grad():
        theirs = loaded(prompts.ids, attention_mask=prompts.mask.long(), position_ids=prompts.positions).logits[:, -1]
    torch.testing.assert_close(logits_of(policy), theirs, atol=1e-5, rtol=1e-5)
    assert json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())["r"] == 8
    assert [path.name for path in tmp_path.iterdir()] == ["adapter"], "nothing temporary is left"


def test_the_same_seed_makes_the_same_adapter_and_touches_no_other_randomness(make_config):
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    first, second = (load_policy(make_config(seed=3)) for _ in range(2))
    assert torch.equal(torch.rand(1), expected)
    assert all(map(torch.equal, first.trainable, second.trainable))
    other = load_policy(make_config(seed=4))
    assert not all(map(torch.equal, first.trainable, other.trainable))


def test_every_id_that_ends_a_completion_is_known(make_config, qwen2_folder, llama_folder):
    assert load_policy(make_config(model=str(qwen2_folder))).eos_ids == (1, 5)
    assert load_policy(make_config(model=str(llama_folder))).eos_ids == (1,)


def test_what_cannot_be_loaded_is_told_in_a_sentence(make_config, llama_folder, tmp_path):
    (tmp_path / "config.json").write_text((llama_folder / "config.json").read_text())
    with pytest.raises(ConfigError, match="could not be loaded"):
        load_policy(make_config(model=str(tmp_path)))
    if not torch.cuda.is_available():
        with pytest.raises(ConfigError, match="torch sees no CUDA device here"):
            load_policy(make_config(device="cuda"))


def test_a_model_of_the_hub_is_read_from_where_it_was_downloaded_while_the_hub_is_silent(
    make_config, llama_folder, monkeypatch
):
    monkeypatch.setattr(loading, "hub_answers", lambda: False)
    monkeypatch.setattr(loading, "downloaded_model", {"org/llama": str(llama_folder)}.__getitem__)
    policy, local = load_policy(make_config(model="org/llama")), load_policy(make_config(model=str(llama_folder)))
    assert all(map(torch.equal, policy.frozen, local.frozen))


def test_weights_that_were_copied_by_half_are_told_in_a_sentence(make_config, llama_folder, tmp_path):
    shutil.copytree(llama_folder, tmp_path / "half")
    weights = tmp_path / "half" / "model.safetensors"
    for length in (0, 4, weights.stat().st_size // 2):
        weights.write_bytes((llama_folder / "model.safetensors").read_bytes()[:length])
        with pytest.raises(ConfigError, match=r"model='.*half' could not be loaded: "):
            load_policy(make_config(model=str(tmp_path / "half")))


def test_a_padding_token_that_was_added_without_an_embedding_is_not_used(make_config, llama_folder, tmp_path):
    shutil.copytree(llama_folder, tmp_path / "model")
    tokenizer = AutoTokenizer.from_pretrained(llama_folder)
    tokenizer.add_special_tokens({"pad_token": "[PAD]"})
    tokenizer.save_pretrained(tmp_path / "model")
    policy = load_policy(make_config(model=str(tmp_path / "model")))
    assert policy.tokenizer.pad_token_id == len(tokenizer) - 1 and policy.pad_id == policy.eos_ids[0]


def test_a_model_without_an_end_token_is_refused(make_config, llama_folder, tmp_path):
    for path in llama_folder.iterdir():
        text = path.read_bytes()
        if path.suffix == ".json" and path.name != "tokenizer.json":
            text = json.dumps(
                {k: v for k, v in json.loads(text).items() if k not in ("eos_token", "eos_token_id")}
            ).encode()
        (tmp_path / path.name).write_bytes(text)
    with pytest.raises(ConfigError, match="no end-of-sequence token"):
        load_policy(make_config(model=str(tmp_path)))


def test_a_mixture_of_experts_is_trained_on_the_paths_that_it_can_take(make_config, experts_folder):
    knobs = Knobs(num_generations=4, max_completion_length=6, num_iterations=2, learning_rate=0.01, beta=0.1)
    runs = [
        run_steps(make_config(model=str(experts_folder), plain_paths=paths), knobs, 2, reward_funcs=[sum_of_ids])
        for paths in ((), ("all",))
    ]
    for record, plain in zip(*runs, strict=True):
        assert record.fast_paths and not plain.fast_paths and record.limits == {}
        assert not {"merged_rollout", "folded_update"} & set(record.fast_paths)
        assert record.metrics["sampling/sampling_logp_difference/max"] < 1e-5 < record.metrics["grad_norm"]
        assert record.metrics["grad_norm"] == pytest.approx(plain.metrics["grad_norm"], rel=1e-4)


def sum_of_ids(completion_ids, **columns):
    return [float(sum(ids) % 7) for ids in completion_ids]


def test_a_model_that_takes_no_adapter_is_told_in_a_sentence(make_config, tmp_path):
    config = MambaConfig(vocab_size=64, hidden_size=16, num_hidden_layers=1, state_size=4, eos_token_id=1)
    folder = save_model(MambaForCausalLM(config), tmp_path / "mamba")
    with pytest.raises(ConfigError, match=r"mamba': its adapter could not be loaded: .*Mamba"):
        load_policy(make_config(model=str(folder)))
