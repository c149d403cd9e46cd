"""Exercise: the control at equal nonzeros: cut any network to so many weights."""

import torch
from torch import nn

from pruneedu.course.exercises import Case, Exercise, Mistake
from pruneedu.course.judging import untouched
from pruneedu.course.lessons.making import generator, randomised
from pruneedu.models import mlp, small_cnn
from pruneedu.pruning.criteria import magnitude
from pruneedu.pruning.masks import apply_masks, apply_masks_
from pruneedu.pruning.selection import keep_top
from pruneedu.tensors import prunable


def cut_to(model: nn.Module, nonzeros: int) -> nn.Module:
    """Set the smallest weights of all layers together to zero, so that exactly `nonzeros` stay.

    Args:
        model: any network; it is not changed.
        nonzeros: how many weights stay different from zero. Biases do not count, and stay.

    Returns:
        A copy with the largest |w|; of equal ones the earlier stays, as in `pe.keep_top`.

    Raises:
        ValueError: fewer than 0, or more than the model has.

    >>> from pruneedu.models import mlp
    >>> model = mlp(2, 2)
    >>> model.fc1.weight.data = torch.tensor([[0.5, -3.0], [2.0, -1.0]])
    >>> cut_to(model, nonzeros=2).fc1.weight.tolist()
    [[0.0, -3.0], [2.0, 0.0]]
    """
    scores = magnitude(model)
    there = sum(int(score.count_nonzero()) for score in scores.values())
    if not 0 <= nonzeros <= there:
        raise ValueError(f"nonzeros is {nonzeros}, but the model has {there}: give 0 to {there}")
    weights = sum(score.numel() for score in scores.values())
    return apply_masks(model, keep_top(scores, sparsity=1 - nonzeros / weights))


def _cases(seed: int) -> list[Case]:
    rng = generator(seed)

    def case(part: str, model: nn.Module, nonzeros: int, note: str = "") -> Case:
        return Case(part, (randomised(model, rng), nonzeros), note=note)

    zeros = "many weights are zero before"
    return [
        case("exactly so many stay", mlp(4, 3), 5),
        case("exactly so many stay", mlp(6, 5, 3), 17),
        case("exactly so many stay", mlp(5, 4, 3, 2), 29),
        case("convolutions", small_cnn((2, 3)), 21, "the network has convolutions"),
        case("convolutions", small_cnn((3, 2), inputs=3), 90, "the network has convolutions"),
        Case("equal sizes", (_coarse(mlp(5, 4, 2), rng), 11), note="many weights have one size"),
        Case("equal sizes", (_coarse(mlp(6, 3, 2), rng), 7), note="many weights have one size"),
        Case("zeros from before", (_half_zero(mlp(6, 4, 2), rng), 7), note=zeros),
        Case("zeros from before", (_half_zero(mlp(5, 4, 4), rng), 18), note="no more has to go"),
        case("bad input is refused", mlp(3, 2), 7, "the model has 6 weights"),
        case("bad input is refused", mlp(3, 2), -1, "nonzeros is -1"),
        Case(
            "bad input is refused",
            (_half_zero(mlp(6, 4), rng), 13),
            note="only 12 are different from zero",
        ),
    ]


def _coarse(model: nn.Module, rng: torch.Generator) -> nn.Module:
    """Weights of size 1, 2 and 3 only."""
    with torch.no_grad():
        for weight in prunable(randomised(model, rng)).values():
            sizes = torch.randint(1, 4, weight.shape, generator=rng).float()
            weight.copy_(sizes.copysign(weight))
    return model


def _half_zero(model: nn.Module, rng: torch.Generator) -> nn.Module:
    """Every second weight of each layer is zero."""
    with torch.no_grad():
        for weight in prunable(randomised(model, rng)).values():
            weight.view(-1)[::2] = 0
    return model


def _explain(case: Case, expected, got) -> str:
    """Say how many stay; where the number is right, show the first weight that is wrong."""
    model, asked = case.args
    names = list(prunable(model))
    if not all(expected.state[n].shape == getattr(got.state.get(n), "shape", None) for n in names):
        return "The weights have other names or shapes than those of the model."
    stay = sum(int(got.state[name].count_nonzero()) for name in names)
    if stay != asked:
        return f"{stay} weights stay; {asked} were asked for."
    for name in names:
        wrong = (expected.state[name] != got.state[name]).nonzero().tolist()
        if wrong:
            index = tuple(wrong[0])
            was, now = model.get_parameter(name)[index].item(), got.state[name][index].item()
            does = "has gone" if now == 0 else "has stayed" if now == was else f"is now {now:.3g}"
            place = f"`{name}[{', '.join(map(str, index))}]`"
            return f"{stay} weights stay, as asked, but {place} = {was:.3g} {does}."
    return "The weights are right, but something else in the model has changed."


def zeros_counted(model, nonzeros):
    total = sum(weight.numel() for weight in prunable(model).values())
    return _cut(model, total - nonzeros)


