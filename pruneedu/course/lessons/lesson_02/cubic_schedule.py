"""Exercise: a schedule that prunes fast at first, then ever more slowly."""

import torch

from pruneedu.course.exercises import Case, Exercise, Mistake
from pruneedu.course.lessons.making import generator, uniform
from pruneedu.pruning.schedules import cubic


def _cases(seed: int) -> list[Case]:
    rng = generator(seed)
    whole = [2 + int(torch.randint(9, (), generator=rng)) for _ in range(7)]
    return [
        *(Case("from zero", (uniform(rng, 0.6, 0.99), n)) for n in whole[:4]),
        *(
            Case("from a start", (uniform(rng, 0.7, 0.99), n), {"start": uniform(rng, 0.1, 0.6)})
            for n in whole[4:]
        ),
        Case("one step", (uniform(rng, 0.5, 0.9), 1), note="there is one step"),
        Case("one step", (0.9, 1), {"start": 0.5}, note="there is one step"),
        Case("bad input is refused", (1.2, 5), note="sparsity is 1.2"),
        Case("bad input is refused", (0.5, 5), {"start": 0.8}, note="the start is above the end"),
        Case("bad input is refused", (0.5, 0), note="there is no step"),
    ]


def counted_from_zero(sparsity, steps, start=0.0):
    return [sparsity + (start - sparsity) * (1 - t / steps) ** 3 for t in range(steps)]


def one_too_many(sparsity, steps, start=0.0):
    return [sparsity + (start - sparsity) * (1 - t / steps) ** 3 for t in range(steps + 1)]


def linear(sparsity, steps, start=0.0):
    return [sparsity + (start - sparsity) * (1 - t / steps) for t in range(1, steps + 1)]


def slow_first(sparsity, steps, start=0.0):
    return [start + (sparsity - start) * (t / steps) ** 3 for t in range(1, steps + 1)]


def start_forgotten(sparsity, steps, start=0.0):
    return [sparsity * (1 - (1 - t / steps) ** 3) for t in range(1, steps + 1)]


def remaining(sparsity, steps, start=0.0):
    return [1 - s for s in cubic(sparsity, steps, start)]


def squared(sparsity, steps, start=0.0):
    return [sparsity + (start - sparsity) * (1 - t / steps) ** 2 for t in range(1, steps + 1)]


def _check(sparsity, steps, start):
    if not 0 <= start <= sparsity <= 1 or steps < 1:
        raise ValueError("give 0 <= start <= sparsity <= 1 and at least one step")


def by_loop(sparsity, steps, start=0.0):
    _check(sparsity, steps, start)
    targets = []
    for step in range(1, steps + 1):
        left = (steps - step) / steps
        targets.append(sparsity - (sparsity - start) * left**3)
    return targets


def by_tensor(sparsity, steps, start=0.0):
    _check(sparsity, steps, start)
    done = torch.arange(1, steps + 1, dtype=torch.float64) / steps
    return (sparsity + (start - sparsity) * (1 - done) ** 3).tolist()


EXERCISE = Exercise(
    reference=cubic,
    title="The cubic schedule",
    minutes=10,
    cases=_cases,
    parts={"from zero": 3, "from a start": 2, "one step": 1, "bad input is refused": 1},
    hints=(
        "The formula is in the docstring. What is it at t = 0, and at t = n?",
        "t runs over 1, 2, …, n: the start itself is no target, the end is the last one.",
        "`[sparsity + (start - sparsity) * (1 - t / steps) ** 3 for t in range(1, steps + 1)]`, after "
        "refusing with a ValueError what makes no sense: fractions outside [0, 1], a start above the "
        "end, fewer than one step.",
    ),
    mistakes=(
        Mistake(
            counted_from_zero,
            "t runs from 0 to n - 1: the first target is the start, where the network already is, and "
            "the last one never reaches the end. It should run from 1 to n.",
        ),
        Mistake(
            one_too_many,
            "There is one target too many: t = 0 is where the network already is.",
        ),
        Mistake(
            linear,
            "This is a straight line: the same share goes at each step. The third power is missing.",
        ),
        Mistake(
            slow_first,
            "This is the third power of t / n: it starts slowly and ends with the deepest cut, when the "
            "network has least to spare. The power belongs on what is left, 1 - t / n.",
        ),
        Mistake(
            start_forgotten,
            "It always starts from 0. With a start of its own the schedule goes from there.",
        ),
        Mistake(
            remaining,
            "These are the shares that stay. A sparsity is the share that goes.",
        ),
        Mistake(
            squared,
            "This is the square. The cubic schedule takes the third power.",
        ),
    ),
    alternatives=(by_loop, by_tensor),
)
