"""Schedules: how sparse after each round? And the loop that prunes, fine-tunes and prunes again."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import nn

from pruneedu.pruning.masks import apply_masks, apply_masks_, masked_tensors
from pruneedu.pruning.selection import keep_top
from pruneedu.tensors import Masks, Scores, check_fraction


def one_shot(sparsity: float) -> list[float]:
    """Return the schedule of a single cut.

    >>> one_shot(0.9)
    [0.9]
    """
    check_fraction(sparsity)
    return [sparsity]


def iterative(sparsity: float, rounds: int) -> list[float]:
    """Return a schedule in which each round drops the same fraction of what remains.

    s_t = 1 - (1 - S)^(t / n), t = 1 … n

    Args:
        sparsity: S, the fraction dropped in the end.
        rounds: n, the number of rounds.

    Returns:
        The n target sparsities; the last is S itself, free of rounding errors.

    Raises:
        TypeError, ValueError: a sparsity outside [0, 1], or fewer than one round.

    Source: Han et al., "Learning both weights and connections for efficient neural networks", 2015.

    >>> iterative(0.75, 2)
    [0.5, 0.75]
    """
    check_fraction(sparsity)
    _check_count(rounds, "rounds")
    remaining = 1 - sparsity
    return [1 - remaining ** (t / rounds) for t in range(1, rounds)] + [sparsity]


def cubic(sparsity: float, steps: int, start: float = 0.0) -> list[float]:
    """Return a schedule that prunes fast at first, and ever more slowly.

    s_t = s_f + (s_i - s_f) · (1 - t / n)³, t = 1 … n

    Args:
        sparsity: s_f, the fraction dropped in the end.
        steps: n, the number of steps.
        start: s_i, the fraction dropped before the first step.

    Returns:
        The n target sparsities; the last is s_f.

    Raises:
        TypeError, ValueError: fractions outside [0, 1], fewer than one step, or start > sparsity.

    Source: Zhu and Gupta, "To prune, or not to prune", 2017.

    >>> cubic(1.0, 2)
    [0.875, 1.0]
    """
    check_fraction(sparsity)
    check_fraction(start, "start")
    _check_count(steps, "steps")
    if start > sparsity:
        raise ValueError(f"start is {start}, above the final sparsity {sparsity}: give less")
    return [sparsity + (start - sparsity) * (1 - t / steps) ** 3 for t in range(1, steps + 1)]


def prune_iteratively(
    model: nn.Module,
    criterion: Callable[[nn.Module], Scores],
    sparsities: list[float],
    finetune: Callable[..., nn.Module],
    scope: str = "global",
) -> tuple[nn.Module, Masks]:
    """Prune to one sparsity after the other, and fine-tune after each cut.

    Each round scores the current model; what an earlier round dropped stays dropped.

    Args:
        model: the trained network; it is not changed.
        criterion: model -> scores.
        sparsities: target sparsity of each round, rising, as from `one_shot`, `iterative`, `cubic`.
        finetune: `finetune(model, after_step)` -> fine-tuned model; it calls `after_step(model)`
            after each optimizer step, which sets the dropped weights to zero again.
        scope: "global" or "layer", as in `keep_top`.

    Returns:
        The pruned and fine-tuned model, and its masks.

    Raises:
        ValueError: sparsities that are empty or fall, or a `finetune` that revived weights.

    Source: Han et al., "Learning both weights and connections for efficient neural networks", 2015.

    >>> from pruneedu.models import mlp
    >>> from pruneedu.pruning import magnitude
    >>> from pruneedu.tensors import sparsity
    >>> untouched = lambda model, after_step: model
    >>> _, masks = prune_iteratively(mlp(4, 2), magnitude, [0.5, 0.75], untouched)
    >>> sparsity(masks)
    0.75
    """
    _check_rising(sparsities)
    masks = None
    for sparsity in sparsities:
        masks = keep_top(criterion(model), sparsity, scope=scope, masks=masks)
        model = apply_masks(model, masks)
        model = finetune(model, partial(apply_masks_, masks=masks))
        _check_still_dropped(model, masks)
    return model, masks


def _check_count(count: int, name: str) -> None:
    """Raise unless `count` is a positive integer."""
    if not isinstance(count, int) or count < 1:
        raise ValueError(f"{name} is {count!r}: give a whole number of at least 1")


def _check_rising(sparsities: list[float]) -> None:
    """Raise unless there is a sparsity, and none is below the one before it."""
    if not sparsities or sorted(sparsities) != list(sparsities):
        raise ValueError(f"sparsities are {sparsities}: give at least one, each at least the last")


def _check_still_dropped(model: nn.Module, masks: Masks) -> None:
    """Raise if an entry that the masks drop is not zero."""
    revived = sum(
        int(tensor.masked_fill(mask, 0).count_nonzero())
        for tensor, mask in masked_tensors(model, masks)
    )
    if revived:
        raise ValueError(
            f"finetune brought {revived} dropped entries back: "
            "let it call after_step(model) after each optimizer step"
        )
