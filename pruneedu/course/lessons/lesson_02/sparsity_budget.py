"""Exercise: choose a sparsity for each layer under a budget, from two plots that pull apart."""

import itertools

import torch

from pruneedu.course.exercises import Case, Difference, Exercise, Mistake
from pruneedu.course.judging import untouched
from pruneedu.course.lessons.making import generator
from pruneedu.quantization.mixed import choose_bits

LEVELS = [0.0, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98]


def share_sparsity(
    sizes: dict[str, int], losses: dict[str, list[float]], levels: list[float], sparsity: float
) -> dict[str, float]:
    """Choose a sparsity for each layer so that enough goes and little accuracy is lost.

    dropped = sum over layers of level · size >= sparsity · sum of sizes
    loss = sum over layers of the loss at its level, as small as you can

    Args:
        sizes: weights of each layer.
        losses: for each layer the accuracy lost when it alone is pruned to each of `levels`.
        levels: the sparsities to choose from, rising.
        sparsity: the fraction of all weights that must go.

    Returns:
        One of `levels` for each layer. Many answers are right: the check asks that the budget is
        met and that your loss is at most half way from the best possible to that of equal levels.

    Source: Han et al. 2015 prune each layer by its own sensitivity.
    """
    wanted = sparsity * sum(sizes.values())
    best, least = None, float("inf")
    for choice in itertools.product(range(len(levels)), repeat=len(sizes)):
        picked = dict(zip(sizes, choice, strict=True))
        dropped = sum(levels[i] * sizes[name] for name, i in picked.items())
        loss = sum(losses[name][i] for name, i in picked.items())
        if dropped >= wanted and loss < least:
            best, least = {name: levels[i] for name, i in picked.items()}, loss
    return best


def _cases(seed: int) -> list[Case]:
    """Large layers that are sturdy, large ones that are delicate, and a small one that is not cheap."""
    rng = generator(seed)
    layouts = [(8000, 3000, 500), (500, 8000, 3000), (3000, 500, 8000), (6000, 6000, 300)]
    cases: list[Case] = []
    while len(cases) < 8:
        sizes, sparsity = (
            layouts[len(cases) % 4],
            (0.5, 0.7, 0.8, 0.85, 0.6, 0.75, 0.9)[len(cases) % 7],
        )
        steep = torch.rand(3, generator=rng) * torch.tensor([0.1, 0.5, 0.9])
        steep = steep[torch.randperm(3, generator=rng)] + 0.02
        names = [f"fc{i}.weight" for i in (1, 2, 3)]
        losses = {
            name: [round(k.item() * level**4, 4) for level in LEVELS]
            for name, k in zip(names, steep, strict=True)
        }
        args = (dict(zip(names, sizes, strict=True)), losses, LEVELS, sparsity)
        case, best = Case("budget and loss", args), share_sparsity(*args)
        # Only where the choice matters, and where a greedy answer is good enough as well.
        matters = _loss(args, best) < 0.6 * _loss(args, equal_levels(*args))
        if matters and _accept(case, best, by_cheapest_step(*args)) is None:
            cases.append(case)
    return cases


def _loss(args: tuple, chosen: dict[str, float]) -> float:
    _, losses, levels, _ = args
    return sum(losses[name][levels.index(level)] for name, level in chosen.items())


def _dropped(args: tuple, chosen: dict[str, float]) -> float:
    sizes = args[0]
    return sum(level * sizes[name] for name, level in chosen.items()) / sum(sizes.values())


def _accept(case: Case, expected: dict, got) -> Difference | None:
    """Any choice that meets the budget and loses at most half way from the best to equal levels."""
    if type(got) is not dict or got.keys() != expected.keys():
        return Difference("the result", f"a level for each of {list(expected)}", f"{got!r:.80}")
    for name, level in got.items():
        if type(level) not in (int, float) or level not in LEVELS:
            return Difference(f"the result[{name!r}]", f"one of {LEVELS}", f"{level!r:.40}")
    dropped, wanted = _dropped(case.args, got), case.args[3]
    if dropped < wanted - 1e-9:
        return Difference(
            "the budget",
            f"at least {100 * wanted:.0f} % of all weights to go",
            f"{100 * dropped:.1f} %",
        )
    best, equal = (_loss(case.args, c) for c in (expected, equal_levels(*case.args)))
    loss, allowed = _loss(case.args, got), (best + equal) / 2
    if loss <= allowed + 1e-9:
        return None
    return Difference("the loss", f"at most {allowed:.4f} (the best is {best:.4f})", f"{loss:.4f}")


