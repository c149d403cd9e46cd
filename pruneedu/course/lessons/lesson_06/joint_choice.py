"""Exercise: choose inputs that tell much together: an open task, judged by measurement."""

import itertools

import torch
from torch import Tensor

from pruneedu.course.exercises import Case, Difference, Exercise, Mistake
from pruneedu.course.judging import untouched
from pruneedu.course.lessons.making import generator

ROWS, INPUTS = 160, 8


def informative_set(x: Tensor, y: Tensor, count: int) -> list[int]:
    """Choose the inputs that together tell most about the class.

    maximise I(x_S; y) over all sets S of `count` inputs, x_S the values of all of them as one

    Args:
        x: [N, inputs] of 0 and 1, as integers.
        y: [N] class numbers, from 0.
        count: how many inputs to choose.

    Returns:
        `count` different column numbers, in any order. Many answers are right: the check asks that
        they come at least half way from the inputs that tell most alone to the best set.

    Source: Peng, Long and Ding, "Feature selection based on mutual information", 2005, for a rule
    that needs no table over all chosen inputs.
    """
    sets = itertools.combinations(range(x.shape[1]), count)
    return list(max(sets, key=lambda chosen: _information(x[:, list(chosen)], y)))


def _information(x: Tensor, y: Tensor) -> float:
    """I(x; y) = H(x) + H(y) - H(x, y), a row of x read as one number in base 2."""
    code = x @ 2 ** torch.arange(x.shape[1])
    return _entropy(code) + _entropy(y) - _entropy(code * (y.max() + 1) + y)


def _entropy(values: Tensor) -> float:
    p = values.bincount() / len(values)
    return torch.special.entr(p).sum().item()


def _cases(seed: int) -> list[Case]:
    """Cases that tell answers apart: ranking alone is wrong on each, and the alternative right."""
    rng = generator(seed)
    plan = 5 * [("copies", _copies)] + 2 * [("only together", _exclusive)]
    cases: list[Case] = []
    while len(cases) < len(plan):
        part, draw = plan[len(cases)]
        case = Case(part, (*draw(rng), 3))
        wrong = [most_alone, most_alike_last, first_columns]
        if part == "only together":
            wrong.append(one_at_a_time)
        best = informative_set(*case.args)
        right = [best, by_pairs(*case.args)]
        right += [one_at_a_time(*case.args)] if part == "copies" else []
        told_apart = all(_accept(case, best, way(*case.args)) for way in wrong)
        if told_apart and not any(_accept(case, best, answer) for answer in right):
            cases.append(case)
    return cases


