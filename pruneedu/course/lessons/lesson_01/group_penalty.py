"""Exercise: the group lasso, one group for each unit (a neuron or a channel)."""

import math

import torch
from torch import nn

from pruneedu.course.exercises import Case, Exercise, Mistake
from pruneedu.course.judging import untouched
from pruneedu.course.lessons.making import generator, randomised, uniform
from pruneedu.models import mlp, mnist1d_cnn, small_cnn
from pruneedu.regularization import group_lasso, l1
from pruneedu.tensors import prunable


def _cases(seed: int) -> list[Case]:
    rng = generator(seed)

    def case(part: str, model: nn.Module, note: str = "") -> Case:
        return Case(part, (model, uniform(rng, 0.1, 2.0)), note=note)

    return [
        *(
            case("fully connected layers", randomised(m, rng))
            for m in (mlp(3, 2), mlp(6, 5, 3), mlp(4, 7, 3, 2))
        ),
        *(
            case("convolutions", randomised(m, rng), "the network has convolutions")
            for m in (small_cnn((2, 3)), small_cnn((2, 4), inputs=3), mnist1d_cnn(3))
        ),
        *(
            case(
                "a unit of zeros",
                _with_a_dead_unit(randomised(mlp(4, 3, 2), rng)),
                "a unit is zero",
            )
            for _ in range(2)
        ),
    ]


def _with_a_dead_unit(model: nn.Module) -> nn.Module:
    with torch.no_grad():
        model.fc1.weight[1] = 0
    return model


def _penalty(model, strength, of_layer):
    return strength * sum(of_layer(weight) for weight in prunable(model).values())


def _lengths(rows):
    return torch.linalg.vector_norm(rows, dim=1)


def columns(model, strength):
    return _penalty(
        model,
        strength,
        lambda w: math.sqrt(w[:, 0].numel()) * _lengths(w.transpose(0, 1).flatten(1)).sum(),
    )


def root_missing(model, strength):
    return _penalty(model, strength, lambda w: math.sqrt(w[0].numel()) * w.square().sum())


def size_missing(model, strength):
    return _penalty(model, strength, lambda w: _lengths(w.flatten(1)).sum())


def size_without_root(model, strength):
    return _penalty(model, strength, lambda w: w[0].numel() * _lengths(w.flatten(1)).sum())


def root_of_units(model, strength):
    return _penalty(model, strength, lambda w: math.sqrt(len(w)) * _lengths(w.flatten(1)).sum())


def one_group_for_each_layer(model, strength):
    return _penalty(model, strength, lambda w: math.sqrt(w.numel()) * torch.linalg.vector_norm(w))


def sum_of_sizes(model, strength):
    return _penalty(model, strength, lambda w: math.sqrt(w[0].numel()) * w.abs().sum())


def plain_l1(model, strength):
    return l1(model, strength)


def mean_of_units(model, strength):
    return _penalty(
        model, strength, lambda w: math.sqrt(w[0].numel()) * _lengths(w.flatten(1)).mean()
    )


def kernels_not_flattened(model, strength):
    return _penalty(model, strength, lambda w: math.sqrt(w.shape[1]) * _lengths(w).sum())


def bias_in_the_group(model, strength):
    layers = [m for m in model.modules() if isinstance(m, (nn.Linear, nn.Conv1d, nn.Conv2d))]
    total = 0.0
    for layer in layers:
        rows = layer.weight.flatten(1)
        if layer.bias is not None:
            rows = torch.cat([rows, layer.bias[:, None]], dim=1)
        total = total + math.sqrt(rows.shape[1]) * _lengths(rows).sum()
    return strength * total


def nan_at_zero(model, strength):
    return _penalty(
        model,
        strength,
        lambda w: math.sqrt(w[0].numel()) * w.flatten(1).square().sum(1).sqrt().sum(),
    )


def detached(model, strength):
    return group_lasso(model, strength).detach()


def by_loop(model, strength):
    total = 0.0
    for weight in prunable(model).values():
        for unit in weight:
            total = total + strength * unit.numel() ** 0.5 * unit.norm()
    return total


def by_norm(model, strength):
    return _penalty(
        model, strength, lambda w: (w[0].numel() ** 0.5 * w.flatten(1).norm(dim=1)).sum()
    )


def masked_root(model, strength):
    """The root by hand, kept away from zero."""

    def of_layer(weight):
        squares = weight.flatten(1).square().sum(1)
        return math.sqrt(weight[0].numel()) * squares[squares > 0].sqrt().sum()

    return _penalty(model, strength, of_layer)


EXERCISE = Exercise(
    reference=group_lasso,
    title="The group lasso",
    minutes=8,
    cases=_cases,
    parts={"fully connected layers": 3, "convolutions": 2, "a unit of zeros": 1},
    properties=(untouched(),),
    hints=(
        "Row u of a weight holds everything that enters unit u. `weight.flatten(1)` makes such rows of "
        "a convolution as well.",
        "For each row: its length, the root of the sum of squares, times the root of how many weights "
        "it has. `torch.linalg.vector_norm(rows, dim=1)` gives all lengths, with a slope of 0 where a "
        "row is zero.",
        "For one layer, with `rows = weight.flatten(1)`: "
        "`math.sqrt(rows.shape[1]) * torch.linalg.vector_norm(rows, dim=1).sum()`. Add up the layers "
        "and multiply by the strength.",
    ),
    mistakes=(
        Mistake(
            columns,
            "The groups are columns: everything that leaves an input. A unit is a row.",
        ),
        Mistake(
            root_missing,
            "The root over the sum of squares is missing, so this is L2 again: its slope fades near "
            "zero, and no unit gets there.",
        ),
        Mistake(
            size_missing,
            "The root of the group's size is missing. Without it, units with many inputs, whose rows "
            "are longer, get off lightly for each weight.",
        ),
        Mistake(
            size_without_root,
            "The factor is the number of weights of a unit; the formula has its root.",
        ),
        Mistake(
            root_of_units,
            "The factor counts the units of the layer. The formula counts the weights of one unit.",
        ),
        Mistake(
            one_group_for_each_layer,
            "Each layer is one group, so a layer could only go as a whole. The groups are its rows.",
        ),
        Mistake(
            sum_of_sizes,
            "The length of a row is the root of its sum of squares. This adds the absolute values, so "
            "each weight stands for itself again.",
        ),
        Mistake(plain_l1, "This is L1: each weight for itself, and no groups."),
        Mistake(mean_of_units, "The lengths of the units are averaged. The formula adds them up."),
        Mistake(
            kernels_not_flattened,
            "Right for fully connected layers. A convolution's weight has shape [out, in, …]: all of it "
            "but the first dimension belongs to one unit. `flatten(1)` first.",
        ),
        Mistake(
            bias_in_the_group,
            "The biases are in the groups. They stay free: only the weights count.",
        ),
        Mistake(
            nan_at_zero,
            "The value is right, but where all weights of a unit are zero the slope of the root is "
            "infinite, and the gradient comes out as nan. `torch.linalg.vector_norm` gives 0 there.",
        ),
        Mistake(
            detached,
            "The value is right, but it has no gradient, so added to a loss it would change nothing.",
        ),
    ),
    alternatives=(by_loop, by_norm, masked_root),
)
