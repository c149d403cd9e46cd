"""Exercise: what one input, sorted into bins, tells about the class."""

import torch
from torch import Tensor

from pruneedu.course.exercises import Case, Exercise, Mistake
from pruneedu.course.judging import untouched
from pruneedu.course.lessons.making import generator
from pruneedu.pruning.histograms import histograms


def binned_information(x: Tensor, y: Tensor, bins: int) -> float:
    """Return the mutual information of one input and the class, by counting in bins.

    I = sum over bins b and classes c of p(b, c) · log(p(b, c) / (p(b) · p(c))), in nats

    The bins have equal width, from the least value of x to the greatest, which falls in the last
    bin. What never occurs adds nothing: 0 · log 0 is 0.

    Args:
        x: [N] the values of one input.
        y: [N] class numbers, from 0.
        bins: how many, at least 1.

    Returns:
        A number from 0 (the input tells nothing) to the entropy of the classes.

    Source: Shannon, "A mathematical theory of communication", 1948.
    """
    edges = torch.linspace(x.min(), x.max(), bins + 1)[1:-1]
    index = torch.bucketize(x, edges, right=True)  # [N] the number of each value's bin, from 0
    joint = torch.zeros(bins, int(y.max()) + 1)  # [bins, classes], to become p(b, c)
    ### BEGIN SOLUTION
    joint.index_put_((index, y), torch.tensor(1 / len(x)), accumulate=True)
    apart = joint.sum(1, keepdim=True) * joint.sum(0)
    seen = joint > 0
    return (joint[seen] * (joint[seen] / apart[seen]).log()).sum().item()
    ### END SOLUTION


def _cases(seed: int) -> list[Case]:
    rng = generator(seed)
    made = [_draw(rng, rows, classes) for rows, classes in ((60, 3), (90, 4), (80, 2), (70, 5))]
    outlier = [(torch.cat([x, torch.tensor([60.0])]), torch.cat([y, y[:1]])) for x, y in made]
    levels, y = torch.randint(0, 17, (80,), generator=rng), made[2][1]
    return [
        *(Case("bins that all are used", (x, y, bins)) for (x, y) in made[:2] for bins in (3, 4)),
        *(
            Case("bins that stay empty", (x, y, 30), note="many bins are empty")
            for x, y in outlier[:3]
        ),
        Case("bins that stay empty", (levels / 16, y, 34), note="x has 17 levels, in 34 bins"),
        Case("nothing and all", (torch.full((80,), 0.5), y, 4), note="x is constant"),
        Case("nothing and all", (*made[0], 1), note="there is one bin"),
        Case("nothing and all", (y.float(), y, 2), note="x is the class itself"),
    ]


def _draw(rng: torch.Generator, rows: int, classes: int) -> tuple[Tensor, Tensor]:
    y = torch.randint(0, classes, (rows,), generator=rng)
    return torch.rand(rows, generator=rng) + 0.4 * y, y


def _joint(x, y, bins, index=None):
    edges = torch.linspace(x.min(), x.max(), bins + 1)[1:-1]
    index = torch.bucketize(x, edges, right=True) if index is None else index
    rows = torch.nn.functional.one_hot(index).double()
    return rows.T @ torch.nn.functional.one_hot(y).double() / len(x)


def _entropy(p):
    return -torch.special.xlogy(p, p).sum().item()


def _information(joint):
    return _entropy(joint.sum(0)) + _entropy(joint.sum(1)) - _entropy(joint)


def in_bits(x, y, bins):
    return binned_information(x, y, bins) / torch.tensor(2.0).log().item()


def zero_times_log_zero(x, y, bins):
    joint = _joint(x, y, bins)
    return (joint * (joint / (joint.sum(1, keepdim=True) * joint.sum(0))).log()).sum().item()


def entropy_of_the_input(x, y, bins):
    return _entropy(_joint(x, y, bins).sum(1))


def entropy_that_is_left(x, y, bins):
    joint = _joint(x, y, bins)
    return _entropy(joint) - _entropy(joint.sum(1))


def joint_entropy(x, y, bins):
    return _entropy(_joint(x, y, bins))


