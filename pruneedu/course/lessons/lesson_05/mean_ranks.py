"""Exercise: how alike two rankings are, by hand, with ties."""

import torch
from torch import Tensor

from pruneedu.course.exercises import Case, Exercise, Mistake
from pruneedu.course.judging import untouched
from pruneedu.course.lessons.making import generator
from pruneedu.pruning.agreement import rank_correlation


def spearman(a: Tensor, b: Tensor) -> float:
    """Return Spearman's rank correlation: how alike two criteria rank the same entries.

    ρ = Σ_i (r_i − r̄) (s_i − s̄) / √(Σ_i (r_i − r̄)² · Σ_i (s_i − s̄)²)

    r are the ranks of a, from 1 for the lowest, and s those of b; r̄ and s̄ are their means. Equal
    scores share the mean of the ranks that they take up: those of 5, 7, 7, 9 are 1, 2.5, 2.5, 4.

    Args:
        a: scores [n], not all equal.
        b: scores [n] of the same entries, not all equal.

    Returns:
        A number from -1, the reversed order, to 1, the same order.

    Source: Spearman, "The proof and measurement of association between two things", 1904.

    >>> round(spearman(torch.tensor([5.0, 7.0, 7.0, 9.0]), torch.tensor([1.0, 2.0, 3.0, 4.0])), 3)
    0.949
    """
    ranks = torch.stack([_mean_ranks(a), _mean_ranks(b)])
    deviations = ranks - ranks.mean(1, keepdim=True)
    squares = deviations.square().sum(1)
    return float(deviations.prod(0).sum() / squares.prod().sqrt())


def _mean_ranks(row: Tensor) -> Tensor:
    """With L scores lower than this one and E equal to it, E takes up the ranks L + 1 … L + E."""
    lower = (row[None, :] < row[:, None]).sum(1)
    equal = (row[None, :] == row[:, None]).sum(1)
    return lower.double() + (equal + 1) / 2


PARTS = {"no ties": 2, "ties": 3, "many ties": 1}


def _cases(seed: int) -> list[Case]:
    rng = generator(seed)
    alike, ties, many = PARTS
    return [
        *(Case(alike, _rows(rng, n, sign=s)) for n, s in ((6, -1), (9, 1), (12, -1))),
        *(Case(ties, _rows(rng, n, 6), note="some scores are equal") for n in (8, 11, 14)),
        *(Case(many, _rows(rng, n, 2), note="most scores are equal") for n in (12, 15)),
    ]


def _rows(rng: torch.Generator, entries: int, top: int = 0, sign: int = 1) -> tuple[Tensor, Tensor]:
    """Two rows, somewhat alike or (sign -1) reversed; with `top`, whole numbers from 0 to it.

    Rows whose correlation is near 0 are drawn again: there a mistake would change too little.
    """
    while True:
        both = torch.randn(2, entries, generator=rng)
        both[1] += 0.5 * sign * both[0]
        if top:
            both = (both - both.min()) / (both.max() - both.min()) * top
            both = both.round()
        else:
            both = both.exp()
        if all(len(row.unique()) > 1 for row in both) and sign * spearman(*both) > 0.2:
            return both[0], both[1]


def _correlation(a: Tensor, b: Tensor) -> float:
    return torch.corrcoef(torch.stack([a, b]).double())[0, 1].item()


def _of_ranks(a: Tensor, b: Tensor, rank) -> float:
    return _correlation(rank(a), rank(b))


def of_the_values(a, b):
    return _correlation(a, b)


def places_not_ranks(a, b):
    return _of_ranks(a, b, lambda row: row.argsort(stable=True))


def ties_in_their_order(a, b):
    return _of_ranks(a, b, lambda row: row.argsort(stable=True).argsort())


def lowest_rank_for_all(a, b):
    return _of_ranks(a, b, lambda row: (row[None, :] < row[:, None]).sum(1))


def ties_take_one_rank(a, b):
    return _of_ranks(a, b, lambda row: row.unique(return_inverse=True)[1])


def squared_differences(a, b):
    n, apart = len(a), _mean_ranks(a) - _mean_ranks(b)
    return 1 - 6 * apart.square().sum().item() / (n * (n**2 - 1))


def one_row_reversed(a, b):
    return -spearman(a, b)


def without_the_sign(a, b):
    return abs(spearman(a, b))


def not_centred(a, b):
    return torch.cosine_similarity(_mean_ranks(a), _mean_ranks(b), 0).item()


def by_sorting(a, b):
    def rank(row):
        values, counts = row.unique(return_counts=True)
        last = counts.cumsum(0)
        means = (last - counts + 1 + last) / 2
        return means[torch.searchsorted(values, row)]

    return _of_ranks(a, b, rank)


def by_scipy(a, b):
    from scipy.stats import spearmanr

    return float(spearmanr(a.numpy(), b.numpy()).statistic)


EXERCISE = Exercise(
    reference=spearman,
    title="Compare two rankings",
    minutes=8,
    cases=_cases,
    parts=PARTS,
    properties=(untouched(),),
    hints=(
        "Turn each row into ranks first. From then on the scores themselves play no part.",
        "The rank of a score is 1 + the number of scores that are lower, if no other is equal. If E "
        "scores are equal, they take up E ranks in a row; each gets the mean of these.",
        "`lower = (row[None, :] < row[:, None]).sum(1)` counts the lower ones for each entry, and with "
        "`==` the equal ones, itself included. The mean rank is `lower + (equal + 1) / 2`. Then the "
        "formula, or `torch.corrcoef`.",
    ),
    mistakes=(
        Mistake(
            of_the_values,
            "This is the correlation of the scores themselves. One criterion may count in millionths and "
            "another in hundreds, and one large score decides. Only the order should count: take ranks.",
        ),
        Mistake(
            places_not_ranks,
            "`argsort` says which entry is the lowest, the second lowest, …; it does not say which rank "
            "an entry has. The ranks are the `argsort` of the `argsort`, where no two are equal.",
        ),
        Mistake(
            ties_in_their_order,
            "Equal scores get different ranks here, in the order in which they stand. That is an order "
            "that no criterion has given. Give each the mean of the ranks that they take up.",
        ),
        Mistake(
            lowest_rank_for_all,
            "Equal scores all get the lowest of the ranks that they take up. Give each the mean.",
        ),
        Mistake(
            ties_take_one_rank,
            "Equal scores take up one rank together here, and whatever is above them moves down. Three "
            "equal scores take up three ranks, and each gets their mean.",
        ),
        Mistake(
            squared_differences,
            "The short formula with 6 Σ d² holds only where no two scores are equal. The one in the "
            "docstring always does.",
        ),
        Mistake(
            one_row_reversed,
            "The sign is reversed: one of the rows is ranked from the top and the other from the bottom.",
        ),
        Mistake(
            without_the_sign,
            "The sign is gone. A criterion that ranks everything the wrong way round would look perfect.",
        ),
        Mistake(
            not_centred,
            "The means are not subtracted. All ranks are positive, so any two rows look alike.",
        ),
    ),
    alternatives=(by_sorting, by_scipy),
    closes=(rank_correlation,),
)