def smallest_stay(model, nonzeros):
    return _cut(model, nonzeros, lambda w: -w.abs())


def signed(model, nonzeros):
    return _cut(model, nonzeros, lambda w: w)


def each_layer_alone(model, nonzeros):
    return _cut(model, nonzeros, scope="layer")


def so_many_in_each_layer(model, nonzeros):
    scores = magnitude(model)
    shares = {name: max(0.0, 1 - nonzeros / score.numel()) for name, score in scores.items()}
    return apply_masks(model, keep_top(scores, shares))


def in_place(model, nonzeros):
    scores = magnitude(model)
    total = sum(score.numel() for score in scores.values())
    return apply_masks_(model, keep_top(scores, 1 - nonzeros / total))


def by_threshold(model, nonzeros):
    sizes = torch.cat([weight.detach().abs().flatten() for weight in prunable(model).values()])
    threshold = sizes.sort(descending=True).values[nonzeros - 1]
    return apply_masks(model, {n: score >= threshold for n, score in magnitude(model).items()})


def biases_counted(model, nonzeros):
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return apply_masks(model, keep_top(magnitude(model), 1 - nonzeros / parameters))


def silent_when_too_many(model, nonzeros):
    return _cut(model, nonzeros)


def _cut(model, nonzeros, score=torch.abs, scope="global"):
    """Cut without asking how many there are."""
    scores = {name: score(weight.detach()).clone() for name, weight in prunable(model).items()}
    total = sum(score.numel() for score in scores.values())
    return apply_masks(model, keep_top(scores, 1 - nonzeros / total, scope))


def _refuse_other_than(model, nonzeros):
    if not 0 <= nonzeros <= sum(int(w.count_nonzero()) for w in prunable(model).values()):
        raise ValueError("so many weights are not there")


def by_sorting(model, nonzeros):
    _refuse_other_than(model, nonzeros)
    masks = {name: torch.zeros_like(w, dtype=torch.bool) for name, w in prunable(model).items()}
    entries = [
        (-size, number, name, place)
        for number, (name, score) in enumerate(magnitude(model).items())
        for place, size in enumerate(score.flatten().tolist())
    ]
    for _, _, name, place in sorted(entries, key=lambda e: (e[0], e[1], e[3]))[:nonzeros]:
        masks[name].view(-1)[place] = True
    return apply_masks(model, masks)


def by_number_dropped(model, nonzeros):
    _refuse_other_than(model, nonzeros)
    total = sum(weight.numel() for weight in prunable(model).values())
    return apply_masks(model, keep_top(magnitude(model), (total - nonzeros) / total))


EXERCISE = Exercise(
    reference=cut_to,
    title="The control: equal nonzeros",
    minutes=7,
    cases=_cases,
    parts={
        "exactly so many stay": 3,
        "convolutions": 1,
        "equal sizes": 1,
        "zeros from before": 1,
        "bad input is refused": 1,
    },
    properties=(untouched(),),
    explain=_explain,
    hints=(
        "You have all the parts: `pe.magnitude`, `pe.keep_top`, `pe.apply_masks`. What is missing is a "
        "sparsity: the share that goes, when so many stay.",
        "With n weights in all, `1 - nonzeros / n` is the share that goes. n counts the weights of "
        "`pe.prunable(model)`, zeros and all.",
        "Count `there = sum(int(s.count_nonzero()) for s in scores.values())` and raise a ValueError "
        "unless `0 <= nonzeros <= there`. Then "
        "`return pe.apply_masks(model, pe.keep_top(scores, 1 - nonzeros / n))`.",
    ),
    mistakes=(
        Mistake(
            zeros_counted,
            "So many weights become zero. The number asked for is the number that stays.",
        ),
        Mistake(smallest_stay, "The smallest weights stay, and the largest go."),
        Mistake(
            signed,
            "The weights are ranked by their value, so every large negative weight goes first. Rank "
            "them by their size.",
        ),
        Mistake(
            each_layer_alone,
            "Each layer keeps the same share. Here all layers compete in one ranking, so that every "
            "method is cut by the same rule.",
        ),
        Mistake(
            so_many_in_each_layer,
            "So many stay in each layer. The number is for the whole network.",
        ),
        Mistake(
            in_place,
            "The result is right, but the model that you were given is cut as well. The next method "
            "would be compared with a cut network: use `apply_masks`, without underscore.",
        ),
        Mistake(
            by_threshold,
            "A threshold keeps every weight that equals it: with equal sizes, more than so many stay.",
        ),
        Mistake(
            biases_counted,
            "The share is taken of all parameters, biases included, so the number that stays is off. "
            "Count the weights of `pe.prunable(model)`.",
        ),
        Mistake(
            silent_when_too_many,
            "More weights are asked for than the model has, and it returns fewer without a word. A "
            "comparison at equal nonzeros would compare unequal ones: raise a ValueError.",
        ),
    ),
    alternatives=(by_sorting, by_number_dropped),
)
