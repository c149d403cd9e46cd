"""Exercise: choose inputs that tell much together: an open task, judged by measurement."""

import itertools

import torch
from torch import Tensor

from pruneedu.course.exercises import Case, Difference, Exercise, Mistake
from pruneedu.course.judging import untouched
from pruneedu.course.lessons.making import generator

ROWS, ENOUGH = 240, 0.9


def informative_set(x: Tensor, y: Tensor, count: int) -> list[int]:
    """Choose the inputs that together tell most about the class.

    maximise I(x_S; y) over all sets S of `count` inputs, x_S the values of all of them as one

    Args:
        x: [N, inputs] of 0 and 1, as integers.
        y: [N] class numbers, from 0.
        count: how many inputs to choose.

    Returns:
        `count` different column numbers, in any order. Many answers are right: the check asks that
        they come nine tenths of the way from the inputs that tell most alone to the best set.

    Source: Peng, Long and Ding, "Feature selection based on mutual information", 2005. Their rule
    compares pairs only and is no safe way here: it misses what inputs tell only together, and the
    more are chosen, the less a copy of one costs.
    """

    def entropy(values: Tensor) -> float:
        return torch.special.entr(values.bincount() / len(values)).sum().item()

    def told(chosen) -> float:
        """I(x_S; y) in nats for these columns, a row of them read as one number in base 2."""
        code = x[:, list(chosen)] @ 2 ** torch.arange(len(chosen))
        return entropy(code) + entropy(y) - entropy(code * (y.max() + 1) + y)

    ### BEGIN SOLUTION
    return list(max(itertools.combinations(range(x.shape[1]), count), key=told))
    ### END SOLUTION


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
    plan = [("copies", _copies, *sizes) for sizes in ((9, 2), (8, 3), (11, 3), (9, 4), (10, 4))]
    plan += [("only together", _exclusive, *sizes) for sizes in ((8, 3), (10, 3), (9, 4))]
    cases: list[Case] = []
    while len(cases) < len(plan):
        part, draw, inputs, count = plan[len(cases)]
        case = Case(
            part, (*draw(rng, inputs, count), count), note=f"{count} of {inputs} inputs are chosen"
        )
        wrong = [most_alone, most_alike_last, first_columns]
        wrong += [best_of_thirty] if count > 2 else []
        wrong += [one_at_a_time, less_in_common] if part == "only together" else []
        best = informative_set(*case.args)
        right = [best, by_pairs(*case.args)]
        right += [one_at_a_time(*case.args)] if part == "copies" else []
        told_apart = all(_accept(case, best, way(*case.args)) for way in wrong)
        if told_apart and not any(_accept(case, best, answer) for answer in right):
            cases.append(case)
    return cases


def _copies(rng: torch.Generator, inputs: int, count: int) -> tuple[Tensor, Tensor]:
    """`count` bits make the class. The first has three copies, each better than the rest."""
    bits = torch.randint(0, 2, (ROWS, count), generator=rng)
    flips = [0.02, 0.04, 0.06, *torch.linspace(0.15, 0.18, count - 1).tolist()]
    y = bits @ 2 ** torch.arange(count)
    return _measured(bits, flips, inputs, rng), y


def _exclusive(rng: torch.Generator, inputs: int, count: int) -> tuple[Tensor, Tensor]:
    """The class is the first bits, one of which has three copies, and whether the last two differ."""
    bits = torch.randint(0, 2, (ROWS, count), generator=rng)
    flips = [0.1, 0.12, 0.14, *[0.16] * (count - 3), 0, 0]
    y = bits[:, :-2] @ 2 ** torch.arange(1, count - 1) + (bits[:, -2] ^ bits[:, -1])
    return _measured(bits, flips, inputs, rng), y


def _measured(bits: Tensor, flips: list[float], inputs: int, rng: torch.Generator) -> Tensor:
    """The first bit three times, the others once, some of each flipped; then noise; shuffled."""
    noise = torch.randint(0, 2, (ROWS, inputs - len(flips)), generator=rng)
    x = torch.cat([bits[:, :1].expand(-1, 3), bits[:, 1:]], 1)
    x = torch.cat([x ^ (torch.rand(x.shape, generator=rng) < torch.tensor(flips)), noise], 1)
    return x[:, torch.randperm(inputs, generator=rng)].long()


def _accept(case: Case, expected: list[int], got) -> Difference | None:
    """Any set that tells nine tenths of what the best tells beyond the best alone."""
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
    least = alone + ENOUGH * (most - alone)
    if told >= least - 1e-9:
        return None
    need = f"at least {least:.3f} nats (the best set tells {most:.3f})"
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


def less_in_common(x, y, count):
    """The rule of Peng and others: what it tells, minus what it shares with those chosen."""
    told, chosen = _each(x, y), most_alone(x, y, 1)
    while len(chosen) < count:
        shared = [sum(_information(x[:, [j]], x[:, i]) for i in chosen) for j in range(x.shape[1])]
        left = [j for j in range(x.shape[1]) if j not in chosen]
        chosen.append(max(left, key=lambda j: told[j] - shared[j] / len(chosen)))
    return chosen


def best_of_thirty(x, y, count):
    rng = generator(0)
    sets = [torch.randperm(x.shape[1], generator=rng)[:count].tolist() for _ in range(30)]
    return max(sets, key=lambda chosen: _information(x[:, chosen], y))


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
    minutes=10,
    cases=_cases,
    parts={"copies": 4, "only together": 1},
    properties=(untouched(),),
    accept=_accept,
    hints=(
        "Two good inputs that say the same tell no more than one of them. What has to be measured is "
        "the set, not its members.",
        "`told(chosen)` measures a set. Start with the empty set and add the input that makes it tell most, "
        "again and again: that is right for copies. When does it miss something?",
        "One at a time misses two inputs that tell nothing alone and everything together. With 8 inputs "
        "and 3 to choose there are only 56 sets: `itertools.combinations(range(x.shape[1]), count)` gives "
        "them all, and `max(..., key=told)` the best.",
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
        Mistake(
            less_in_common,
            "This is the rule of Peng and others. It never asks what the set tells. What is shared is a "
            "mean over the chosen, so a copy of one of them costs less and less; and inputs that tell "
            "something only together look like noise to it.",
        ),
        Mistake(
            best_of_thirty,
            "These are the best of thirty sets drawn at random. There are up to a few hundred, and only "
            "few of them are good: try them all, or build the set step by step.",
        ),
    ),
    alternatives=(by_pairs, by_rows),
)
