"""Reward models that somebody else trained, as reward functions."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from huggingface_hub import constants
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    GPT2Config,
    GPT2ForSequenceClassification,
    LlamaForSequenceClassification,
)

from tests.conftest import ROLES_TEMPLATE, make_llama, save_model
from tests.engine.arrays import run_steps
from workbench.engine.reward_model import load_reward_model
from workbench.engine.rewards import judge_completions, make_judge
from workbench.errors import ConfigError
from workbench.models.tokenizer import build_tokenizer
from workbench.run.check import check_run
from workbench.run.config import RunConfig
from workbench.run.knobs import Knobs
from workbench.tasks.registry import get_task
from workbench.tasks.rewards import RewardError

CONFIG = RunConfig(device="cpu")
TASK = get_task("addition")
PROMPTS = ["1+2=?", "12+34=?", "a much longer prompt: 1+2=?"]
COMPLETIONS = ["3</think><answer>3</answer>", "", "5; check; check"]


def llama(folder: Path, num_labels=1, **tokenizer_settings) -> Path:
    config = make_llama().config
    config.num_labels = num_labels
    torch.manual_seed(0)
    return save_model(LlamaForSequenceClassification(config), folder, **tokenizer_settings)


def gpt2(folder: Path) -> Path:
    """Without a padding token of its own."""
    torch.manual_seed(1)
    config = GPT2Config(
        vocab_size=262, n_layer=2, n_embd=32, n_head=2, n_positions=96, num_labels=1, initializer_range=0.2
    )
    return save_model(GPT2ForSequenceClassification(config), folder, pad_token=None)


def bert(folder: Path) -> Path:
    """Every token sees every other one: what stands on the padding would be seen."""
    torch.manual_seed(2)
    config = BertConfig(
        vocab_size=len(build_tokenizer()),
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=96,
        num_labels=1,
        initializer_range=0.2,
    )
    return save_model(BertForSequenceClassification(config), folder, chat_template=ROLES_TEMPLATE)


@pytest.fixture(scope="session")
def reward_folder(tmp_path_factory) -> Path:
    return llama(tmp_path_factory.mktemp("models") / "small-reward", chat_template=ROLES_TEMPLATE)


@pytest.fixture(params=[llama, gpt2, bert], ids=lambda make: make.__name__)
def any_reward_folder(request, tmp_path) -> Path:
    return request.param(tmp_path / "any-reward")


def scores_of(folder, prompts, completions, config=CONFIG):
    return load_reward_model(str(folder), config)(prompts, completions)


def conversation(prompts, completions):
    return (
        [[{"role": "system", "content": "Be brief."}, {"role": "user", "content": prompt}] for prompt in prompts],
        [[{"role": "assistant", "content": completion}] for completion in completions],
    )


def test_a_score_is_the_only_logit_of_prompt_and_completion_read_as_one_text(any_reward_folder):
    model = load_reward_model(str(any_reward_folder), CONFIG)
    for prompt, completion, score in zip(PROMPTS, COMPLETIONS, model(PROMPTS, COMPLETIONS), strict=True):
        ids = model.tokenizer(prompt + completion, return_tensors="pt")["input_ids"]
        with torch.no_grad():
            expected = model.model(ids).logits
        assert expected.shape == (1, 1)
        assert score == pytest.approx(expected.item(), abs=1e-5)
        assert score.reason == "the score that any-reward gives"
    assert len({round(score, 4) for score in model(PROMPTS, COMPLETIONS)}) == 3


@pytest.mark.parametrize("kind", ["text", "conversation"])
def test_names_and_scores_are_those_of_trls_trainer(any_reward_folder, llama_folder, tmp_path, kind):
    trl = pytest.importorskip("trl", reason="TRL is not installed: nothing to compare with")
    datasets = pytest.importorskip("datasets")
    prompts, completions = (PROMPTS, COMPLETIONS) if kind == "text" else conversation(PROMPTS, COMPLETIONS)
    trainer = trl.GRPOTrainer(
        model=str(llama_folder),
        reward_funcs=[str(any_reward_folder)],
        args=trl.GRPOConfig(output_dir=str(tmp_path), use_cpu=True, bf16=False, report_to="none", num_generations=8),
        train_dataset=datasets.Dataset.from_list([{"prompt": prompt} for prompt in prompts]),
    )
    trainer.reward_funcs[0].eval()
    inputs = [{"prompt": prompt} for prompt in prompts]
    theirs = trainer._calculate_rewards(inputs, prompts, completions, [[1]] * len(prompts))
    ours = load_reward_model(str(any_reward_folder), CONFIG)
    assert [ours.__name__] == trainer.reward_func_names
    assert torch.equal(torch.tensor(ours(prompts, completions)), theirs[:, 0])


def test_the_scores_do_not_depend_on_what_is_scored_beside_them_nor_on_the_batch_size(any_reward_folder):
    together = scores_of(any_reward_folder, PROMPTS, COMPLETIONS)
    for size in (1, 2):
        config = RunConfig(device="cpu", micro_batch_size=size)
        assert scores_of(any_reward_folder, PROMPTS, COMPLETIONS, config) == pytest.approx(together, abs=1e-5)


def test_functions_and_models_can_be_mixed_and_weighed(reward_folder):
    config = RunConfig(
        device="cpu", reward_funcs=("format", str(reward_folder), "answer"), reward_weights=(0.5, 2.0, 1.0)
    )
    check_run(config)
    judge = make_judge(config, TASK, None)
    assert list(judge.weights) == ["format", "small-reward", "answer"]
    assert judge.max_reward is None and judge.truth == "answer"
    examples = [{"prompt": "1+2=?", "target": "3"}]
    texts = ["0</think><answer>3</answer>", "nonsense"]
    judgement = judge_completions(judge, examples, texts, [[1]] * 2, 2)
    model = scores_of(reward_folder, ["1+2=?"] * 2, texts)
    rewards = judgement.by_function
    assert rewards["small-reward"] == model and rewards["answer"] == [1.0, 0.0]
    expected = [0.5 * rewards["format"][i] + 2.0 * model[i] + rewards["answer"][i] for i in range(2)]
    assert judgement.totals.tolist() == pytest.approx(expected)


def test_the_advantages_of_a_run_come_from_the_models_scores_and_the_record_shows_them(make_config, reward_folder):
    [record] = run_steps(
        make_config(reward_funcs=(str(reward_folder),)), Knobs(num_generations=4, max_completion_length=6), 1
    )
    assert record.reward_weights == {"small-reward": 1.0} and record.reward_max is None
    for group in record.groups:
        scores = scores_of(reward_folder, [group.prompt] * 4, [c.text for c in group.completions])
        assert [c.reward for c in group.completions] == pytest.approx(scores, abs=1e-5)
        assert all(c.rewards == {"small-reward": c.reward} and c.is_correct is None for c in group.completions)
        mean, std = np.mean(scores), np.std(scores, ddof=1)
        expected = [(score - mean) / (std + record.knobs.std_eps) for score in scores]
        assert [c.advantage for c in group.completions] == pytest.approx(expected, abs=1e-3)


def edit_json(file: Path, **changes):
    content = json.loads(file.read_text()) | changes
    file.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (
            lambda f: save_model(make_llama(), f),
            "no sequence-classification head: its architecture is LlamaForCausalLM",
        ),
        (lambda f: edit_json(f / "config.json", architectures=None), "head: its architecture is none"),
        (lambda f: llama(f, num_labels=3), "has 3 labels; a reward model has one"),
        (lambda f: edit_json(f / "config.json", id2label=None), "has 2 labels; a reward model has one"),
        (lambda f: [(f / name).unlink() for name in ("tokenizer.json", "tokenizer_config.json")], "has no tokenizer"),
        (lambda f: (f / "config.json").write_text("{"), "its config.json cannot be read"),
        (lambda f: (f / "config.json").write_text("[]"), "its config.json holds no object"),
    ],
)
def test_a_folder_that_holds_no_reward_model_is_refused_before_the_run_and_by_the_engine(
    reward_folder, tmp_path, spoil, sentence
):
    folder = shutil.copytree(reward_folder, tmp_path / "spoilt")
    spoil(folder)
    config = RunConfig(device="cpu", reward_funcs=(str(folder),))
    for refuse in (check_run, lambda config: make_judge(config, TASK, None)):
        with pytest.raises(ConfigError, match=sentence) as refused:
            refuse(config)
        assert "\n" not in str(refused.value) and repr(str(folder)) in str(refused.value)


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda f: (f / "model.safetensors").unlink(), "could not be loaded"),
        (lambda f: (f / "tokenizer.json").write_text("{"), "its tokenizer could not be loaded"),
        (
            lambda f: [edit_json(f / "tokenizer_config.json", pad_token=None, eos_token=None)],
            "neither a padding nor an end token",
        ),
        (lambda f: make_llama().save_pretrained(f) or edit_json(f / "config.json", **CLASSIFIER), "lacks score.weight"),
    ],
)
def test_what_only_loading_can_tell_is_told_in_a_sentence_too(reward_folder, tmp_path, spoil, sentence):
    folder = shutil.copytree(reward_folder, tmp_path / "spoilt")
    spoil(folder)
    with pytest.raises(ConfigError, match=sentence) as refused:
        load_reward_model(str(folder), CONFIG)
    assert "\n" not in str(refused.value) and repr(str(folder)) in str(refused.value)


CLASSIFIER = {"architectures": ["LlamaForSequenceClassification"], "id2label": {"0": "LABEL_0"}}


def test_a_hub_id_is_left_to_the_hub_and_its_failure_is_a_sentence(monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    config = RunConfig(device="cpu", reward_funcs=("no-org/no-such-reward",), reward_weights=(2.0,))
    check_run(config)
    with pytest.raises(
        ConfigError, match=r"reward='no-org/no-such-reward' could not be loaded: the hub, http.*, does not answer"
    ):
        make_judge(config, TASK, None)


def test_weights_and_names_are_counted_with_the_models(reward_folder):
    with pytest.raises(ConfigError, match="reward_weights has 1 values but there are 2 reward functions"):
        check_run(RunConfig.from_mapping({"reward_funcs": ("answer", str(reward_folder)), "reward_weights": (1.0,)}))
    with pytest.raises(ConfigError, match="two reward functions are called 'small-reward'"):
        check_run(RunConfig(reward_funcs=(str(reward_folder), "org/small-reward")))


def test_a_text_of_more_tokens_than_the_model_reads_has_no_reward_and_a_reason_and_those_beside_it_have_theirs(
    any_reward_folder,
):
    model = load_reward_model(str(any_reward_folder), CONFIG)
    longest, too_long = "x" * (96 - len("1+2=?")), "x" * (97 - len("1+2=?"))
    scores = model(["1+2=?"] * 3 + [""], ["3", too_long, longest, ""])
    assert [score.is_applicable for score in scores] == [True, False, True, False]
    assert scores[1].reason == "prompt and completion have 97 tokens, and any-reward reads 96"
    assert scores[3].reason == "prompt and completion have no token"
    assert [scores[0], scores[2]] == pytest.approx(model(["1+2=?"] * 2, ["3", longest]), abs=1e-5)


def test_a_failure_of_a_model_is_told_with_its_name(reward_folder):
    judge = make_judge(RunConfig(device="cpu", reward_funcs=(str(reward_folder),)), TASK, None)
    judge.scorer.functions["small-reward"].tokenizer.chat_template = None
    with pytest.raises(RewardError, match=r"'small-reward' raised ValueError: .*chat_template"):
        judge_completions(judge, [{"prompt": [{"role": "user", "content": "1+2=?"}]}], ["3"], [[1]], 1)
