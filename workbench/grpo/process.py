"""Process supervision: a reward for each written step, and advantages that differ from token to token."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from workbench.grpo.advantages import without_rounding, z_scores


@dataclass(frozen=True)
class ProcessAdvantages:
    """Each token's advantage, and the normalised rewards that it is a sum of."""

    advantages: Float[Tensor, "B T"]
    normalised: tuple[tuple[float, ...], ...]  # one for each step of each completion; 0 for a step without a reward


def normalised_steps(
    step_rewards: Sequence[Sequence[float]], *, std_ddof: int = 1, std_eps: float = 1e-4
) -> tuple[tuple[float, ...], ...]:
    r"""Return the rewards of the steps of *one* group as z-scores over all of them together. No unit.

    A completion of many steps weighs more in the mean and the std than one of few. NaN rewards are left out and get 0,
    and so does a reward that is the only one of its group, or equal to all others. Raises ValueError as `z_scores`.

    >>> normalised_steps([[1.0, 0.0, 0.0], [1.0], []], std_ddof=0, std_eps=0.0)  # mean 1/2, std 1/2
    ((1.0, -1.0, -1.0), (1.0,), ())
    """
    rewards = [reward for steps in step_rewards for reward in steps]
    if not rewards:
        return tuple(() for _ in step_rewards)
    scores = iter(
        z_scores(torch.tensor([rewards], dtype=torch.float64), std_ddof=std_ddof, std_eps=std_eps)[0].tolist()
    )
    return tuple(tuple(next(scores) for _ in steps) for steps in step_rewards)


def process_advantages(
    step_rewards: Sequence[Sequence[float]],
    step_ends: Sequence[Sequence[int]],
    num_generations: int,
    num_tokens: int,
    *,
    std_ddof: int = 1,
    std_eps: float = 1e-4,
) -> ProcessAdvantages:
    r"""Return $A_{it} = \sum_{j:\, \text{end}_{ij} \ge t} z_{ij}$, with $z_{ij}$ the z-score of step j's reward.

    A token is credited with the steps that end at or after it: its own and all that follow. `step_ends[i][j]` is the
    index of the last token of completion i's step j, counted from 0; tokens after the last step get 0. A completion
    without steps gets zeros, and enters no mean. $z$ is that of `normalised_steps`. In float64, returned in float32.

    Raises ValueError if a group has fewer than two completions, if rewards and ends do not match, if an end is outside
    the `num_tokens` columns, and as `z_scores` does.
    Source: DeepSeekMath, section 4.1.3, https://arxiv.org/abs/2402.03300 (with std_ddof 0 and std_eps 0 as it reads)

    >>> found = process_advantages([[1.0, 0.0], [1.0]], [[1, 3], [0]], 2, 4, std_ddof=0, std_eps=0.0)
    >>> found.advantages  # z: 0.7071 and -1.4142, then 0.7071
    tensor([[-0.7071, -0.7071, -1.4142, -1.4142],
            [ 0.7071,  0.0000,  0.0000,  0.0000]])
    """
    check_steps(step_rewards, step_ends, num_generations, num_tokens)
    normalised = tuple(
        row
        for first in range(0, len(step_rewards), num_generations)
        for row in normalised_steps(step_rewards[first : first + num_generations], std_ddof=std_ddof, std_eps=std_eps)
    )
    credits_BT = torch.zeros(len(normalised), num_tokens, dtype=torch.float64)
    for i, (ends, scores) in enumerate(zip(step_ends, normalised, strict=True)):
        for end, score in zip(ends, scores, strict=True):
            credits_BT[i, end] += score
    largest = torch.tensor([max(map(abs, row), default=0.0) for row in normalised], dtype=torch.float64)
    advantages = without_rounding(credits_BT.flip(1).cumsum(dim=1).flip(1), largest[:, None])
    return ProcessAdvantages(advantages.to(torch.float32), normalised)


def check_steps(
    step_rewards: Sequence[Sequence[float]],
    step_ends: Sequence[Sequence[int]],
    num_generations: int,
    num_tokens: int,
) -> None:
    """Raise ValueError unless groups, rewards and ends go together, and each end is one of `num_tokens` columns."""
    if num_generations < 2:
        raise ValueError(f"num_generations={num_generations}: a group needs at least 2 completions to compare")
    if len(step_rewards) % num_generations:
        raise ValueError(
            f"{len(step_rewards)} completions do not divide into groups of num_generations={num_generations}"
        )
    if [len(row) for row in step_rewards] != [len(row) for row in step_ends]:
        raise ValueError("step_rewards and step_ends must name the same steps: one end for each reward")
    for ends in step_ends:
        for end in ends:
            if not 0 <= end < num_tokens:
                raise ValueError(f"a step's end is {end}, outside [0, {num_tokens - 1}], the columns of the tokens")