def _copies(rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Three bits make the class. Of the first there are three copies, each better than the rest."""
    bits = torch.randint(0, 2, (ROWS, 3), generator=rng)
    noise = torch.randint(0, 2, (ROWS, 3), generator=rng)
    x = torch.cat([bits[:, :1].expand(-1, 3), bits[:, 1:], noise], 1)
    flips = torch.rand(ROWS, INPUTS, generator=rng) < torch.tensor(
        [0.02, 0.04, 0.06, 0.15, 0.18, 0, 0, 0]
    )
    return _shuffled(x ^ flips, bits @ torch.tensor([4, 2, 1]), rng)


def _exclusive(rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """The class has two bits: one has three copies, the other is the difference of two inputs."""
    bits = torch.randint(0, 2, (ROWS, 3), generator=rng)
    noise = torch.randint(0, 2, (ROWS, 3), generator=rng)
    x = torch.cat([bits[:, :1].expand(-1, 3), bits[:, 1:], noise], 1)
    flips = torch.rand(ROWS, INPUTS, generator=rng) < torch.tensor([0.1, 0.12, 0.14, 0, 0, 0, 0, 0])
    return _shuffled(x ^ flips, 2 * bits[:, 0] + (bits[:, 1] ^ bits[:, 2]), rng)


def _shuffled(x: Tensor, y: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    return x[:, torch.randperm(INPUTS, generator=rng)].long(), y


def _accept(case: Case, expected: list[int], got) -> Difference | None:
    """Any set that tells at least half of what the best tells beyond the best alone."""
    x, y, count = case.args
    if type(got) not in (list, tuple) or any(type(j) is not int for j in got):
        return Difference("the result", f"a list of {count} column numbers", f"{got!r:.60}")
    if len(set(got)) != count or len(got) != count or not all(0 <= j < x.shape[1] for j in got):
        return Difference(
            "the result", f"{count} different columns of {x.shape[1]}", f"{got!r:.60}"
        )
    told, most, alone = (
        _information(x[:, list(chosen)], y) for chosen in (got, expected, most_alone(*case.args))
    )
    if told >= (most + alone) / 2 - 1e-9:
        return None
    need = f"at least {(most + alone) / 2:.3f} nats (the best set tells {most:.3f})"
    return Difference(f"what the inputs {got} tell together", need, f"{told:.3f} nats")


def _each(x, y):
    return [_information(x[:, j : j + 1], y) for j in range(x.shape[1])]


def most_alone(x, y, count):
    told = _each(x, y)
    return sorted(range(x.shape[1]), key=lambda j: -told[j])[:count]


def least_alone(x, y, count):
    told = _each(x, y)
    return sorted(range(x.shape[1]), key=lambda j: told[j])[:count]


def most_alike_last(x, y, count):
    """Avoids what is alike and never asks for the class."""
    alike = [
        sum(_information(x[:, i : i + 1], x[:, j]) for i in range(x.shape[1]) if i != j)
        for j in range(x.shape[1])
    ]
    return sorted(range(x.shape[1]), key=lambda j: alike[j])[:count]


def first_columns(x, y, count):
    return list(range(count))


def the_best_again(x, y, count):
    return most_alone(x, y, 1) * count


def as_a_mask(x, y, count):
    chosen = informative_set(x, y, count)
    return [j in chosen for j in range(x.shape[1])]


def one_at_a_time(x, y, count):
    chosen: list[int] = []
    while len(chosen) < count:
        left = [j for j in range(x.shape[1]) if j not in chosen]
        chosen.append(max(left, key=lambda j: _information(x[:, [*chosen, j]], y)))
    return chosen


def by_pairs(x, y, count):
    chosen: list[int] = []
    while len(chosen) < count:
        left = [j for j in range(x.shape[1]) if j not in chosen]
        steps = itertools.combinations(left, min(2, count - len(chosen)))
        chosen += max(steps, key=lambda more: _information(x[:, [*chosen, *more]], y))
    return chosen


def by_rows(x, y, count):
    """Each set's rows compared as rows, not as numbers."""

    def entropy(rows):
        p = rows.unique(dim=0, return_counts=True)[1] / len(rows)
        return -(p * p.log()).sum()

    def told(chosen):
        x_s = x[:, list(chosen)]
        return entropy(x_s) - entropy(torch.cat([x_s, y[:, None]], 1))

    return list(max(itertools.combinations(range(x.shape[1]), count), key=told))


EXERCISE = Exercise(
    reference=informative_set,
    title="Inputs that tell much together",
    minutes=20,
    cases=_cases,
    parts={"copies": 4, "only together": 1},
    properties=(untouched(),),
    accept=_accept,
    hints=(
        "Two good inputs that say the same tell no more than one of them. What has to be measured is "
        "the set, not its members.",
        "Make one value of all chosen inputs: a row of 0 and 1 is a number in base 2. What it tells you "
        "count as in exercise 1. Then add the input that makes the set tell most, again and again.",
        "One at a time misses two inputs that tell nothing alone and everything together. With 8 inputs "
        "and 3 to choose there are 56 sets: `itertools.combinations(range(x.shape[1]), count)` gives "
        "them all, and `max(..., key=...)` the best.",
    ),
    mistakes=(
        Mistake(
            most_alone,
            "These are the inputs that tell most each for itself. They are copies of one another: the "
            "second tells what you know already.",
        ),
        Mistake(least_alone, "The sort has the wrong end: these tell least."),
        Mistake(
            most_alike_last,
            "These resemble each other least, and noise resembles nothing. The class was never asked.",
        ),
        Mistake(first_columns, "These are the first columns, whatever is in them."),
        Mistake(the_best_again, "This is the best input, several times. They must differ."),
        Mistake(
            as_a_mask,
            "This is a truth value for each input. The numbers of the chosen columns were asked for.",
        ),
        Mistake(
            one_at_a_time,
            "It adds one input at a time. That avoids copies, but two inputs that tell something only "
            "together are never found: neither is worth a first step.",
        ),
    ),
    alternatives=(by_pairs, by_rows),
)
