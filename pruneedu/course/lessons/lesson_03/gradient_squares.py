"""Exercise: score each weight by the squares of its gradients, one for each example."""

import torch
from torch import nn
from torch.func import functional_call, grad, vmap

from pruneedu.course.exercises import Exercise, Mistake
from pruneedu.course.judging import untouched
from pruneedu.course.lessons.lesson_03.shared import (
    LOSS_IGNORED,
    LOSS_PARTS,
    OLD_GRADIENT,
    TRAINING_MODE,
    backward_each,
    backward_gradients,
    each_batch_gradient,
    each_gradient,
    gradients_of,
    loss_cases,
    total,
)
from pruneedu.evaluation import eval_mode
from pruneedu.pruning.backward import example_sums
from pruneedu.pruning.criteria import gradient
from pruneedu.tensors import prunable

CROSS_ENTROPY = nn.functional.cross_entropy


def _summed(change, model, data, loss):
    """Σ_i change(g_i)."""
    rows = each_gradient(model, data, loss)
    return total([{name: change(g) for name, g in row.items()} for row in rows])


def square_of_the_sum(model, data, loss=CROSS_ENTROPY, batch_size=128):
    return {name: g**2 for name, g in _summed(torch.clone, model, data, loss).items()}


def square_of_the_mean(model, data, loss=CROSS_ENTROPY, batch_size=128):
    sums = _summed(torch.clone, model, data, loss)
    return {name: (g / len(data.x)) ** 2 for name, g in sums.items()}


def squares_of_batches(model, data, loss=CROSS_ENTROPY, batch_size=128):
    rows = each_batch_gradient(model, data, loss, batch_size)
    return total([{name: g**2 for name, g in row.items()} for row in rows])


def mean_of_squares(model, data, loss=CROSS_ENTROPY, batch_size=128):
    sums = _summed(torch.square, model, data, loss)
    return {name: score / len(data.x) for name, score in sums.items()}


def root(model, data, loss=CROSS_ENTROPY, batch_size=128):
    sums = _summed(torch.square, model, data, loss)
    return {name: score.sqrt() for name, score in sums.items()}


def sizes(model, data, loss=CROSS_ENTROPY, batch_size=128):
    return _summed(torch.abs, model, data, loss)


def training_mode(model, data, loss=CROSS_ENTROPY, batch_size=128):
    pairs = zip(data.x, data.y, strict=True)
    rows = [gradients_of(loss(model(x[None]), y[None]), model) for x, y in pairs]
    return total([{name: g**2 for name, g in row.items()} for row in rows])


def one_backward(model, data, loss=CROSS_ENTROPY, batch_size=128):
    return {name: g**2 for name, g in backward_gradients(model, data, loss).items()}


def one_backward_zeroed(model, data, loss=CROSS_ENTROPY, batch_size=128):
    model.zero_grad()
    return one_backward(model, data, loss)


def one_backward_in_eval_mode(model, data, loss=CROSS_ENTROPY, batch_size=128):
    with eval_mode(model):
        return one_backward(model, data, loss)


def old_gradient_added(model, data, loss=CROSS_ENTROPY, batch_size=128):
    rows = []
    for row in backward_each(model, data, loss):
        rows.append({name: g**2 for name, g in row.items()})
        model.zero_grad()
    return total(rows)


def nothing_cleared(model, data, loss=CROSS_ENTROPY, batch_size=128):
    rows = backward_each(model, data, loss)
    return total([{name: g**2 for name, g in row.items()} for row in rows])


def gradients_pile_up(model, data, loss=CROSS_ENTROPY, batch_size=128):
    model.zero_grad()
    return nothing_cleared(model, data, loss)


def reversed_ranking(model, data, loss=CROSS_ENTROPY, batch_size=128):
    return _summed(lambda g: -(g**2), model, data, loss)


def times_the_weight(model, data, loss=CROSS_ENTROPY, batch_size=128):
    sums = _summed(torch.square, model, data, loss)
    return {name: weight.detach() ** 2 * sums[name] for name, weight in prunable(model).items()}


def by_loop(model, data, loss=CROSS_ENTROPY, batch_size=128):
    scores = {name: torch.zeros_like(weight) for name, weight in prunable(model).items()}
    with eval_mode(model):
        for x, y in zip(data.x, data.y, strict=True):
            model.zero_grad()
            loss(model(x[None]), y[None]).backward()
            for name, weight in prunable(model).items():
                scores[name] += weight.grad**2
    model.zero_grad()
    return scores


