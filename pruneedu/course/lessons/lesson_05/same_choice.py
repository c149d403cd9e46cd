"""Exercise: do two criteria choose the same units?"""

import torch

from pruneedu.course.exercises import Case, Exercise, Mistake
from pruneedu.course.judging import untouched
from pruneedu.course.lessons.lesson_05.shared import unit_scores
from pruneedu.course.lessons.making import generator
from pruneedu.pruning.agreement import overlap
from pruneedu.pruning.selection import keep_top
from pruneedu.tensors import Scores

PARTS = {"one layer": 2, "several layers": 2, "ties": 2}
_UNITS = (7, 6, 5)


def _cases(seed: int) -> list[Case]:
    rng = generator(seed)
    one, several, ties = PARTS
    return [
        *(_case(one, rng, (18,), k) for k in (5, 7, 12)),
        *(_case(several, rng, _UNITS, k) for k in (5, 8, 11)),
        _case(several, rng, (6, 6, 6), 7, note="the layers stand in another order", turned=True),
        *(_case(ties, rng, _UNITS, k, top=4, note="several scores are equal") for k in (6, 8, 11)),
    ]


def _case(part, rng, units, k, top=0, note="", turned=False) -> Case:
    """A case on which each mistake that can show does; others are drawn again."""
    while True:
        a, b = (unit_scores(rng, *units, top=top) for _ in range(2))
        if turned:
            b = dict(reversed(b.items()))
        wrong = [share_of_both, share_of_all, the_lowest, same_fate, places_left, share_kept]
        wrong += [each_layer_alone, k_of_each_layer] if len(units) > 1 else []
        wrong += [at_least_the_kth] if top else []
        wrong += [places_of_the_dict] if turned else []
        right = overlap(a, b, k)
        if 0 < right < 1 and all(abs(way(a, b, k) - right) > 0.01 for way in wrong):
            return Case(part, (a, b, k), note=note)


def _chosen(a: Scores, b: Scores, k: int, scope: str = "global"):
    """The two choices, each as one row of truth values."""
    n = sum(score.numel() for score in a.values())
    masks = [keep_top(scores, 1 - k / n, scope) for scores in (a, {name: b[name] for name in a})]
    return [torch.cat(list(mask.values())) for mask in masks]


def _share(numerator, denominator) -> float:
    return int(numerator.sum()) / denominator


def share_of_both(a, b, k):
    one, other = _chosen(a, b, k)
    return _share(one & other, int((one | other).sum()))


def share_of_all(a, b, k):
    one, other = _chosen(a, b, k)
    return _share(one & other, len(one))


def the_lowest(a, b, k):
    return overlap({n: -s for n, s in a.items()}, {n: -s for n, s in b.items()}, k)


def same_fate(a, b, k):
    one, other = _chosen(a, b, k)
    return _share(one == other, len(one))


def how_many(a, b, k):
    one, other = _chosen(a, b, k)
    return int((one & other).sum())


def places_left(a, b, k):
    """Takes k for the number that goes."""
    n = sum(score.numel() for score in a.values())
    return overlap(a, b, n - k)


def share_kept(a, b, k):
    """Hands k / n to `keep_top`, which takes the share that goes."""
    n = sum(score.numel() for score in a.values())
    masks = [keep_top(scores, k / n) for scores in (a, b)]
    return sum(int((masks[0][name] & masks[1][name]).sum()) for name in a) / k


def k_of_each_layer(a, b, k):
    both = 0
    for name in a:
        rows = [scores[name].argsort(descending=True, stable=True)[:k] for scores in (a, b)]
        both += int(torch.isin(*rows).sum())
    return both / k


def each_layer_alone(a, b, k):
    one, other = _chosen(a, b, k, "layer")
    return _share(one & other, k)


def at_least_the_kth(a, b, k):
    rows = [torch.cat([scores[name] for name in a]) for scores in (a, b)]
    one, other = (row >= row.sort(descending=True).values[k - 1] for row in rows)
    return _share(one & other, k)


def places_of_the_dict(a, b, k):
    """Joins the layers of each as they come, so that different layers are compared."""
    n = sum(score.numel() for score in a.values())
    masks = [keep_top(scores, 1 - k / n).values() for scores in (a, b)]
    one, other = (torch.cat(list(mask)) for mask in masks)
    return _share(one & other, k)


def by_sets(a, b, k):
    entries = [(name, i) for name in a for i in range(a[name].numel())]
    tops = [
        set(sorted(entries, key=lambda e: -scores[e[0]].flatten()[e[1]].item())[:k])
        for scores in (a, b)
    ]
    return len(tops[0] & tops[1]) / k


def by_topk(a, b, k):
    names = list(a)
    rows = [torch.cat([scores[name] for name in names]) for scores in (a, b)]
    one, other = (row.argsort(descending=True, stable=True)[:k] for row in rows)
    return torch.isin(one, other).sum().item() / k


EXERCISE = Exercise(
    reference=overlap,
    title="Do they choose the same?",
    minutes=5,
    cases=_cases,
    parts=PARTS,
    properties=(untouched(),),
    hints=(
        "Let each criterion choose its k. How many entries are in both choices?",
        "`pe.keep_top` chooses, over all layers together, and it knows what to do with equal scores. To "
        "keep k of n, the sparsity is `1 - k / n`.",
        "With the masks of both, add up `(one[name] & other[name]).sum()` over the names, and divide by "
        "k. The names of b "
        "may come in another order.",
    ),
    mistakes=(
        Mistake(
            share_of_both,
            "This divides by the number of entries that *either* has chosen. The formula divides by k, so "
            "that it is the share of one choice that the other confirms.",
        ),
        Mistake(
            share_of_all,
            "This divides by the number of all entries. Two criteria that agree would then seem not to, "
            "just because k is small. Divide by k.",
        ),
        Mistake(
            the_lowest,
            "These are the k lowest of both. What stays are the highest.",
        ),
        Mistake(
            same_fate,
            "This counts the entries that both drop as well. Where nearly all go, any two criteria agree "
            "on nearly all. Count what both *keep*, and divide by k.",
        ),
        Mistake(
            how_many,
            "This is a number of entries. The share is asked for: divide by k.",
        ),
        Mistake(
            places_left,
            "k is the number that is chosen, and this uses it as the number that goes. The sparsity is "
            "1 - k / n.",
        ),
        Mistake(
            share_kept,
            "The sparsity that `keep_top` takes is the share that *goes*, and k / n is the share that "
            "stays. The sparsity is 1 - k / n.",
        ),
        Mistake(
            k_of_each_layer,
            "Each layer has chosen k of its own, so there are several times k. All layers together "
            "choose k.",
        ),
        Mistake(
            each_layer_alone,
            "Each layer is ranked alone. The k are chosen from all layers together.",
        ),
        Mistake(
            at_least_the_kth,
            "Everything that equals the k-th score is chosen, too, so with equal scores there are more "
            "than k. Choose exactly k; of equals the earlier.",
        ),
        Mistake(
            places_of_the_dict,
            "The layers of b stand in another order, and this compares by place: one layer of a with "
            "another of b. Go by the names.",
        ),
    ),
    alternatives=(by_sets, by_topk),
)
