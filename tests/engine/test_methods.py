import math
import random
from itertools import islice

import pytest
import torch

from tests.engine.arrays import adapter_of, completions_of, finish, run_steps, tokens_of
from tests.engine.learners import make_learner, see_step, take_step
from workbench.engine import trainer
from workbench.engine.methods import METHOD_STAGES
from workbench.engine.objective import loss_options
from workbench.engine.policy import load_policy
from workbench.engine.prompts import encode_prompts
from workbench.engine.sampling import sample_groups
from workbench.errors import ConfigError
from workbench.grpo import batch_weights, gradient_coefficient, method_coefficient, token_kl, whiten
from workbench.run.check import check_run
from workbench.run.config import METHODS, RunConfig
from workbench.run.knobs import Knobs
from workbench.run.recording import read_step, write_step
from workbench.tasks.addition import judge_answer
from workbench.tasks.demonstrations import demonstration_of
from workbench.tasks.registry import get_task

KNOBS = Knobs(num_generations=4, max_completion_length=6, learning_rate=1e-2, beta=0.1, num_iterations=2)
LIKELIHOODS = ("online_rft", "rft", "sft")


def test_every_method_of_a_config_has_its_stages():
    assert set(METHOD_STAGES) == set(METHODS)


# What holds for all of them


@pytest.mark.parametrize("loss_type", ["grpo", "dr_grpo", "dapo"])
@pytest.mark.parametrize("method", METHODS)
def test_a_methods_coefficients_are_those_that_autograd_gave_in_every_update(
    make_config, monkeypatch, method, loss_type
):
    knobs = KNOBS.changed({"loss_type": loss_type})
    data = see_step(make_learner(make_config(method=method), noise=0.1), knobs, monkeypatch)
    mask, values = data.batch.loss_mask, data.advantages.values
    for update in data.updates.inner:
        known = {"logps": update.logps, "mask": mask}
        if method in ("grpo", "ppo"):
            known |= loss_options(knobs) | {"old_logps": data.updates.old_logps, "advantages": values}
            known["ref_logps"] = data.reference.logps
        elif method == "dpo":
            known |= {"ref_logps": data.reference.logps, "pairs": data.advantages.pairs, "beta": knobs.beta}
        else:
            weights = batch_weights(loss_type, mask, max_completion_length=knobs.max_completion_length).loss
            known |= {"kept": values > 0, "weights": weights}
        expected = method_coefficient(method, **known)
        assert expected.abs().max() > 1e-3
        torch.testing.assert_close(update.coefficients, expected, rtol=1e-5, atol=1e-7)
        added_up = gradient_coefficient(data.objective.parts(update))
        torch.testing.assert_close(added_up, update.coefficients, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("method", METHODS)
def test_the_gradient_of_a_method_is_the_same_in_micro_batches_of_any_size(make_config, method):
    def gradient(size):
        config = make_config(method=method, micro_batch_size=size, max_grad_norm=1e6)
        learner = make_learner(config, noise=0.1)
        learner.optimizer = torch.optim.SGD(learner.policy.trainable)
        before = adapter_of(learner.policy)
        record = take_step(learner, KNOBS.changed({"num_iterations": 1, "learning_rate": 1.0}))
        return (before - adapter_of(learner.policy)), record.metrics["loss"]

    whole, loss = gradient(64)
    assert whole.norm() > 0.01
    for size in (3, 1):
        part, part_loss = gradient(size)
        torch.testing.assert_close(part, whole, rtol=1e-3, atol=1e-5 * whole.abs().max().item())
        assert part_loss == pytest.approx(loss, abs=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_equal_seeds_give_equal_runs(make_config, method):
    def two_steps():
        learner = make_learner(make_config(method=method))
        records = [take_step(learner, KNOBS, step) for step in (1, 2)]
        return [record.metrics for record in records], adapter_of(learner.policy)

    (first, weights), (again, weights_again) = two_steps(), two_steps()
    assert first == again and torch.equal(weights, weights_again)


def test_equal_seeds_give_equal_demonstrations_where_there_is_a_choice_of_them(make_config):
    config = make_config(method="sft", task="countdown")
    first, again = (
        [c.text for c in completions_of(take_step(make_learner(config), KNOBS.changed({"max_completion_length": 64})))]
        for _ in range(2)
    )
    assert first == again


@pytest.mark.parametrize("method", METHODS)
def test_a_record_of_any_method_survives_being_written(make_config, tmp_path, method):
    record = take_step(make_learner(make_config(method=method)), KNOBS)
    write_step(tmp_path / "step.npz", record)
    read = read_step(tmp_path / "step.npz")
    assert read.metrics == record.metrics and read.memory == record.memory
    for completion, written in zip(completions_of(read), completions_of(record), strict=True):
        assert (completion.coefficients_by_update == written.coefficients_by_update).all()
        assert (completion.values is None) == (written.values is None) == (method != "ppo")
        assert completion.values is None or (completion.values == written.values).all()


@pytest.mark.parametrize("method", ["dpo", *LIKELIHOODS])
def test_losses_without_a_ratio_show_it_and_clip_nothing(make_config, method):
    learner = make_learner(make_config(method=method), noise=0.1)
    record = take_step(learner, KNOBS.changed({"learning_rate": 0.1}))
    assert (tokens_of(record, lambda c: c.ratio_by_update[0]) == 1).all()
    assert tokens_of(record, lambda c: abs(c.ratio - 1)).max() > 0.5, "the second update's ratios are off the band"
    assert not tokens_of(record, lambda c: c.clipped | c.outside_band).any()
    assert not any(name.startswith("clip_ratio") for name in record.metrics)
    assert all(group.budget[0]["lost"] == group.budget[0]["kl"] == 0 for group in record.groups)
    shares = [sum(group.budget[k]["loss"] for group in record.groups) for k in (0, 1)]
    assert shares == pytest.approx([update["loss"] for update in record.updates], rel=1e-4)


@pytest.mark.parametrize("method", ["dpo", *LIKELIHOODS])
def test_without_a_ratio_in_the_loss_each_token_shows_its_own_whatever_the_level(make_config, tmp_path, method):
    knobs = KNOBS.changed({"learning_rate": 0.1, "importance_sampling_level": "sequence"})
    written = take_step(make_learner(make_config(method=method), noise=0.1), knobs)
    write_step(tmp_path / "step.npz", written)
    for record in (written, read_step(tmp_path / "step.npz")):
        ratios = tokens_of(record, lambda c: c.ratio)
        assert [ratios.min(), ratios.max()] == pytest.approx(
            [record.updates[1][name] for name in ("ratio_min", "ratio_max")], rel=1e-4
        )
        assert not any(completion.shares_ratio for completion in completions_of(record))


# Where the completions come from


def test_rft_learns_from_samples_of_the_reference_and_online_rft_from_the_policys_own(make_config, monkeypatch):
    def sampled(method, **changes):
        data = see_step(make_learner(make_config(method=method), **changes), KNOBS, monkeypatch)
        return data.samples.rollout, data.reference.logps, data.updates.old_logps

    of_first_policy, _, _ = sampled("online_rft")
    rollout, ref_logps, old_logps = sampled("rft", noise=0.3)
    assert torch.equal(rollout.token_ids, of_first_policy.token_ids)
    torch.testing.assert_close(rollout.logps, ref_logps, rtol=0, atol=1e-4)
    assert (rollout.logps - old_logps).abs().max() > 0.1, "the policy that learns is another by now"

    rollout, ref_logps, old_logps = sampled("online_rft", noise=0.3)
    assert not torch.equal(rollout.token_ids, of_first_policy.token_ids)
    torch.testing.assert_close(rollout.logps, old_logps, rtol=0, atol=1e-4)


def test_after_a_reset_rft_samples_from_the_new_reference(make_config, monkeypatch):
    learner = make_learner(make_config(method="rft"), noise=0.3)
    learner.policy.reset_reference()
    data = see_step(learner, KNOBS, monkeypatch)
    torch.testing.assert_close(data.samples.rollout.logps, data.updates.old_logps, rtol=0, atol=1e-4)


@pytest.mark.parametrize("method", LIKELIHOODS)
def test_where_others_wrote_the_tokens_the_kl_is_summed_over_the_vocabulary(make_config, method):
    learner = make_learner(make_config(method=method), noise=0.3)
    record = take_step(learner, KNOBS.changed({"learning_rate": 0.0, "num_iterations": 1}))
    is_own = method == "online_rft"
    assert all((c.exact_kl_by_update is None) == is_own for c in completions_of(record))
    model = learner.policy.model
    for group in record.groups:
        c = group.completions[0]
        ids = learner.policy.tokenizer(group.prompt, return_tensors="pt")["input_ids"]
        with torch.no_grad():
            logps = model(input_ids=ids).logits[0, -1].log_softmax(-1)
            with learner.policy.reference():
                ref_logps = model(input_ids=ids).logits[0, -1].log_softmax(-1)
        d = (ref_logps - logps)[c.token_ids[0]].item()
        exact = (logps.exp() * (logps - ref_logps)).sum().item()
        assert c.kl[0] == pytest.approx(math.expm1(d) - d if is_own else exact, abs=1e-4)


def test_sft_reads_a_demonstration_of_as_many_prompts_as_others_have_completions(make_config):
    learner = make_learner(make_config(method="sft"), rewards=(1.0,))
    record = take_step(learner, KNOBS.changed({"max_completion_length": 64}))
    task, rng = get_task("addition"), random.Random("0-1")
    examples = list(islice(task.examples(0), 2 * 4))
    assert [group.prompt for group in record.groups] == [example["prompt"] for example in examples]
    completions = list(completions_of(record))
    assert [c.text for c in completions] == [demonstration_of(example, task, rng) for example in examples]
    assert all(c.token_ids[-1] in learner.policy.eos_ids and not c.is_truncated for c in completions)

    assert all((g.mean, g.std, g.is_dead) == (g.completions[0].reward, None, False) for g in record.groups)
    assert record.metrics["frac_reward_zero_std"] is None
    read = sum(len(learner.policy.tokenizer(group.prompt)["input_ids"]) for group in record.groups)
    demonstrated = sum(len(c.token_ids) for c in completions)
    assert record.metrics["num_completion_tokens"] == demonstrated
    assert record.metrics["num_tokens"] == read + demonstrated


def test_sfts_loss_is_the_cross_entropy_that_transformers_computes(make_config):
    learner = make_learner(make_config(method="sft"), noise=0.2)
    losses, num_tokens = [], 0
    for text, prompt in zip(_demonstrated(learner, 8), islice(learner.task.examples(0), 8), strict=True):
        start = len(learner.policy.tokenizer(prompt["prompt"])["input_ids"])
        ids = [*learner.policy.tokenizer(text)["input_ids"], learner.policy.tokenizer.eos_token_id]
        labels = torch.tensor([[-100] * start + ids[start:]])
        with torch.no_grad():
            mean = learner.policy.model(input_ids=torch.tensor([ids]), labels=labels).loss.item()
        losses.append(mean * (len(ids) - start))
        num_tokens += len(ids) - start
    record = take_step(learner, KNOBS.changed({"max_completion_length": 64, "loss_type": "dapo", "num_iterations": 1}))
    assert record.metrics["loss"] == pytest.approx(sum(losses) / num_tokens, rel=1e-4)


def test_a_demonstration_shows_what_the_policy_would_have_written_at_temperature_1(make_config):
    learner = make_learner(make_config(method="sft"), noise=0.2)
    model, tokenizer = learner.policy.model, learner.policy.tokenizer
    ids = [tokenizer(p, return_tensors="pt")["input_ids"] for p in _demonstrated(learner, 8)]
    with torch.no_grad():
        before = [model(input_ids=row).logits[0].log_softmax(-1) for row in ids]
    record = take_step(learner, KNOBS.changed({"max_completion_length": 64, "temperature": 0.5, "num_iterations": 1}))
    for c, row, logps in zip(completions_of(record), ids, before, strict=True):
        length = len(c.token_ids) - 1  # all but the end token, which the tokenizer does not write
        predicted = logps[-length - 1 : -1]
        own = predicted.gather(-1, row[0, -length:, None])[:, 0]
        top = predicted.topk(5)
        for found in (c.sampled_logps, c.old_logps):
            torch.testing.assert_close(torch.tensor(found[:length]), own, rtol=0, atol=1e-4)
        torch.testing.assert_close(torch.tensor(c.top_logps[:length]), top.values, rtol=0, atol=1e-4)
        assert (torch.tensor(c.top_ids[:length]) == top.indices).all()
        entropy = -(predicted.exp() * predicted).sum(-1)
        torch.testing.assert_close(torch.tensor(c.entropy[:length]), entropy, rtol=0, atol=1e-4)


def _demonstrated(learner, num):
    rng = random.Random(f"{learner.config.seed}-1")
    examples = islice(learner.task.examples(learner.config.seed), num)
    return [example["prompt"] + demonstration_of(example, learner.task, rng) for example in examples]


def test_a_demonstration_that_is_too_long_is_cut_off_and_said_to_be(make_config):
    record = take_step(make_learner(make_config(method="sft")), KNOBS)
    for c in completions_of(record):
        assert len(c.token_ids) == 6 and c.is_truncated
    assert record.metrics["completions/clipped_ratio"] == 1


def test_a_datasets_own_completions_are_demonstrations(make_config, tmp_path):
    dataset = tmp_path / "rows.jsonl"
    dataset.write_text('{"prompt": "say it", "completion": "12=12"}\n')
    [record] = run_steps(make_config(method="sft", dataset=str(dataset)), KNOBS, 1, reward_funcs=[_zeros])
    assert {c.text for c in completions_of(record)} == {"12=12"}


def _zeros(prompts, **others):
    return [0.0] * len(prompts)


# What counts


@pytest.mark.parametrize("method", ["online_rft", "rft"])
def test_a_wrong_answer_never_gets_likelihood(make_config, method):
    record = take_step(make_learner(make_config(method=method), rewards=(1.0, 0.99, None, 0.0)), KNOBS)
    for right, *others in (group.completions for group in record.groups):
        assert right.is_correct and right.advantage == 1 and not right.is_masked
        assert (right.coefficients_by_update > 0).all() and right.kept_by_update.all()
        for wrong in others:
            assert not wrong.is_correct and wrong.advantage == 0 and wrong.is_masked and wrong.weight == 0
            assert (wrong.coefficients_by_update == 0).all() and not wrong.kept_by_update.any()


@pytest.mark.parametrize("method", ["online_rft", "rft"])
def test_without_a_right_answer_nothing_moves(make_config, method):
    learner = make_learner(make_config(method=method), rewards=(0.0, 0.5))
    before = adapter_of(learner.policy)
    record = take_step(learner, KNOBS)
    assert torch.equal(adapter_of(learner.policy), before)
    assert (record.metrics["loss"], record.metrics["grad_norm"]) == (0, 0)


def test_dpo_pushes_the_best_of_a_group_up_and_the_worst_down_and_no_other(make_config):
    rewards = (0.5, 0.0, 1.0, 0.5, 0.7, 0.7, 0.7, 0.7)  # the second group makes no pair
    learner = make_learner(make_config(method="dpo"), rewards)
    record = take_step(learner, KNOBS)
    (middle, worst, best, other), dead = (group.completions for group in record.groups)
    slope = KNOBS.beta / 2  # sigmoid(-0) is 1/2, and there is one pair
    assert best.coefficients_by_update[0] == pytest.approx(slope)
    assert worst.coefficients_by_update[0] == pytest.approx(-slope)
    assert (best.coefficients_by_update[1] < slope).all(), "the pair is told apart by now"
    assert (best.advantage, worst.advantage) == (1, -1)
    for unpaired in (middle, other, *dead):
        assert (unpaired.coefficients_by_update == 0).all() and unpaired.advantage == 0 and unpaired.is_masked
    first, second = record.updates
    assert first["loss"] == pytest.approx(math.log(2)) and first["rewards/margins"] == 0
    assert second["rewards/margins"] > 0 and second["rewards/accuracies"] == 1
    assert second["loss"] == pytest.approx(math.log1p(math.exp(-second["rewards/margins"])))
    assert record.metrics["rewards/margins"] == pytest.approx(second["rewards/margins"] / 2)
    assert [group.budget[0]["loss"] for group in record.groups] == pytest.approx([math.log(2), 0])


def test_dpo_without_a_pair_moves_nothing_and_has_no_margin(make_config):
    learner = make_learner(make_config(method="dpo"), rewards=(0.5,))
    before = adapter_of(learner.policy)
    record = take_step(learner, KNOBS)
    assert torch.equal(adapter_of(learner.policy), before)
    assert record.metrics["loss"] == 0 and record.metrics["rewards/margins"] is None


def test_truncated_completions_that_are_left_out_are_in_no_pair_and_make_no_answer_right(make_config, monkeypatch):
    knobs = KNOBS.changed({"mask_truncated_completions": True})
    for method in ("dpo", "online_rft", "ppo"):
        learner = make_learner(make_config(method=method, prompts_per_step=6))
        data = see_step(learner, knobs, monkeypatch)
        is_cut = data.samples.rollout.is_truncated
        assert is_cut.any() and not is_cut.all()
        assert (data.updates.inner[0].coefficients[is_cut] == 0).all()
        if data.advantages.pairs is not None:
            assert len(data.advantages.pairs) and not is_cut[data.advantages.pairs].any()
        if data.critic is not None:
            assert not data.critic.mask[is_cut].any() and data.critic.mask[~is_cut].any()


def test_the_rows_of_a_pair_are_always_scored_together(make_config, monkeypatch):
    data = see_step(make_learner(make_config(method="dpo", prompts_per_step=5)), KNOBS, monkeypatch)
    pairs = torch.tensor([[2, 1], [4, 7], [19, 16]])
    for size in range(1, 25):
        parts = [rows for rows, _ in data.batch.micro_batches(size, pairs)]
        assert sorted(torch.cat(parts).tolist()) == list(range(20))
        assert all(len(rows) <= max(2, size) for rows in parts)
        for better, worse in pairs.tolist():
            [together] = [rows for rows in parts if better in rows]
            assert worse in together


# PPO's advantages


def test_ppos_advantages_are_what_the_rewards_to_come_exceed_the_values_by(make_config, monkeypatch):
    knobs = KNOBS.changed({"kl_in": "reward", "kl_estimator": "k1", "beta": 0.3})
    learner = make_learner(make_config(method="ppo", gae_lambda=1.0), noise=0.2)
    data = see_step(learner, knobs, monkeypatch)
    rollout, mask = data.samples.rollout, data.batch.mask
    kl = token_kl(rollout.logps, data.reference.logps, mask)
    assert kl.abs().max() > 0.1
    expected = torch.zeros_like(kl)
    for row, reward in enumerate(data.samples.judgement.totals.tolist()):
        for t in range(int(mask[row].sum())):
            expected[row, t] = reward - 0.3 * kl[row, t:].sum()
    values = data.advantages.critic
    assert values.abs().max() > 0.1
    torch.testing.assert_close(data.advantages.returns, expected, rtol=0, atol=1e-5)
    torch.testing.assert_close(data.advantages.values, whiten(expected - values, mask), rtol=0, atol=1e-5)


def test_with_the_kl_in_the_loss_ppos_rewards_do_not_know_it(make_config, monkeypatch):
    data = see_step(make_learner(make_config(method="ppo", gae_lambda=1.0), noise=0.2), KNOBS, monkeypatch)
    rewards = data.samples.judgement.totals.float()[:, None].expand_as(data.advantages.returns)
    torch.testing.assert_close(data.advantages.returns, rewards * data.batch.mask, rtol=0, atol=1e-5)
    assert (data.objective.parts(data.updates.inner[0]).kl_pull != 0).any()


def test_a_completion_without_a_reward_teaches_ppo_nothing(make_config, monkeypatch):
    rewards = (0.0, None, 1.0, 0.5)
    data = see_step(make_learner(make_config(method="ppo"), rewards, noise=0.1), KNOBS, monkeypatch)
    assert (data.advantages.values[1::4] == 0).all() and not data.critic.mask[1::4].any()
    assert (data.advantages.values[0::4][data.batch.mask[0::4]] != 0).all()


# Learning


@pytest.fixture(scope="module")
def right_before_training():
    return _share_right(load_policy(RunConfig(device="cpu")))


@pytest.mark.parametrize("method", METHODS)
def test_a_few_steps_of_any_method_make_the_bundled_model_right_more_often(monkeypatch, right_before_training, method):
    policies = []
    monkeypatch.setattr(trainer, "load_policy", lambda config: policies.append(load_policy(config)) or policies[0])
    knobs = Knobs(learning_rate=2e-3, num_iterations=2, max_completion_length=48, loss_type="dapo")
    run_steps(
        RunConfig(method=method, device="cpu", seed=1), knobs.changed({"beta": 0.1} if method == "dpo" else {}), 2
    )
    assert _share_right(policies[0]) > right_before_training + 0.2


def _share_right(policy):
    """Return how often the policy itself is right, whatever it learned from."""
    examples = list(islice(get_task("addition").examples(seed=424242), 24))
    prompts = encode_prompts(policy, [example["prompt"] for example in examples])
    knobs, generator = Knobs(num_generations=4, max_completion_length=48), torch.Generator().manual_seed(5)
    rollout = finish(sample_groups(policy, prompts, knobs, step=1, generator=generator))
    ids = [row[mask].tolist() for row, mask in zip(rollout.token_ids, rollout.mask, strict=True)]
    texts = policy.tokenizer.batch_decode(ids, skip_special_tokens=True)
    verdicts = [judge_answer(examples[i // 4]["prompt"], text, examples[i // 4]) for i, text in enumerate(texts)]
    return sum(map(float, verdicts)) / len(verdicts)


# Refusals


def test_sft_without_demonstrations_is_refused_in_a_sentence(make_config, tmp_path):
    dataset = tmp_path / "rows.jsonl"
    dataset.write_text('{"prompt": "hello"}\n')
    config = make_config(method="sft", dataset=str(dataset))
    for refused in (lambda: check_run(config), lambda: run_steps(config, KNOBS, 1)):
        with pytest.raises(ConfigError, match=r"'hello' is not a sum .* column 'completion'"):
            refused()


@pytest.mark.parametrize("method", ["rft", "online_rft"])
def test_learning_from_right_answers_is_refused_where_nothing_tells_which_are(make_config, method):
    config = make_config(method=method, reward_funcs=("format",))
    with pytest.raises(ConfigError, match=r"do not tell which are: add addition\.answer"):
        check_run(config)
    with pytest.raises(ConfigError, match="nothing tells which of these are"):
        run_steps(config, KNOBS, 1)
    check_run(make_config(method=method, reward_funcs=("format", "answer")))


def test_a_critics_model_that_cannot_be_loaded_is_refused(make_config, monkeypatch):
    def fail(location, **options):
        raise OSError("no such model")

    monkeypatch.setattr("workbench.engine.critic.AutoModel.from_pretrained", fail)
    with pytest.raises(ConfigError, match=r"method='ppo' needs a critic.* could not be loaded: no such model"):
        run_steps(make_config(method="ppo"), KNOBS, 1)
