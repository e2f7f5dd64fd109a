"""One prompt's group of completions, and everything that was computed about each token.

Shapes: `T` completion tokens, `U` inner updates (μ). Arrays are read-only NumPy; log-probabilities are in nats.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from workbench.run.knobs import Knobs


@dataclass(frozen=True)
class StepMark:
    """One written step of a completion under process supervision: it ends before token `end`."""

    end: int
    reward: float
    normalised: float  # z-scored over all steps of the group; a token's advantage sums those that end at or after it
    reason: str


def kl_estimates(logps: NDArray[np.float32], ref_logps: NDArray[np.float32]) -> dict[str, NDArray[np.float64]]:
    """Return k1 = −d, k2 = d²/2 and k3 = eᵈ − 1 − d with d = log π_ref − log π, in nats, as `workbench.grpo` does.

    >>> {name: k.round(4).tolist() for name, k in kl_estimates(np.array([-1.0]), np.array([-3.0])).items()}
    {'k1': [2.0], 'k2': [2.0], 'k3': [1.1353]}
    """
    d = ref_logps.astype(np.float64) - logps.astype(np.float64)
    with np.errstate(over="ignore"):
        return {"k1": -d, "k2": d * d / 2, "k3": np.expm1(d) - d}


@dataclass(frozen=True, kw_only=True, eq=False)
class CompletionRecord:
    """One completion and everything that was computed about it.

    `logps_by_update[k]` are the log-probabilities in the forward pass of inner update k + 1, before that update's step;
    `old_logps` are what the ratio divides by: those of the first one, so that its ratio is exactly 1, unless the run
    asked for a pass of their own (`plain_paths`) or for a mistake (`bug`). `sampled_logps`, `entropy` and the top
    alternatives were recorded while sampling. `clipped` are the tokens whose gradient the clip made zero,
    `outside_band` all those outside [1 − ε, 1 + ε high]. A positive coefficient makes the token likelier.
    """

    text: str
    token_ids: NDArray[np.int32]  # T
    rewards: Mapping[str, float | None]  # by function, unweighted; None: not applicable
    reasons: Mapping[str, str]
    reward: float | None  # weighted sum; None: no function applied
    advantage: float  # the mean over its tokens, which all have the same unless rewards or a critic differ by token
    token_advantages: NDArray[np.float32]  # T
    answer: str | None  # what the task reads as the completion's result
    is_correct: bool | None  # None: the task cannot tell
    is_truncated: bool
    is_masked: bool  # left out of the loss
    sampled_logps: NDArray[np.float32]  # T
    entropy: NDArray[np.float32]  # T
    old_logps: NDArray[np.float32]  # T
    ref_logps: NDArray[np.float32] | None  # T; None: the reference was not scored
    logps_by_update: NDArray[np.float32]  # U, T
    clipped_by_update: NDArray[np.bool_]  # U, T
    outside_by_update: NDArray[np.bool_]  # U, T
    kept_by_update: NDArray[np.bool_]  # U, T; False: a mask took the token out of the surrogate
    coefficients_by_update: NDArray[np.float32]  # U, T; −∂loss/∂log π as autograd gave it
    weight: float  # of each of its tokens in the loss
    top_ids: NDArray[np.int32]  # T, K
    top_logps: NDArray[np.float32]  # T, K
    vocabulary: Mapping[int, str]  # the step's: visible text of every id
    knobs: Knobs
    exact_kl_by_update: NDArray[np.float32] | None = None  # U, T; where the KL is summed over the vocabulary
    values: NDArray[np.float32] | None = None  # T; the critic's, before the step
    steps: tuple[StepMark, ...] = ()
    true_reward: float | None = None  # where the policy is trained against a learned one: the true weighted sum
    has_ratio: bool = True  # the loss looks at π/π_old

    def __repr__(self) -> str:
        return (
            f"CompletionRecord({_short(self.text)}, reward={self.reward}, advantage={self.advantage:.3g}, "
            f"{len(self.token_ids)} tokens)"
        )

    @cached_property
    def tokens(self) -> tuple[str, ...]:
        """Each token's visible text (T); bytes that are not a character by themselves read like `<0xE5>`."""
        return tuple(self.vocabulary[token] for token in self.token_ids.tolist())

    @cached_property
    def top_tokens(self) -> tuple[tuple[str, ...], ...]:
        """The same of the likeliest tokens in each place (T, K)."""
        return tuple(tuple(self.vocabulary[token] for token in top) for top in self.top_ids.tolist())

    @property
    def logps(self) -> NDArray[np.float32]:
        return self.logps_by_update[-1]

    @property
    def clipped(self) -> NDArray[np.bool_]:
        return self.clipped_by_update[-1]

    @property
    def outside_band(self) -> NDArray[np.bool_]:
        return self.outside_by_update[-1]

    @property
    def shares_ratio(self) -> bool:
        """Whether the loss gives the completion one ratio, the geometric mean of its tokens'."""
        return self.has_ratio and self.knobs.importance_sampling_level == "sequence"

    @property
    def ratio_by_update(self) -> NDArray[np.float32]:
        """π/π_old per token (U, T); where the loss has one for the whole completion (`shares_ratio`) that, repeated."""
        log_ratio = self.logps_by_update - self.old_logps
        if self.shares_ratio and log_ratio.size:
            log_ratio = np.broadcast_to(log_ratio.mean(axis=1, keepdims=True), log_ratio.shape)
        return np.exp(log_ratio)

    @property
    def ratio(self) -> NDArray[np.float32]:
        return self.ratio_by_update[-1]

    @property
    def kl_by_update(self) -> NDArray[np.float32] | None:
        """The run's estimate of KL(π‖π_ref) per token (U, T), in nats; None where the reference was not scored.

        The loss and the metric `kl` have it times the ratio where the run corrects it (`use_bias_correction_kl`).
        """
        if self.exact_kl_by_update is not None:
            return self.exact_kl_by_update
        if self.ref_logps is None:
            return None
        estimates = kl_estimates(self.logps_by_update, self.ref_logps)
        with np.errstate(over="ignore"):
            return estimates.get(self.knobs.kl_estimator, estimates["k3"]).astype(np.float32)

    @property
    def kl(self) -> NDArray[np.float32] | None:
        kl = self.kl_by_update
        return None if kl is None else kl[-1]


@dataclass(frozen=True, kw_only=True, eq=False)
class GroupRecord:
    """One prompt and its G completions.

    `mean` and `std` are those of the rewards (std divides by G − 1); None where fewer than one or two could be scored.
    `is_dead`: fewer than two rewards could be scored, or all are equal but for rounding (a std of at most 1e-8), so
    that GRPO's outcome advantages are 0, or as small as the rounding. `budget` says, for each inner update, how this
    group's gradient divides into push up, push down, KL pull and what the clip cost.
    """

    prompt: str
    target: str | None
    completions: tuple[CompletionRecord, ...]
    mean: float | None
    std: float | None
    is_dead: bool
    budget: tuple[Mapping[str, float | None], ...]  # U × {up, down, kl, lost, loss}

    def __repr__(self) -> str:
        return (
            f"GroupRecord({_short(self.prompt)}, mean={self.mean}, std={self.std}, {len(self.completions)} completions)"
        )


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:60]}…")
