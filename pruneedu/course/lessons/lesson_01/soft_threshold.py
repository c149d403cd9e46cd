"""Exercise: the proximal step, which sets weights to exactly zero, in place."""

import copy

import torch
import torch.nn.functional as F
from torch import nn

from pruneedu.course.comparing import difference
from pruneedu.course.exercises import Case, Exercise, Mistake, Property
from pruneedu.course.lessons.making import generator, randomised, uniform
from pruneedu.course.plain import ModelState
from pruneedu.models import mlp, mnist1d_cnn, small_cnn
from pruneedu.regularization import proximal_l1_
from pruneedu.tensors import prunable


def _cases(seed: int) -> list[Case]:
    rng = generator(seed)

    def case(part: str, model: nn.Module, strength: float, note: str = "") -> Case:
        return Case(part, (randomised(model, rng), strength), note=note)

    return [
        *(
            case("fully connected layers", m, uniform(rng, 0.2, 0.8))
            for m in (mlp(4, 2), mlp(5, 4, 3), mlp(3, 3, 3, 2))
        ),
        *(
            case("convolutions", m, uniform(rng, 0.2, 0.8), "the network has convolutions")
            for m in (small_cnn((2, 3)), mnist1d_cnn(3))
        ),
        case("fully connected layers", mlp(4, 3), 0.0, "the strength is 0"),
        case("fully connected layers", mlp(4, 3), 9.5, "every weight is smaller"),
    ]


def _in_place() -> Property:
    """The property that the model that was handed in is the one that changed."""

    def broken(sent: dict, seen: dict) -> str | None:
        result, after = seen.get("result"), seen["after"]
        if after is None:
            return "After the call the model can no longer be read."
        if not isinstance(result, ModelState):
            return None  # the values are wrong already
        apart = difference(result, after["args"][0], "")
        return apart and (
            f"The model that you return and the one that you were given differ at {apart.where}: "
            f"{apart.expected} in the first, {apart.got} in the second. Change the model itself."
        )

    return Property("the model itself is changed", 2, broken)


def _each(model, new):
    """Give each weight the value `new(weight)`, in place."""
    with torch.no_grad():
        for weight in prunable(model).values():
            weight.copy_(new(weight))
    return model


def hard_threshold(model, strength):
    return _each(model, lambda w: torch.where(w.abs() > strength, w, 0.0))


def sign_lost(model, strength):
    return _each(model, lambda w: (w.abs() - strength).clamp(min=0))


def positive_side_only(model, strength):
    return _each(model, lambda w: (w - strength).clamp(min=0))


def past_zero(model, strength):
    return _each(model, lambda w: w - strength * w.sign())


def wrong_part(model, strength):
    return _each(model, lambda w: w.clamp(-strength, strength))


def shortened_in_proportion(model, strength):
    return _each(model, lambda w: w * (1 - strength))


def twice(model, strength):
    return proximal_l1_(proximal_l1_(model, strength), strength)


def biases_too(model, strength):
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(F.softshrink(parameter, strength))
    return model


def copy_changed(model, strength):
    return proximal_l1_(copy.deepcopy(model), strength)


def nothing_returned(model, strength):
    proximal_l1_(model, strength)


def names_bound_anew(model, strength):
    for weight in prunable(model).values():
        weight = F.softshrink(weight, strength)
    return model


def by_softshrink(model, strength):
    return _each(model, lambda w: F.softshrink(w, strength))


def by_sign(model, strength):
    return _each(model, lambda w: w.sign() * (w.abs() - strength).clamp(min=0))


def by_cases(model, strength):
    for weight in prunable(model).values():
        below, above = weight < -strength, weight > strength
        weight.data[above] -= strength
        weight.data[below] += strength
        weight.data[~(above | below)] = 0
    return model


EXERCISE = Exercise(
    reference=proximal_l1_,
    title="The proximal step",
    minutes=8,
    cases=_cases,
    parts={"fully connected layers": 3, "convolutions": 1},
    properties=(_in_place(),),
    hints=(
        "Take one weight: 2.0 with a strength of 0.5. And -0.25? And -1.0? The docstring has the "
        "answers; say the rule in words first.",
        "The size becomes `(weight.abs() - strength).clamp(min=0)`, the sign stays. The underscore in "
        "the name promises that the model itself changes: write into each weight, do not bind its name "
        "to a new tensor.",
        "For each weight of `pe.prunable(model).values()`: "
        "`weight.copy_(weight.sign() * (weight.abs() - strength).clamp(min=0))`. "
        "Then `return model`.",
    ),
    mistakes=(
        Mistake(
            hard_threshold,
            "Small weights become zero, but the others keep their size: a hard threshold. The soft one "
            "also moves every other weight towards zero by the strength.",
        ),
        Mistake(
            sign_lost,
            "The sizes are right, but every weight comes out positive: the sign is lost.",
        ),
        Mistake(
            positive_side_only,
            "`weight - strength`, cut off at zero, is right for positive weights and erases all "
            "negative ones. Move -1.0 up, to -0.5.",
        ),
        Mistake(
            past_zero,
            "Every weight moves by the strength, also those that are nearer to zero than that: they "
            "land on the other side. It is the ordinary gradient step. Stop at zero.",
        ),
        Mistake(
            wrong_part,
            "`clamp(-strength, strength)` is the part to take away. Subtract it from the weight.",
        ),
        Mistake(
            shortened_in_proportion,
            "Each weight loses a share of its size. That is what L2 does, and it never arrives at "
            "zero. L1 takes the same amount from each.",
        ),
        Mistake(twice, "The threshold is applied twice: each weight moves by twice the strength."),
        Mistake(
            biases_too,
            "Biases and the normalisation move as well. Only the weights in `pe.prunable(model)` do.",
        ),
        Mistake(
            copy_changed,
            "The result is right, but it is a copy, and the model that you were given is as before. "
            "The optimizer holds the weights of that one: in `fit`, your copy would be thrown away.",
        ),
        Mistake(
            nothing_returned,
            "The model is changed as it should be, but nothing is returned. End with `return model`.",
        ),
        Mistake(
            names_bound_anew,
            "Nothing has changed: `weight = …` gives a name to a new tensor and leaves the model's own "
            "as it was. Write into it, with `weight.copy_(…)` or another function with an underscore.",
        ),
    ),
    alternatives=(by_softshrink, by_sign, by_cases),
)
