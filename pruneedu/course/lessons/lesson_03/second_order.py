"""Exercise: score each weight by the change of the loss without it, at a minimum."""

import torch
from torch import nn
from torch.func import functional_call, grad, vmap

from pruneedu.course.exercises import Exercise, Mistake
from pruneedu.course.judging import untouched
from pruneedu.course.lessons.lesson_03.shared import (
    LOSS_IGNORED,
    LOSS_PARTS,
    OLD_AND_TRAINING,
    OLD_GRADIENT,
    TRAINING_MODE,
    backward_each,
    backward_gradients,
    each_gradient,
    gradients_of,
    loss_cases,
    mean_gradient,
    total,
)
from pruneedu.evaluation import eval_mode
from pruneedu.pruning.criteria import fisher, gradient
from pruneedu.tensors import prunable

CROSS_ENTROPY = nn.functional.cross_entropy


def _with_weights(model, squares, combine):
    """combine(w, g²) for each weight."""
    return {name: combine(w.detach(), squares[name]) for name, w in prunable(model).items()}


def _mean_squares(model, data, loss):
    rows = each_gradient(model, data, loss)
    sums = total([{name: g**2 for name, g in row.items()} for row in rows])
    return {name: g2 / len(data.x) for name, g2 in sums.items()}


def weight_not_squared(model, data, loss=CROSS_ENTROPY, batch_size=128):
    return _with_weights(model, _mean_squares(model, data, loss), lambda w, g2: w.abs() * g2)


def weight_forgotten(model, data, loss=CROSS_ENTROPY, batch_size=128):
    return _mean_squares(model, data, loss)


def square_of_the_mean(model, data, loss=CROSS_ENTROPY, batch_size=128):
    squares = {name: g**2 for name, g in mean_gradient(model, data, loss).items()}
    return _with_weights(model, squares, lambda w, g2: w**2 * g2)


def not_divided(model, data, loss=CROSS_ENTROPY, batch_size=128):
    squares = _mean_squares(model, data, loss)
    return _with_weights(model, squares, lambda w, g2: w**2 * g2 * len(data.x))


def divided_by_batch_size(model, data, loss=CROSS_ENTROPY, batch_size=128):
    squares, share = _mean_squares(model, data, loss), len(data.x) / batch_size
    return _with_weights(model, squares, lambda w, g2: w**2 * g2 * share)


def halved(model, data, loss=CROSS_ENTROPY, batch_size=128):
    return _with_weights(model, _mean_squares(model, data, loss), lambda w, g2: w**2 * g2 / 2)


def root(model, data, loss=CROSS_ENTROPY, batch_size=128):
    return _with_weights(model, _mean_squares(model, data, loss), lambda w, g2: w.abs() * g2.sqrt())


def divided_by_curvature(model, data, loss=CROSS_ENTROPY, batch_size=128):
    return _with_weights(model, _mean_squares(model, data, loss), lambda w, g2: w**2 / g2)


def training_mode(model, data, loss=CROSS_ENTROPY, batch_size=128):
    pairs = zip(data.x, data.y, strict=True)
    rows = [gradients_of(loss(model(x[None]), y[None]), model) for x, y in pairs]
    sums = total([{name: g**2 for name, g in row.items()} for row in rows])
    return _with_weights(model, sums, lambda w, g2: w**2 * g2 / len(data.x))


def _of_rows(model, rows, count):
    sums = total([{name: g**2 for name, g in row.items()} for row in rows])
    return _with_weights(model, sums, lambda w, g2: w**2 * g2 / count)


def old_gradient_added(model, data, loss=CROSS_ENTROPY, batch_size=128):
    rows = []
    for row in backward_each(model, data, loss):
        rows.append(row)
        model.zero_grad()
    return _of_rows(model, rows, len(data.x))


def gradients_pile_up(model, data, loss=CROSS_ENTROPY, batch_size=128):
    return _of_rows(model, list(backward_each(model, data, loss)), len(data.x))


def one_backward(model, data, loss=CROSS_ENTROPY, batch_size=128):
    return _of_rows(model, [backward_gradients(model, data, loss)], 1)


def one_backward_in_eval_mode(model, data, loss=CROSS_ENTROPY, batch_size=128):
    with eval_mode(model):
        return one_backward(model, data, loss)


def by_gradient(model, data, loss=CROSS_ENTROPY, batch_size=128):
    squares = gradient(model, data, loss, batch_size)
    return _with_weights(model, squares, lambda w, g2: w.square() * g2 / len(data.x))


def product_first(model, data, loss=CROSS_ENTROPY, batch_size=128):
    weights = {name: weight.detach() for name, weight in prunable(model).items()}

    def one(weights, x, y):
        return loss(functional_call(model, weights, (x[None],)), y[None])

    with eval_mode(model):
        found = vmap(grad(one), in_dims=(None, 0, 0))(weights, data.x, data.y)
    return {name: torch.mean((weights[name] * g) ** 2, 0) for name, g in found.items()}


def loss_ignored(model, data, loss=CROSS_ENTROPY, batch_size=128):
    return fisher(model, data, CROSS_ENTROPY, batch_size)


OF_THE_MEAN = (
    "This squares the gradient of the mean loss, which is about zero at a minimum. The mean is to be "
    "taken of the squares."
)

EXERCISE = Exercise(
    reference=fisher,
    title="What remains at a minimum",
    minutes=10,
    cases=loss_cases,
    parts=LOSS_PARTS,
    properties=(untouched(),),
    hints=(
        "You have all that you need: exercise 2 gave the sum over the examples of g².",
        "The formula has the *mean* over all examples of g², times the square of the weight.",
        "`squares = gradient(model, data, loss, batch_size)`, and for each name "
        "`weight.detach() ** 2 * squares[name] / len(data.x)`.",
    ),
    mistakes=(
        Mistake(
            weight_not_squared,
            "The weight is not squared. The second order of Taylor's series has w², since it is a "
            "curvature times a distance squared.",
        ),
        Mistake(
            weight_forgotten,
            "The weight is missing: this is the curvature alone. A weight that is almost 0 moves hardly "
            "at all when it goes, however curved the loss is.",
        ),
        Mistake(square_of_the_mean, OF_THE_MEAN),
        Mistake(
            not_divided,
            "This has the sum over the examples. The formula has their mean: divide by their number.",
        ),
        Mistake(
            divided_by_batch_size,
            "This divides by `batch_size`, the largest size of a batch. The mean is over all examples: "
            "divide by `len(data.x)`.",
        ),
        Mistake(
            halved,
            "This keeps the ½ of Taylor's series. It ranks the weights alike, but the formula here has "
            "left it out.",
        ),
        Mistake(
            root,
            "This is the root of the score. It ranks the weights alike, but the formula has the squares.",
        ),
        Mistake(
            divided_by_curvature,
            "This divides by the curvature. A weight in a steep valley would then be the first to go: "
            "multiply.",
        ),
        Mistake(training_mode, TRAINING_MODE),
        Mistake(old_gradient_added, OLD_GRADIENT),
        Mistake(
            gradients_pile_up,
            "The gradients pile up: `backward()` adds to `.grad`, what training left there and each "
            "example before. Clear them before each example, or use `torch.autograd.grad`.",
        ),
        Mistake(one_backward_in_eval_mode, f"{OF_THE_MEAN} {OLD_GRADIENT}"),
        Mistake(one_backward, f"{OF_THE_MEAN} {OLD_AND_TRAINING}"),
        Mistake(loss_ignored, LOSS_IGNORED),
    ),
    alternatives=(by_gradient, product_first),
)