def a_bin_for_the_greatest(x, y, bins):
    width = (x.max() - x.min()).clamp(min=1e-12) / bins
    return _information(_joint(x, y, bins, ((x - x.min()) / width).floor().long().clamp(0, bins)))


def equal_counts(x, y, bins):
    rank = x.argsort(stable=True).argsort()
    return _information(_joint(x, y, bins, rank * bins // len(x)))


def counts_as_shares(x, y, bins):
    counts = _joint(x, y, bins) * len(x)
    seen = counts > 0
    apart = counts.sum(1, keepdim=True) * counts.sum(0)
    return (counts[seen] * (counts[seen] / apart[seen]).log()).sum().item()


def counted_once(x, y, bins):
    """Adds with `joint[index, y] += …`, which counts a pair that comes again only once."""
    joint = (_joint(x, y, bins) > 0).double() / len(x)
    apart, seen = joint.sum(1, keepdim=True) * joint.sum(0), joint > 0
    return (joint[seen] * (joint[seen] / apart[seen]).log()).sum().item()


def from_zero_to_one(x, y, bins):
    return _information(_joint(x, y, bins, (x * bins).floor().long().clamp(0, bins - 1)))


def by_entropies(x, y, bins):
    return _information(_joint(x, y, bins))


def by_loop(x, y, bins):
    low, high, total = x.min(), x.max(), 0.0
    for b in range(bins):
        start, end = low + (high - low) * b / bins, low + (high - low) * (b + 1) / bins
        inside = (x >= start) & ((x < end) if b < bins - 1 else (x <= high))
        for c in y.unique():
            both = (inside & (y == c)).double().mean().item()
            if both > 0:
                alone = inside.double().mean() * (y == c).double().mean()
                total += both * (both / alone).log().item()
        if high == low:
            break
    return total


EXERCISE = Exercise(
    reference=binned_information,
    title="What one input tells",
    minutes=8,
    cases=_cases,
    parts={
        "bins that all are used": 3,
        "bins that stay empty": 2,
        "nothing and all": 1,
    },
    properties=(untouched(),),
    hints=(
        "Count in the table how often each bin meets each class. Divided by N it is p(b, c); its sums "
        "along the rows and the columns are p(b) and p(c).",
        "`for b, c in zip(index.tolist(), y.tolist()): joint[b, c] += 1 / len(x)` fills the table. Take "
        "the sum of the formula only where p(b, c) > 0.",
        "`apart = joint.sum(1, keepdim=True) * joint.sum(0)` is p(b) · p(c) for each cell, and `seen = "
        "joint > 0`. Return the sum of `joint[seen] * (joint[seen] / apart[seen]).log()`, as a float.",
    ),
    mistakes=(
        Mistake(in_bits, "These are bits: the logarithm is to base 2. Nats take the natural one."),
        Mistake(
            zero_times_log_zero,
            "0 · log 0 is 0 in the formula, and nan in floating point. Leave out what never occurs.",
        ),
        Mistake(
            entropy_of_the_input,
            "This is the entropy of the input: how much it varies. It never asks for the class.",
        ),
        Mistake(
            entropy_that_is_left,
            "This is what remains unknown about the class once the input is known. The information is "
            "what has gone: H(y) minus this.",
        ),
        Mistake(
            joint_entropy, "This is the entropy of the pair. The product p(b) · p(c) is missing."
        ),
        Mistake(
            a_bin_for_the_greatest,
            "The greatest value has a bin of its own, one too many: it belongs to the last bin.",
        ),
        Mistake(
            equal_counts,
            "These bins hold equally many examples. The docstring asks for bins of equal width.",
        ),
        Mistake(
            counts_as_shares,
            "These are counts, not shares: divide by the number of examples first.",
        ),
        Mistake(
            counted_once,
            "With a tensor of places, `joint[index, y] += 1` adds once for each *different* place, however "
            "often it comes. `index_put_(…, accumulate=True)` adds for each, and so does a loop.",
        ),
        Mistake(
            from_zero_to_one,
            "The bins reach from 0 to 1, whatever the values are. They should reach from the least to "
            "the greatest.",
        ),
    ),
    alternatives=(by_entropies, by_loop),
    closes=(histograms,),
)
