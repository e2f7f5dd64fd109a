"""The methods that GRPO is compared with, on the same prompts: DeepSeekMath's unified view."""

from collections.abc import Mapping
from typing import Any

from workbench.run.preset import Preset

_BASE = {"max_completion_length": 48, "num_iterations": 1}


def _neighbour(
    method: str,
    title: tuple[str, str],
    description: tuple[str, str],
    *,
    settings: Mapping[str, Any] | None = None,
    **knobs: Any,
) -> Preset:
    own = {"task": "addition", "max_steps": 100, "method": method}
    return Preset(title, description, own | dict(settings or {}), _BASE | knobs, group="neighbours")


NEIGHBOUR_PRESETS: Mapping[str, Preset] = {
    "ppo": _neighbour(
        "ppo",
        ("PPO", "PPO"),
        (
            "A second model, the critic, says what each token was worth (arXiv 1707.06347).",
            "另有一个评论家模型，估计每个词元的价值（arXiv 1707.06347）。",
        ),
        settings={"critic_learning_rate": 5e-3},
        num_iterations=2,
        beta=0.04,
        kl_in="reward",
        kl_estimator="k1",
        learning_rate=5e-4,
        loss_type="dapo",
    ),
    "dpo": _neighbour(
        "dpo",
        ("DPO", "DPO"),
        (
            "The best against the worst of each group; no reward model, no advantage (arXiv 2305.18290).",
            "每组最好与最差的回答配成一对；不用奖励模型，也没有优势（arXiv 2305.18290）。",
        ),
        beta=0.1,
        learning_rate=1e-3,
    ),
    "sft": _neighbour(
        "sft",
        ("SFT", "SFT"),
        ("Imitates right demonstrations; samples nothing.", "模仿正确示范，不采样。"),
        learning_rate=1e-3,
        loss_type="dapo",
    ),
    "rft": _neighbour(
        "rft",
        ("RFT", "RFT"),
        ("Imitates the right samples of the first policy.", "模仿初始策略采样中的正确回答。"),
        learning_rate=1e-3,
        loss_type="dapo",
    ),
    "online_rft": _neighbour(
        "online_rft",
        ("Online RFT", "在线 RFT"),
        ("Imitates the right samples of the policy as it is now.", "模仿当前策略采样中的正确回答。"),
        learning_rate=1e-3,
        loss_type="dapo",
    ),
}
