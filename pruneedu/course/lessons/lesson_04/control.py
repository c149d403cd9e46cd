"""Exercise: the control of every score that reads labels, shuffled labels."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from pruneedu.course.exercises import Case, Exercise, Mistake
from pruneedu.course.judging import untouched
from pruneedu.course.lessons.making import generator, randomised
from pruneedu.course.plain import Tool
from pruneedu.data import Split
from pruneedu.models import mlp
from pruneedu.pruning.criteria import mutual_information
from pruneedu.tensors import Scores


def above_chance(
    criterion: Callable[[nn.Module, Split], Scores], model: nn.Module, data: Split, orders: Tensor
) -> Scores:
    """Return how far the scores are above those that shuffled labels give.

    above = score(x, y) - 1/R · Σ_r score(x, y[order_r])

    A shuffled label has nothing to do with its example, so what it scores is chance alone.

    Args:
        criterion: turns a model and data into scores, and reads the labels.
        model: the network to score.
        data: x [N, …] and y [N].
        orders: [R, N], each row a permutation of 0 … N - 1 that shuffles the labels given.

    Returns:
        Scores of the same layers. Where there was chance alone they are near 0, on either side.

    Raises:
        ValueError: no order.

    Source: Fisher, "The design of experiments", 1935, for the comparison with what is shuffled.
    """
    if len(orders) == 0:
        raise ValueError("orders is empty: give at least one permutation of the labels")
    scores = criterion(model, data)
    chance = [criterion(model, Split(data.x, data.y[order])) for order in orders]
    return {n: s - torch.stack([one[n] for one in chance]).mean(0) for n, s in scores.items()}


def _cases(seed: int) -> list[Case]:
    rng = generator(seed)
    alone = [(sizes, 1) for sizes in ((3, 4, 2), (4, 3, 3))]
    several = [((3, 5, 3), 3), ((2, 4, 2), 4), ((4, 3, 3, 2), 5)]
    none = _drawn(rng, (3, 4, 2), 1)
    return [
        *(
            Case("one shuffle", _drawn(rng, *made, bins=b))
            for made, b in zip(alone, (8, 4), strict=True)
        ),
        _by_weight("one shuffle", rng, (4, 3, 3), 1),
        *(
            Case("the mean of several", _drawn(rng, *made, bins=b), note=f"there are {b} bins")
            for made, b in zip(several, (8, 3, 20), strict=True)
        ),
        _by_weight("the mean of several", rng, (3, 4, 3), 3),
        *(
            Case("chance alone", _drawn(rng, (3, 5, 2), 4, learned=False), note="y is random")
            for _ in range(2)
        ),
        Case("bad input is refused", (*none[:3], none[3][:0]), note="there is no order"),
    ]


def _drawn(
    rng: torch.Generator, sizes: tuple[int, ...], shuffles: int, learned=True, **options
) -> tuple:
    """A criterion with its options, a small network, 40 examples with its own classes or random ones, and orders of them."""
    model = randomised(mlp(*sizes), rng)
    x = torch.randn(40, sizes[0], generator=rng)
    y = torch.randint(0, sizes[-1], (40,), generator=rng)
    if learned:
        with torch.no_grad():
            y = model(x).argmax(1)
    orders = torch.stack([torch.randperm(40, generator=rng) for _ in range(shuffles)])
    return Tool("mutual_information", options or {"bins": 8}), model, Split(x, y), orders


def _by_weight(part: str, rng: torch.Generator, sizes: tuple[int, ...], shuffles: int) -> Case:
    """A case with another criterion, one that scores weights and has no bins."""
    _, *rest = _drawn(rng, sizes, shuffles)
    return Case(part, (Tool("taylor", {}), *rest), note="the criterion is taylor")


def _less(scores, chance):
    return {name: score - chance[name] for name, score in scores.items()}


def _chance(criterion, model, data, orders, reduce=lambda stacked: stacked.mean(0)):
    made = [criterion(model, Split(data.x, data.y[order])) for order in orders]
    return {name: reduce(torch.stack([one[name] for one in made])) for name in made[0]}


def both_shuffled(criterion, model, data, orders):
    made = [criterion(model, Split(data.x[order], data.y[order])) for order in orders]
    chance = {name: torch.stack([one[name] for one in made]).mean(0) for name in made[0]}
    return _less(criterion(model, data), chance)


def first_order_only(criterion, model, data, orders):
    return _less(criterion(model, data), _chance(criterion, model, data, orders[:1]))


def chance_itself(criterion, model, data, orders):
    return _chance(criterion, model, data, orders)


def nothing_below_zero(criterion, model, data, orders):
    above = _less(criterion(model, data), _chance(criterion, model, data, orders))
    return {name: score.clamp(min=0) for name, score in above.items()}


def the_greatest(criterion, model, data, orders):
    chance = _chance(criterion, model, data, orders, lambda stacked: stacked.amax(0))
    return _less(criterion(model, data), chance)


def the_sum(criterion, model, data, orders):
    chance = _chance(criterion, model, data, orders, lambda stacked: stacked.sum(0))
    return _less(criterion(model, data), chance)


def the_wrong_way_round(criterion, model, data, orders):
    return _less(_chance(criterion, model, data, orders), criterion(model, data))


def one_chance_for_all(criterion, model, data, orders):
    chance = _chance(criterion, model, data, orders)
    return _less(criterion(model, data), {n: c.mean() for n, c in chance.items()})


def orders_of_its_own(criterion, model, data, orders):
    return above_chance(
        criterion, model, data, torch.stack([torch.randperm(len(data.y)) for _ in orders])
    )


def criterion_ignored(criterion, model, data, orders):
    return above_chance(mutual_information, model, data, orders)


def bins_of_the_criterion(criterion, model, data, orders):
    options = getattr(criterion, "keywords", {})
    return above_chance(partial(mutual_information, **options), model, data, orders)


def by_running_sum(criterion, model, data, orders):
    if not len(orders):
        raise ValueError("give at least one order")
    above = {name: score.clone() for name, score in criterion(model, data).items()}
    for order in orders:
        for name, score in criterion(model, data._replace(y=data.y[order])).items():
            above[name] = above[name] - score / len(orders)
    return above


def by_differences(criterion, model, data, orders):
    """The mean of the differences is the difference of the means."""
    if not len(orders):
        raise ValueError("give at least one order")
    whole = criterion(model, data)
    apart = [_less(whole, criterion(model, Split(data.x, data.y[o]))) for o in orders]
    return {name: sum(one[name] for one in apart) / len(apart) for name in whole}


EXERCISE = Exercise(
    reference=above_chance,
    title="Above chance",
    minutes=10,
    cases=_cases,
    parts={
        "one shuffle": 2,
        "the mean of several": 2,
        "chance alone": 1,
        "bad input is refused": 1,
    },
    properties=(untouched(),),
    hints=(
        "What would the score be if the labels knew nothing of the examples? Make such labels from "
        "those you have.",
        "`data.y[order]` is shuffled, and `data.x` stays as it is. Score that once for each order, and "
        "take the mean over the orders, unit by unit.",
        "`chance = [criterion(model, Split(data.x, data.y[order])) for order in orders]`, then for each "
        "name `score - torch.stack([one[name] for one in chance]).mean(0)`. Refuse with a ValueError "
        "where there is no order.",
    ),
    mistakes=(
        Mistake(
            both_shuffled,
            "It shuffles the examples together with their labels, so each keeps its own. Nothing has "
            "been taken apart: the control scores what the data scores.",
        ),
        Mistake(
            first_order_only,
            "It uses the first order only. One shuffle has its own luck; the mean of several has less.",
        ),
        Mistake(
            chance_itself,
            "This is what shuffled labels score, the control by itself. Take it from the score.",
        ),
        Mistake(
            nothing_below_zero,
            "It cuts off what is below 0. Then chance is never negative, the mean over units that know "
            "nothing is above 0, and they look as if they knew a little.",
        ),
        Mistake(
            the_greatest,
            "It takes off the luckiest shuffle. That answers another question, whether the score is "
            "beyond what chance reached in R trials.",
        ),
        Mistake(
            the_sum,
            "It takes off the chance of all shuffles together. Divide by their number.",
        ),
        Mistake(
            the_wrong_way_round,
            "This is chance minus the score: the unit that knows most comes last.",
        ),
        Mistake(
            orders_of_its_own,
            "It shuffles in orders of its own, by `torch.randperm`. Use the rows of `orders`: then whoever "
            "repeats the measurement finds the same numbers, and two criteria face the same luck.",
        ),
        Mistake(
            criterion_ignored,
            "It always takes the mutual information in 10 bins. The criterion is an argument: call "
            "`criterion(model, split)`, with whatever bins it brings.",
        ),
        Mistake(
            bins_of_the_criterion,
            "It always takes the mutual information, and of the criterion only the options. Another "
            "criterion may score weights, and know of no bins: call `criterion(model, split)` itself.",
        ),
        Mistake(
            one_chance_for_all,
            "It takes the same chance off each unit. A unit that fills many bins gains more by chance "
            "than one that fills two, so each needs its own.",
        ),
    ),
    alternatives=(by_running_sum, by_differences),
)
