"""Exercise: who has won the duel, and whether anybody has."""

import statistics

import torch
from torch import Tensor

from pruneedu.course.exercises import Case, Exercise, Mistake
from pruneedu.course.judging import untouched
from pruneedu.course.lessons.making import generator


def duel_winner(accuracies: dict[str, Tensor]) -> str | None:
    """Return the criterion that wins the duel, or None where nobody does.

    The candidate has the highest mean accuracy *after* fine-tuning. It wins if it leads each other
    criterion by more than the spread. With d_s the lead over another on seed s:

    mean_s d_s > √( Σ_s (d_s − mean d)² / (S − 1) )

    The leads are taken seed by seed, since on one seed all have cut the same network. A control
    that comes first is no winner.

    Args:
        accuracies: name -> [S, 2], a row for each of two or more seeds: before and after
            fine-tuning. The control is called "random", and it has at least one rival.

    Returns:
        A name, or None: the control comes first, or the lead is not clear.

    Source: Blalock et al., "What is the state of neural network pruning?", 2020, on what a
    comparison of criteria has to show.

    >>> control = torch.tensor([[0.2, 0.50], [0.1, 0.52], [0.2, 0.51]])
    >>> duel_winner({"random": control, "mine": control + 0.02})
    'mine'
    """
    after = {name: rows[:, 1].double() for name, rows in accuracies.items()}
    first = max(after, key=lambda name: after[name].mean())
    leads = [after[first] - after[name] for name in after if name != first]
    clear = all(lead.mean() > lead.std() for lead in leads)
    return first if clear and first != "random" else None


PARTS = {"who comes first": 3, "whether the lead is clear": 3}
_NAMES = ("magnitude", "taylor", "entropy")


def _cases(seed: int) -> list[Case]:
    """Duels that are chosen so that each mistake is wrong on at least one of its part."""
    rng = generator(seed)
    first, clear = PARTS
    # Each part has duels that are won and duels that are not, so that no fixed answer earns it.
    return [
        _won(rng, first, "another one led before", before_is_compared, spare=(both_added,)),
        _won(rng, first, "another one has the best single run", luckiest_seed),
        _won(rng, first, "it was far behind before", both_added, spare=(spread_of_each,)),
        _open(rng, first, "the control comes first", chance_may_win),
        _open(rng, first, "chance is ahead of the best criterion", without_the_control),
        _won(rng, clear, "the seeds differ more than the criteria", spread_of_each),
        _open(rng, clear, "the lead is small", whoever_is_first, spare=_LENIENT),
        _open(rng, clear, "two are close", better_than_chance, spare=_LENIENT[1:]),
        _open(rng, clear, "the lead is just too small", divided_by_n, spare=_LENIENT[:1]),
        _open(rng, clear, "the lead is too small", standard_error, spare=_LENIENT[::2]),
        _open(rng, clear, "one further down swings", runner_up_only, spare=_LENIENT),
    ]


def _drawn(rng: torch.Generator) -> dict[str, Tensor]:
    """A duel of four on four networks, some of which are easier to prune than others."""
    names = ["random", *_NAMES]
    level = torch.randn(4, 1, 4, 1, generator=rng)[0] * 0.04  # [1, seeds, 1], shared by all
    means = torch.rand(len(names), 1, 2, generator=rng) * torch.tensor([0.3, 0.12])
    noise = torch.randn(len(names), 4, 2, generator=rng) * 0.01
    rows = (torch.tensor([0.2, 0.6]) + level + means + noise).round(decimals=3)
    return dict(zip(names, rows, strict=True))


def _won(rng: torch.Generator, part: str, note: str, wrong, spare=()) -> Case:
    """Draw duels until one is won, this mistake gets it wrong, and those of `spare` do not."""
    while True:
        duel = _drawn(rng)
        right = duel_winner(duel)
        if right and wrong(duel) != right and all(way(duel) == right for way in spare):
            return Case(part, (duel,), note=note)


def _open(rng: torch.Generator, part: str, note: str, wrong, spare=()) -> Case:
    """Draw duels until nobody wins one, this mistake sees a winner, and those of `spare` do not."""
    while True:
        duel = _drawn(rng)
        if not duel_winner(duel) and wrong(duel) and not any(way(duel) for way in spare):
            return Case(part, (duel,), note=note)


def _column(accuracies, column=1):
    return {name: rows[:, column].double() for name, rows in accuracies.items()}


def _first(values, score=lambda row: row.mean()):
    return max(values, key=lambda name: score(values[name]))


def _decide(values, first, spread=lambda lead: lead.std(), rivals=None):
    rivals = rivals or [name for name in values if name != first]
    leads = [values[first] - values[name] for name in rivals]
    clear = all(lead.mean() > spread(lead) for lead in leads)
    return first if clear and first != "random" else None


def before_is_compared(accuracies):
    values = _column(accuracies, column=0)
    return _decide(values, _first(values))


def both_added(accuracies):
    before, after = (_column(accuracies, column) for column in (0, 1))
    values = {name: before[name] + after[name] for name in after}
    return _decide(values, _first(values))