def equal_levels(sizes, losses, levels, sparsity):
    level = next(level for level in levels if level >= sparsity - 1e-9)
    return dict.fromkeys(sizes, level)


def largest_first(sizes, losses, levels, sparsity):
    order = sorted(sizes, key=sizes.get, reverse=True)
    return _one_after_the_other(order, sizes, levels, sparsity)


def sturdiest_first(sizes, losses, levels, sparsity):
    order = sorted(sizes, key=lambda name: losses[name][-1])
    return _one_after_the_other(order, sizes, levels, sparsity)


def _one_after_the_other(order, sizes, levels, sparsity):
    """Take all that is needed from the first layer, what is left from the next, and so on."""
    chosen, left = dict.fromkeys(sizes, levels[0]), sparsity * sum(sizes.values())
    for name in order:
        wanted = left / sizes[name]
        chosen[name] = next((level for level in levels if level >= wanted - 1e-9), levels[-1])
        left -= chosen[name] * sizes[name]
        if left <= 0:
            break
    return chosen


def mean_of_levels(sizes, losses, levels, sparsity):
    """Meets the budget in layers, not in weights."""
    return share_sparsity(dict.fromkeys(sizes, 1), losses, levels, sparsity)


def nothing_lost(sizes, losses, levels, sparsity):
    return dict.fromkeys(sizes, levels[0])


def share_kept(sizes, losses, levels, sparsity):
    return share_sparsity(sizes, losses, levels, 1 - sparsity)


def by_cheapest_step(sizes, losses, levels, sparsity):
    """Greedy: raise the layer whose rise costs least per weight, over rises of any length."""
    at = dict.fromkeys(sizes, 0)
    wanted = sparsity * sum(sizes.values())
    while sum(levels[i] * sizes[n] for n, i in at.items()) < wanted:
        rises = [(n, i) for n in sizes for i in range(at[n] + 1, len(levels))]

        def price(rise):
            name, to = rise
            cost = losses[name][to] - losses[name][at[name]]
            return cost / (sizes[name] * (levels[to] - levels[at[name]]))

        name, to = min(rises, key=price)
        at[name] = to
    return {name: levels[i] for name, i in at.items()}


EXERCISE = Exercise(
    reference=share_sparsity,
    title="Choose a sparsity for each layer",
    minutes=15,
    cases=_cases,
    parts={"budget and loss": 5},
    properties=(untouched(),),
    accept=_accept,
    hints=(
        "A large layer gives many weights, a sturdy one gives them cheaply. What matters is the loss "
        "per weight that goes.",
        "There are few layers and few levels: how many combinations are there in all? You could try "
        "each of them. Or go up in small steps, each time where a step costs least per weight.",
        "`itertools.product(levels, repeat=len(sizes))` gives every combination. Keep those that drop "
        "at least `sparsity * sum(sizes.values())` weights, and of these the one with the least loss.",
    ),
    mistakes=(
        Mistake(
            equal_levels,
            "Every layer gets the same level. The budget is met, but the delicate layer pays as much "
            "as the sturdy one.",
        ),
        Mistake(
            largest_first,
            "This takes from the largest layer first and never looks at what it loses there.",
        ),
        Mistake(
            sturdiest_first,
            "This takes from the sturdiest layer first. If that layer is small, you pay for weights "
            "that hardly count, and the rest still comes from the next one.",
        ),
        Mistake(
            mean_of_levels,
            "The mean of the levels meets the budget, but layers have different sizes: it is the share "
            "of the weights that counts.",
        ),
        Mistake(nothing_lost, "Nothing is pruned, so nothing is lost, but the budget is not met."),
        Mistake(
            share_kept,
            "`sparsity` is the fraction that goes; this uses it as the fraction that stays.",
        ),
    ),
    alternatives=(by_cheapest_step,),
    closes=(choose_bits,),
)
