"""Exercise: the L1 penalty, with a gradient that the optimizer can follow."""

import torch
from torch import nn

from pruneedu.course.exercises import Case, Exercise, Mistake
from pruneedu.course.judging import untouched
from pruneedu.course.lessons.making import generator, randomised, uniform
from pruneedu.models import mlp, mnist1d_cnn, small_cnn
from pruneedu.regularization import l1
from pruneedu.tensors import prunable


def _cases(seed: int) -> list[Case]:
    rng = generator(seed)
    dense = [mlp(3, 2), mlp(6, 5, 3), mlp(4, 4, 4, 2)]
    conv = [small_cnn((2, 3)), small_cnn((2, 4, 3), inputs=3), mnist1d_cnn(3)]
    pruned = [_with_zeros(randomised(mlp(5, 4, 2), rng)) for _ in range(2)]
    normalised = "the network has convolutions, and some have a normalisation"
    return [
        *(
            Case("fully connected layers", (randomised(m, rng), uniform(rng, 0.1, 2.0)))
            for m in dense
        ),
        *(
            Case("convolutions", (randomised(m, rng), uniform(rng, 0.1, 2.0)), note=normalised)
            for m in conv
        ),
        *(
            Case("weights that are zero", (m, uniform(rng, 0.1, 2.0)), note="some weights are zero")
            for m in pruned
        ),
    ]


def _with_zeros(model: nn.Module) -> nn.Module:
    with torch.no_grad():
        for weight in prunable(model).values():
            weight[:, ::2] = 0
    return model


def signed_sum(model, strength):
    return strength * sum(weight.sum() for weight in prunable(model).values())


def squared(model, strength):
    return strength * sum(weight.square().sum() for weight in prunable(model).values())


def mean_of_each_layer(model, strength):
    return strength * sum(weight.abs().mean() for weight in prunable(model).values())


def length_of_each_layer(model, strength):
    return strength * sum(torch.linalg.vector_norm(weight) for weight in prunable(model).values())


def strength_forgotten(model, strength):
    return sum(weight.abs().sum() for weight in prunable(model).values())


def biases_too(model, strength):
    return strength * sum(parameter.abs().sum() for parameter in model.parameters())


def weights_by_name(model, strength):
    found = model.named_parameters()
    return strength * sum(p.abs().sum() for name, p in found if name.endswith("weight"))


def last_layer_only(model, strength):
    for weight in prunable(model).values():
        penalty = strength * weight.abs().sum()
    return penalty


def detached(model, strength):
    return strength * sum(weight.data.abs().sum() for weight in prunable(model).values())


def as_a_number(model, strength):
    return l1(model, strength).item()


def root_of_square(model, strength):
    return strength * sum(weight.square().sqrt().sum() for weight in prunable(model).values())


def by_loop(model, strength):
    total = 0.0
    for layer in model.modules():
        if isinstance(layer, (nn.Linear, nn.Conv1d, nn.Conv2d)):
            total = total + strength * layer.weight.abs().sum()
    return total


def by_joining(model, strength):
    joined = torch.cat([weight.flatten() for weight in prunable(model).values()])
    return torch.linalg.vector_norm(strength * joined, ord=1)


def by_sign(model, strength):
    return sum((strength * weight.sign() * weight).sum() for weight in prunable(model).values())


EXERCISE = Exercise(
    reference=l1,
    title="The L1 penalty",
    minutes=5,
    cases=_cases,
    parts={"fully connected layers": 3, "convolutions": 1, "weights that are zero": 1},
    properties=(untouched(),),
    hints=(
        "`pe.prunable(model)` returns the weights by name. What does one of them add to the sum?",
        "For one weight tensor: `weight.abs().sum()`. Add up all layers, multiply by the strength, and "
        "leave the result a tensor.",
        "`return strength * sum(weight.abs().sum() for weight in pe.prunable(model).values())`",
    ),
    mistakes=(
        Mistake(
            signed_sum,
            "The absolute value is missing: a weight of -3 and one of 3 cancel, and training would push "
            "every weight towards minus infinity.",
        ),
        Mistake(
            squared,
            "These are squares: the L2 penalty. Its slope fades near zero, so that no weight gets there.",
        ),
        Mistake(
            mean_of_each_layer,
            "This is the mean of each layer. The formula has a sum: with a mean, a weight of a large "
            "layer is pushed less than one of a small layer.",
        ),
        Mistake(
            length_of_each_layer,
            "This is the length of each layer's weights, the root of the sum of squares. It pushes "
            "large weights more than small ones; L1 pushes all alike.",
        ),
        Mistake(strength_forgotten, "The sum is right, but the strength does not appear in it."),
        Mistake(
            biases_too,
            "This penalises every parameter. Biases stay free: they are few, and without them a unit "
            "cannot move its threshold. Ask `pe.prunable(model)`.",
        ),
        Mistake(
            weights_by_name,
            "This takes every parameter whose name ends in `weight`, and batch normalisation has one "
            "too. Ask `pe.prunable(model)`.",
        ),
        Mistake(
            last_layer_only,
            "Each layer overwrites the one before, so only the last one counts. Add them up.",
        ),
        Mistake(
            detached,
            "The value is right, but it has no gradient: `.data` and `.detach()` cut the way back to "
            "the weights. Added to a loss, it would change nothing.",
        ),
        Mistake(
            as_a_number,
            "The value is right, but `.item()` makes it a plain number. It has no gradient, so added to "
            "a loss it would change nothing. Return the tensor.",
        ),
        Mistake(
            root_of_square,
            "The root of the square is the absolute value, but where a weight is zero its slope comes "
            "out as nan, and one nan makes every weight nan in a few steps. Use `abs()`.",
        ),
    ),
    alternatives=(by_loop, by_joining, by_sign),
)
