"""Agreement: do two criteria say the same? By the order of all entries, or by those chosen."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from pruneedu.pruning.selection import keep_top
from pruneedu.tensors import Scores, check_scores


class RankCorrelation(NamedTuple):
    """How alike two rankings are, each number from -1 (reversed) to 1 (the same)."""

    spearman: float
    kendall: float


def rank_correlation(a: Scores, b: Scores) -> RankCorrelation:
    """Compare the rankings that two criteria give to the same entries.

    spearman ρ = the correlation of the ranks; ties share the mean of their ranks

    kendall τ-b = (C - D) / √((C + D + ties in a) · (C + D + ties in b)), of all pairs of entries C
    in the same order and D in opposite order; a pair that ties in both counts nowhere

    Args:
        a: scores; all layers are ranked together, so name only one to rank it alone.
        b: scores with the same names and shapes.

    Returns:
        Both numbers. Near 0, one ranking says nothing about the other.

    Raises:
        ValueError: other names or shapes, NaN or infinity, or scores that are all equal.

    Source: Spearman, "The proof and measurement of association between two things", 1904;
    Kendall, "The treatment of ties in ranking problems", 1945.

    >>> a = {"fc1": torch.tensor([1.0, 2.0, 3.0, 4.0])}
    >>> b = {"fc1": torch.tensor([1.0, 20.0, 4.0, 40.0])}
    >>> rho, tau = rank_correlation(a, b)
    >>> round(rho, 3), round(tau, 3)
    (0.8, 0.667)
    """
    from scipy.stats import kendalltau, spearmanr

    rows = [_row(scores) for scores in _aligned(a, b)]
    for which, row in zip(("first", "second"), rows, strict=True):
        if (row == row[0]).all():
            raise ValueError(
                f"the {which} scores all equal {row[0].item():g}, so they rank nothing: "
                "compare scores that tell the entries apart"
            )
    ranked = [row.cpu().numpy() for row in rows]
    return RankCorrelation(*(float(f(*ranked).statistic) for f in (spearmanr, kendalltau)))


def overlap(a: Scores, b: Scores, k: int) -> float:
    """Return the share of the k highest entries that two criteria both choose.

    overlap = |top_k(a) ∩ top_k(b)| / k

    Each choice is that of `keep_top`: all layers ranked together, and of equals the earlier first.
    Two random criteria share k / n of n entries on average, so compare with that.

    Args:
        a: scores.
        b: scores with the same names and shapes.
        k: the number of entries that each chooses, from 1 to n.

    Returns:
        A number in [0, 1].

    Raises:
        ValueError: other names or shapes, NaN or infinity, or a k that cannot be chosen.

    >>> a = {"fc1": torch.tensor([1.0, 2.0, 3.0, 4.0])}
    >>> b = {"fc1": torch.tensor([1.0, 20.0, 4.0, 40.0])}
    >>> overlap(a, b, k=2)
    0.5
    """
    a, b = _aligned(a, b)
    entries = sum(score.numel() for score in a.values())
    if not isinstance(k, int) or not 1 <= k <= entries:
        raise ValueError(f"k is {k}, but the scores have {entries} entries: give 1 to {entries}")
    chosen, others = (_row(keep_top(scores, sparsity=1 - k / entries)) for scores in (a, b))
    return (chosen & others).sum().item() / k


def _row(tensors: dict[str, Tensor]) -> Tensor:
    """Return all entries in one row."""
    return torch.cat([tensor.detach().flatten() for tensor in tensors.values()])


def _aligned(a: Scores, b: Scores) -> tuple[Scores, Scores]:
    """Return both scores in the order of the first, or raise where they differ in more."""
    check_scores(a)
    check_scores(b)
    for name in [*a, *b]:
        shapes = [tuple(scores[name].shape) if name in scores else None for scores in (a, b)]
        if shapes[0] != shapes[1]:
            said = ["no entry" if shape is None else f"shape {shape}" for shape in shapes]
            raise ValueError(
                f"{name!r} has {said[0]} in the first scores and {said[1]} in the second: "
                "compare scores of the same layers of one model, at one level"
            )
    return a, {name: b[name] for name in a}