def whoever_is_first(accuracies):
    first = _first(_column(accuracies))
    return first if first != "random" else None


def luckiest_seed(accuracies):
    values = _column(accuracies)
    return _decide(values, _first(values, lambda row: row.max()))


def spread_of_each(accuracies):
    values = _column(accuracies)
    first = _first(values)
    return _decide(values, first, lambda lead: values[first].std())


def better_than_chance(accuracies):
    values = _column(accuracies)
    first = _first(values)
    return _decide(values, first, rivals=["random"]) if first != "random" else None


def without_the_control(accuracies):
    """Leaves chance out of the comparison."""
    values = {name: row for name, row in _column(accuracies).items() if name != "random"}
    return _decide(values, _first(values))


def runner_up_only(accuracies):
    values = _column(accuracies)
    first = _first(values)
    second = _first({name: row for name, row in values.items() if name != first})
    return _decide(values, first, rivals=[second])


def divided_by_n(accuracies):
    values = _column(accuracies)
    return _decide(values, _first(values), lambda lead: lead.std(correction=0))


def standard_error(accuracies):
    values = _column(accuracies)
    return _decide(values, _first(values), lambda lead: lead.std() / len(lead) ** 0.5)


def chance_may_win(accuracies):
    values = _column(accuracies)
    first = _first(values)
    if first == "random":
        leads = [values[first] - values[name] for name in values if name != first]
        return first if all(lead.mean() > lead.std() for lead in leads) else None
    return _decide(values, first)


_LENIENT = (better_than_chance, standard_error, divided_by_n)


def by_statistics(accuracies):
    after = {name: [row[1] for row in rows.tolist()] for name, rows in accuracies.items()}
    first = sorted(after, key=lambda name: statistics.mean(after[name]))[-1]
    for name in after:
        leads = [a - b for a, b in zip(after[first], after[name], strict=True)]
        if name != first and statistics.mean(leads) <= statistics.stdev(leads):
            return None
    return None if first == "random" else first


def by_one_tensor(accuracies):
    names = list(accuracies)
    after = torch.stack([accuracies[name][:, 1] for name in names]).double()
    best = int(after.mean(1).argmax())
    leads = after[best] - after
    clear = leads.mean(1) > leads.std(1)
    clear[best] = True
    return names[best] if clear.all() and names[best] != "random" else None


EXERCISE = Exercise(
    reference=duel_winner,
    title="The scoreboard",
    minutes=8,
    cases=_cases,
    parts=PARTS,
    properties=(untouched(),),
    hints=(
        "Which column is the network that somebody will use? And when is a lead more than luck?",
        "Take the mean over the seeds of column 1, and the name with the highest. Then its leads over "
        "each of the others, seed by seed: their mean must be above their standard deviation.",
        "`lead = after[first] - after[name]`, and `lead.mean() > lead.std()` for each other name: "
        "PyTorch's `std` divides by S - 1. If the first is 'random', or one lead is not clear, return "
        "None.",
    ),
    mistakes=(
        Mistake(
            without_the_control,
            "The control has left the comparison. It is the first rival to be beaten: where chance comes "
            "first, or close to the first, nobody has won.",
        ),
        Mistake(
            runner_up_only,
            "Your winner leads the second by mean, and you stop there. A third one with a lower mean "
            "can swing so much from seed to seed that nothing is clear: compare with each other one.",
        ),
        Mistake(
            before_is_compared,
            "This decides by the accuracy *before* fine-tuning. Nobody will use that network. Column 1 "
            "is after fine-tuning.",
        ),
        Mistake(
            both_added,
            "This mixes the accuracies before and after fine-tuning. What a network could do before "
            "it was repaired no longer matters.",
        ),
        Mistake(
            whoever_is_first,
            "This names whoever has the highest mean. Somebody always has. It is a winner only if its "
            "lead is larger than the spread between the seeds.",
        ),
        Mistake(
            luckiest_seed,
            "This chooses by the best single run. More luck is not a better criterion: take the mean "
            "over the seeds.",
        ),
        Mistake(
            spread_of_each,
            "This compares the lead with the spread of the accuracies. Some networks are easier to prune "
            "than others, for everybody, and that hides a lead that all seeds agree on. Take the leads "
            "seed by seed, and their spread.",
        ),
        Mistake(
            better_than_chance,
            "This asks only for a lead over the control. The winner has to lead *each* other criterion.",
        ),
        Mistake(
            divided_by_n,
            "This spread divides by S. With few seeds that is too small; the formula divides by S - 1.",
        ),
        Mistake(
            standard_error,
            "This divides the spread by √S. That would say how well the mean is known, and the rule here "
            "asks for more: the lead has to be larger than what one seed changes.",
        ),
        Mistake(
            chance_may_win,
            "The control comes first, and this calls it the winner. If chance is ahead, no criterion has "
            "won.",
        ),
    ),
    alternatives=(by_statistics, by_one_tensor),
)
