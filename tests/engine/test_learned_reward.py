import random
from collections import Counter

import pytest
import torch

from tests.engine.arrays import PROMPTS, adapter_of, finish
from workbench.engine import learned_reward
from workbench.engine.learned_reward import Pair, PairPool, load_learned_reward
from workbench.engine.policy import load_policy
from workbench.engine.prompts import encode_prompts
from workbench.engine.sampling import sample_groups
from workbench.errors import ConfigError
from workbench.grpo import bradley_terry_loss
from workbench.run.knobs import Knobs
from workbench.run.record import Progress


def pairs_named(name, number):
    return [Pair(f"{name}{i}+", f"{name}{i}-") for i in range(number)]


def round_of(pair):
    return pair.chosen[0]


def count_x(number=60, seed=0):
    """Return pairs of which the better text has more x: easy to learn, and endless."""
    rng = random.Random(seed)
    texts = ["".join(rng.choices("xyz", k=10)) for _ in range(2 * number)]
    pairs = zip(texts[::2], texts[1::2], strict=True)
    return [Pair(*sorted(pair, key=lambda t: -t.count("x"))) for pair in pairs if len({t.count("x") for t in pair}) > 1]


def accuracy(learned, pairs):
    with torch.no_grad():
        chosen, rejected = (learned.model.scores(texts) for texts in zip(*pairs, strict=True))
    return (chosen > rejected).float().mean().item()


def weights_of(learned):
    return torch.cat([w.detach().flatten() for group in learned.optimizer.param_groups for w in group["params"]])


@pytest.fixture
def make_learned(make_config):
    def make(**settings):
        config = make_config(learn_reward=True, **settings)
        policy = load_policy(config)
        return load_learned_reward(config, policy), policy

    return make


def test_a_batch_has_the_asked_share_of_earlier_rounds_as_soon_as_there_are_any():
    rng, pool = random.Random(0), PairPool(replay=0.25)
    pool.add(pairs_named("a", 5))
    assert Counter(map(round_of, pool.draw(32, rng))) == {"a": 32}
    pool.close_round(rng)
    pool.add(pairs_named("b", 5))
    assert Counter(map(round_of, pool.draw(32, rng))) == {"a": 8, "b": 24}
    pool.close_round(rng)
    pool.add(pairs_named("c", 5))
    drawn = Counter(map(round_of, pool.draw(32, rng)))
    assert drawn["c"] == 24 and set(drawn) == {"a", "b", "c"}, "all earlier rounds together are the share"


def test_what_is_kept_is_bounded_and_the_newest_pairs_win(monkeypatch):
    monkeypatch.setattr(learned_reward, "MAX_PAIRS", 40)
    pool, rng = PairPool(0.5, newest=learned_reward.deque(maxlen=40)), random.Random(0)
    for name in "abcdef":
        pool.add(pairs_named(name, 100))
        assert list(pool.newest) == pairs_named(name, 100)[-40:]
        pool.close_round(rng)
        assert len(pool.earlier) == 40 and not pool.newest
    assert len(set(map(round_of, pool.earlier))) > 1 and len(set(pool.earlier)) == 40


def test_it_learns_to_rank_pairs_it_has_not_seen(make_learned):
    learned, _ = make_learned(reward_model_steps=40, reward_model_learning_rate=1e-2)
    unseen = count_x(seed=1)
    assert 0.2 < accuracy(learned, unseen) < 0.8
    learned.pool.add(count_x())
    events = list(learned.train(7))
    assert events == [Progress(7, "reward_model", done, 40) for done in range(41)]
    assert accuracy(learned, unseen) > 0.9


def test_a_gradient_step_lowers_the_mean_bradley_terry_loss_of_its_pairs_whatever_the_micro_batch(make_learned):
    pairs = count_x(20)[:12]
    moved, losses = [], []
    for size in (64, 10):
        learned, _ = make_learned(micro_batch_size=size, max_grad_norm=1e6)
        with torch.no_grad():
            learned.model.model.base_model.model.score.modules_to_save["default"].weight.mul_(50)
        gradients = []
        learned.optimizer.step = lambda learned=learned, found=gradients: found.append(
            torch.cat([w.grad.flatten() for group in learned.optimizer.param_groups for w in group["params"]])
        )
        learned._learn(pairs)
        chosen, rejected = (learned.model.scores(texts) for texts in zip(*pairs, strict=True))
        loss = bradley_terry_loss(chosen, rejected).mean()
        trained = [w for group in learned.optimizer.param_groups for w in group["params"]]
        expected = torch.cat([g.flatten() for g in torch.autograd.grad(loss, trained)])
        torch.testing.assert_close(gradients[0], expected, atol=1e-5, rtol=1e-3)
        assert expected.norm() > 0.01
        moved.append(gradients[0])
        losses.append(loss.item())
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_training_it_leaves_the_policy_and_all_other_randomness_alone(make_policy, any_folder, make_config):
    policy = make_policy(any_folder)
    before, adapter = {n: w.clone() for n, w in policy.model.state_dict().items()}, adapter_of(policy)
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    learned = load_learned_reward(make_config(model=str(any_folder), reward_model_steps=3), policy)
    learned.pool.add(count_x())
    untrained = weights_of(learned)
    finish(learned.train(1))
    assert not torch.equal(weights_of(learned), untrained)
    assert torch.equal(torch.rand(1), expected)
    assert torch.equal(adapter_of(policy), adapter)
    after = policy.model.state_dict()
    assert before.keys() == after.keys() and all(torch.equal(before[name], after[name]) for name in before)