def by_vmap(model, data, loss=CROSS_ENTROPY, batch_size=128):
    weights = {name: weight.detach() for name, weight in prunable(model).items()}

    def one(weights, x, y):
        return loss(functional_call(model, weights, (x[None],)), y[None])

    with eval_mode(model):
        found = vmap(grad(one), in_dims=(None, 0, 0))(weights, data.x, data.y)
    return {name: g.square().sum(0) for name, g in found.items()}


def loss_ignored(model, data, loss=CROSS_ENTROPY, batch_size=128):
    return gradient(model, data, CROSS_ENTROPY, batch_size)


ONE_BACKWARD = (
    "This squares the gradient of the mean loss, in which the examples have cancelled each other; and "
    "the network is in training mode, so that they change each other's gradients as well. In eval "
    "mode, square each example's gradient, then add."
)
PILED_UP = (
    "The gradients pile up: `backward()` adds to `.grad`, so the second example is squared "
    "together with the first, the third with both. Clear them before each example "
    "(`model.zero_grad()`), or use `torch.autograd.grad`, which leaves no `.grad` behind."
)

EXERCISE = Exercise(
    reference=gradient,
    title="Square first, then add",
    minutes=15,
    cases=loss_cases,
    parts=LOSS_PARTS,
    properties=(untouched(),),
    hints=(
        "In which order do you square, and add? What is (1 - 1)², and what is 1² + (-1)²?",
        "You need the gradient of each example on its own. The plain way is a loop over the "
        "examples: `x[i : i + 1]` is a batch of one. Put the network in eval mode, and take care that "
        "`.grad` does not add up from one example to the next.",
        "With `from torch.autograd import grad`: for each example, "
        "`grads = grad(loss(model(x[i : i + 1]), y[i : i + 1]), list(pe.prunable(model).values()))`, "
        "and add each `g**2` to the score of its weight. `batch_size` need not be used.",
    ),
    mistakes=(
        Mistake(
            square_of_the_sum,
            "This adds the gradients and squares the sum: (Σ g)². Gradients of opposite sign cancel "
            "before they are squared, and in a trained network nearly all of them do. Square each "
            "example's gradient, then add: Σ g².",
        ),
        Mistake(
            square_of_the_mean,
            "This is the square of the gradient of the mean loss, as one `backward()` gives it. The "
            "examples have cancelled each other inside it. Square each example's gradient, then add.",
        ),
        Mistake(
            squares_of_batches,
            "This squares the gradient of each batch. The examples of a batch have cancelled each other "
            "already, so the score changes with the batch size. Square each example's gradient.",
        ),
        Mistake(
            mean_of_squares,
            "This is the mean over the examples. It ranks the weights in the same way, but the formula "
            "is a sum: do not divide by the number of examples.",
        ),
        Mistake(
            root,
            "This takes the root of the sum, as a length has it. It ranks the weights in the same way, but "
            "the formula stops at the sum of the squares.",
        ),
        Mistake(
            sizes,
            "This adds the sizes |g|. The formula adds the squares, in which a few examples with a "
            "strong pull count for more than many with a weak one.",
        ),
        Mistake(training_mode, TRAINING_MODE),
        Mistake(loss_ignored, LOSS_IGNORED),
        Mistake(one_backward_zeroed, ONE_BACKWARD),
        Mistake(one_backward, f"{ONE_BACKWARD} {OLD_GRADIENT}"),
        Mistake(
            one_backward_in_eval_mode,
            "This squares the gradient of the mean loss, in which the examples have cancelled each other. "
            f"Square each example's gradient, then add. {OLD_GRADIENT}",
        ),
        Mistake(old_gradient_added, OLD_GRADIENT),
        Mistake(nothing_cleared, PILED_UP),
        Mistake(gradients_pile_up, PILED_UP),
        Mistake(
            reversed_ranking,
            "The scores are negative: the weight with the strongest pull has the lowest score, and "
            "would go first. A high score means: keep.",
        ),
        Mistake(
            times_the_weight,
            "This multiplies by the squared weight. That is a criterion too (it comes later in the "
            "lesson), but here the gradients speak alone.",
        ),
    ),
    alternatives=(by_loop, by_vmap),
    closes=(example_sums,),
)
