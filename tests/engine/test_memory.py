import pytest
import torch

from tests.engine.learners import make_learner, take_step
from workbench.engine.learned_reward import load_learned_reward
from workbench.engine.memory import memory_of
from workbench.engine.rewards import against_learned
from workbench.engine.storage import num_bytes, storages_of
from workbench.run.knobs import Knobs

KNOBS = Knobs(num_generations=4, max_completion_length=6)
FLOAT = 4  # bytes


def count(weights):
    return sum(weight.numel() for weight in weights)


def test_a_storage_counts_once_and_whole_however_many_tensors_look_at_it():
    whole = torch.zeros(10, 10)
    assert num_bytes([whole, whole.T, whole[0], whole.view(-1)]) == 400
    assert num_bytes([whole[0]]) == 400, "the row keeps all of it alive"
    assert num_bytes([whole, torch.zeros(10, dtype=torch.bfloat16), torch.zeros(3, dtype=torch.bool)]) == 423
    assert num_bytes([]) == 0 and len(storages_of([whole, whole.T])) == 1


def test_grpo_holds_a_policy_and_what_trains_its_adapter_and_nothing_else(make_config):
    learner = make_learner(make_config())
    adapter, base = count(learner.policy.trainable), count(learner.policy.model.base_model.model.parameters())
    num_buffers = count(learner.policy.model.buffers())
    assert memory_of(learner)["optimizer"] == 0, "AdamW makes its moments at its first step"
    memory = take_step(learner, KNOBS).memory
    num_steps = len(learner.policy.trainable)  # AdamW counts each tensor's steps in a float of its own
    assert memory == {
        "policy": (base - adapter + num_buffers) * FLOAT,
        "adapter": adapter * FLOAT,
        "optimizer": (2 * adapter + num_steps) * FLOAT,
        "gradients": adapter * FLOAT,
        "reference": 0,
    }


def test_a_reset_reference_is_a_copy_of_the_adapter(make_config):
    learner = make_learner(make_config())
    learner.policy.reset_reference()
    memory = memory_of(learner)
    assert memory["reference"] == memory["adapter"] > 0
    learner.policy.reset_reference()
    assert memory_of(learner)["reference"] == memory["adapter"], "the last copy alone is kept"


def test_ppo_holds_a_second_model_with_an_optimizer_of_its_own(make_config):
    learner = make_learner(make_config(method="ppo"))
    memory = take_step(learner, KNOBS).memory
    grpo = take_step(make_learner(make_config()), KNOBS).memory
    assert {name: memory[name] for name in grpo} == grpo
    output_head = learner.policy.model.get_output_embeddings().weight.numel() * FLOAT
    value_head = count(learner.critic.head.parameters()) * FLOAT
    trained = count(learner.critic.trainable) * FLOAT
    assert memory["critic"] == grpo["policy"] + grpo["adapter"] - output_head + value_head
    assert memory["critic_gradients"] == trained == grpo["adapter"] + value_head
    assert memory["critic_optimizer"] == 2 * trained + len(learner.critic.trainable) * FLOAT


def test_a_learned_reward_on_the_policys_weights_counts_for_its_own_alone(make_config):
    learner = make_learner(make_config(learn_reward=True))
    alone = memory_of(learner)
    learned = load_learned_reward(learner.config, learner.policy)
    learner.learned_reward, learner.judge = learned, against_learned(learner.judge, learned.model)
    memory = memory_of(learner)
    assert {name: memory[name] for name in alone} == alone
    trained = count(weight for weight in learned.model.model.parameters() if weight.requires_grad) * FLOAT
    assert trained <= memory["reward_model"] < 1.5 * trained < alone["policy"]
    assert memory["reward_model_optimizer"] == 0


@pytest.mark.skipif(not torch.cuda.is_available(), reason="the peak is CUDA's")
def test_on_cuda_the_peak_of_a_step_is_at_least_what_its_parts_hold(make_config):
    memory = take_step(make_learner(make_config(device="cuda", method="ppo")), KNOBS).memory
    assert memory["peak"] >= sum(size for part, size in memory.items() if part != "peak")