def test_it_stands_on_the_policys_own_base_weights_but_not_on_its_adapter(make_policy, any_folder, make_config):
    policy = make_policy(any_folder)
    learned = load_learned_reward(make_config(model=str(any_folder)), policy)
    shared = {weight.data_ptr() for name, weight in policy.model.named_parameters() if "lora_" not in name}
    own = {name for name, w in learned.model.model.named_parameters() if w.data_ptr() not in shared}
    assert own and all("lora_" in name or ".score." in name for name in own)
    texts = [pair.chosen for pair in count_x(3)]
    with torch.no_grad():
        alone = learned.model.scores(texts)
        for weight in policy.trainable:
            weight.add_(1.0)
        with policy.merged():
            assert torch.equal(learned.model.scores(texts), alone)
        assert torch.equal(learned.model.scores(texts), alone)


def test_the_same_seed_trains_the_same_model_and_another_does_not(make_learned):
    trained = []
    for seed in (0, 0, 1):
        learned, _ = make_learned(seed=seed, reward_model_steps=2)
        learned.pool.add(count_x())
        finish(learned.train(1))
        finish(learned.train(2))
        trained.append(weights_of(learned))
    assert torch.equal(trained[0], trained[1]) and not torch.equal(trained[0], trained[2])


def test_a_pair_with_a_text_that_is_too_long_to_be_read_is_not_learned_from(make_learned):
    learned, _ = make_learned()
    learned.add([Pair("a" * 96, "b"), Pair("a" * 97, "b"), Pair("a", "b" * 97), Pair("", "b")])
    assert list(learned.pool.newest) == [Pair("a" * 96, "b")]


def test_without_a_pair_of_the_newest_round_nothing_is_learned(make_learned):
    learned, _ = make_learned()
    before = weights_of(learned)
    assert list(learned.train(1)) == [Progress(1, "reward_model", 0, 0)]
    assert torch.equal(weights_of(learned), before)


def test_a_step_whose_gradient_is_not_finite_is_left_out(make_learned):
    learned, _ = make_learned(reward_model_steps=1)
    learned.pool.add(count_x())
    before = weights_of(learned)
    scores = learned.model.scores
    learned.model.scores = lambda texts: scores(texts) * torch.inf
    finish(learned.train(1))
    assert torch.equal(weights_of(learned), before)


def test_it_reads_what_the_policy_read_and_wrote(make_config, chat_folder):
    config = make_config(model=str(chat_folder))
    policy = load_policy(config)
    learned = load_learned_reward(config, policy)
    prompt, completion = [{"role": "user", "content": "1+2=?"}], [{"role": "assistant", "content": "3"}]
    encoded = encode_prompts(policy, [prompt])
    assert learned.model.read(prompt, completion) == encoded.texts[0] + "3" == "<user>1+2=?\n<assistant>3"
    [score] = learned.model([prompt], [completion])
    with torch.no_grad():
        assert score == learned.model.scores(["<user>1+2=?\n<assistant>3"]).item()


def test_in_bfloat16_its_own_weights_stay_in_float32(make_learned):
    learned, policy = make_learned(dtype="bfloat16", reward_model_steps=2)
    learned.pool.add(count_x())
    finish(learned.train(1))
    trained = [weight for group in learned.optimizer.param_groups for weight in group["params"]]
    assert {weight.dtype for weight in trained} == {torch.float32}
    assert all(score == score for score in learned.model(list(PROMPTS), ["3"] * 3))
    finish(
        sample_groups(
            policy,
            encode_prompts(policy, PROMPTS),
            Knobs(max_completion_length=2),
            step=1,
            generator=torch.Generator().manual_seed(0),
        )
    )


def test_a_model_that_cannot_have_a_head_is_refused_in_a_sentence(make_policy, make_config, monkeypatch):
    policy = make_policy()

    def unknown(config, **options):
        raise ValueError("Unrecognized configuration class\nand a list of all that there are")

    monkeypatch.setattr(learned_reward.AutoModelForSequenceClassification, "from_config", unknown)
    with pytest.raises(ConfigError, match="with a head for a learned reward could not be loaded: Unrecog") as refused:
        load_learned_reward(make_config(), policy)
    assert "\n" not in str(refused.value)
