"""Exercise: score each weight by the change of the loss without it, to first order."""

from torch import nn
from torch.func import functional_call, grad

from pruneedu.course.exercises import Exercise, Mistake
from pruneedu.course.judging import untouched
from pruneedu.course.lessons.lesson_03.shared import (
    LOSS_IGNORED,
    LOSS_PARTS,
    OLD_AND_TRAINING,
    OLD_GRADIENT,
    TRAINING_MODE,
    backward_gradients,
    each_batch_gradient,
    each_gradient,
    gradients_of,
    loss_cases,
    mean_gradient,
    total,
)
from pruneedu.evaluation import eval_mode
from pruneedu.pruning.backward import mean_gradients
from pruneedu.pruning.criteria import taylor
from pruneedu.tensors import prunable

CROSS_ENTROPY = nn.functional.cross_entropy


def _products(model, gradients):
    """w · g for each weight."""
    return {name: weight.detach() * gradients[name] for name, weight in prunable(model).items()}


def weight_forgotten(model, data, loss=CROSS_ENTROPY, batch_size=128):
    return {name: g.abs() for name, g in mean_gradient(model, data, loss).items()}


def sign_kept(model, data, loss=CROSS_ENTROPY, batch_size=128):
    return _products(model, mean_gradient(model, data, loss))


def squared(model, data, loss=CROSS_ENTROPY, batch_size=128):
    products = _products(model, mean_gradient(model, data, loss))
    return {name: product**2 for name, product in products.items()}


def each_example_alone(model, data, loss=CROSS_ENTROPY, batch_size=128):
    rows = [_products(model, row) for row in each_gradient(model, data, loss)]
    sizes = total([{name: product.abs() for name, product in row.items()} for row in rows])
    return {name: size / len(data.x) for name, size in sizes.items()}


def sum_of_losses(model, data, loss=CROSS_ENTROPY, batch_size=128):
    products = _products(model, mean_gradient(model, data, loss))
    return {name: product.abs() * len(data.x) for name, product in products.items()}


def mean_of_batch_means(model, data, loss=CROSS_ENTROPY, batch_size=128):
    rows = each_batch_gradient(model, data, loss, batch_size)
    products = _products(model, total(rows))
    return {name: product.abs() / len(rows) for name, product in products.items()}


def sum_of_batch_means(model, data, loss=CROSS_ENTROPY, batch_size=128):
    products = _products(model, total(each_batch_gradient(model, data, loss, batch_size)))
    return {name: product.abs() for name, product in products.items()}


def means_divided_again(model, data, loss=CROSS_ENTROPY, batch_size=128):
    rows = each_batch_gradient(model, data, loss, batch_size)
    shares = zip(rows, data.x.split(batch_size), strict=True)
    sums = total([{name: g / len(x) for name, g in row.items()} for row, x in shares])
    return {name: product.abs() for name, product in _products(model, sums).items()}


def sizes_of_batches(model, data, loss=CROSS_ENTROPY, batch_size=128):
    rows = each_batch_gradient(model, data, loss, batch_size)
    pairs = zip(rows, data.x.split(batch_size), strict=True)
    parts = [(_products(model, row), len(x) / len(data.x)) for row, x in pairs]
    return total([{n: product.abs() * share for n, product in one.items()} for one, share in parts])


def divided_by_batch_size(model, data, loss=CROSS_ENTROPY, batch_size=128):
    products = _products(model, mean_gradient(model, data, loss))
    share = len(data.x) / batch_size
    return {name: product.abs() * share for name, product in products.items()}


def last_batch_only(model, data, loss=CROSS_ENTROPY, batch_size=128):
    products = _products(model, each_batch_gradient(model, data, loss, batch_size)[-1])
    return {name: product.abs() for name, product in products.items()}


def training_mode(model, data, loss=CROSS_ENTROPY, batch_size=128):
    products = _products(model, gradients_of(loss(model(data.x), data.y), model))
    return {name: product.abs() for name, product in products.items()}


def old_gradient_added(model, data, loss=CROSS_ENTROPY, batch_size=128):
    with eval_mode(model):
        products = _products(model, backward_gradients(model, data, loss))
    return {name: product.abs() for name, product in products.items()}


def old_gradient_in_training_mode(model, data, loss=CROSS_ENTROPY, batch_size=128):
    products = _products(model, backward_gradients(model, data, loss))
    return {name: product.abs() for name, product in products.items()}


def reversed_ranking(model, data, loss=CROSS_ENTROPY, batch_size=128):
    products = _products(model, mean_gradient(model, data, loss))
    return {name: -product.abs() for name, product in products.items()}


def by_backward(model, data, loss=CROSS_ENTROPY, batch_size=128):
    model.zero_grad()
    with eval_mode(model):
        for x, y in zip(data.x.split(batch_size), data.y.split(batch_size), strict=True):
            (loss(model(x), y) * len(x) / len(data.x)).backward()
    scores = {name: (w.detach() * w.grad).abs() for name, w in prunable(model).items()}
    model.zero_grad()
    return scores


def by_functional(model, data, loss=CROSS_ENTROPY, batch_size=128):
    weights = {name: weight.detach() for name, weight in prunable(model).items()}
    with eval_mode(model):
        gradients = grad(lambda w: loss(functional_call(model, w, (data.x,)), data.y))(weights)
    return {name: weights[name].abs() * gradients[name].abs() for name in weights}


def loss_ignored(model, data, loss=CROSS_ENTROPY, batch_size=128):
    return taylor(model, data, CROSS_ENTROPY, batch_size)


EXERCISE = Exercise(
    reference=taylor,
    title="A price times a distance",
    minutes=10,
    cases=loss_cases,
    parts=LOSS_PARTS,
    properties=(untouched(),),
    hints=(
        "The gradient says what one unit of movement costs. How far does a weight move when it is "
        "set to zero?",
        "You need the gradient of the *mean* loss over all examples. One batch with all of them "
        "will do; with several batches, weight each mean by the number of its examples.",
        "In eval mode: `g = torch.autograd.grad(loss(model(data.x), data.y), weights)` for the list "
        "of `pe.prunable(model).values()`, then `(w * g).abs()` for each, detached.",
    ),
    mistakes=(
        Mistake(
            weight_forgotten,
            "This is the size of the gradient alone: the price of one unit of movement. To be removed a "
            "weight moves by its own size, so the price is to be multiplied by w.",
        ),
        Mistake(
            sign_kept,
            "The sign is still there. A weight whose removal would change the loss much, downwards, "
            "gets the lowest score of all. The formula takes the size, |w · g|.",
        ),
        Mistake(
            squared,
            "This is the square, as in the paper. It ranks the weights alike, but the formula here is "
            "|w · g|.",
        ),
        Mistake(
            each_example_alone,
            "This takes the size for each example, and then the mean of the sizes. The formula has one "
            "gradient, that of the mean loss: sizes are taken at the end.",
        ),
        Mistake(
            sum_of_losses,
            "This is the gradient of the sum over the examples. The loss is their mean: divide by their "
            "number.",
        ),
        Mistake(
            mean_of_batch_means,
            "This is the mean of the batches' means. The last batch is smaller, so its examples count "
            "for more than the others. Weight each batch by its number of examples.",
        ),
        Mistake(
            sum_of_batch_means,
            "This adds up the batches' means: three batches give about three times the score of one. Weight "
            "each mean by its share of the examples, `len(x) / len(data.x)`.",
        ),
        Mistake(
            means_divided_again,
            "This divides each batch's gradient by the size of the batch. The loss is a mean over its rows "
            "already: multiply by `len(x)`, add up, and divide by `len(data.x)` once.",
        ),
        Mistake(
            sizes_of_batches,
            "This takes the size for each batch and adds up the sizes, so the batch size changes the score. "
            "Add up the batches' gradients first: sizes are taken at the end.",
        ),
        Mistake(
            divided_by_batch_size,
            "This divides by `batch_size`. It is the *largest* size of a batch, not the number of "
            "examples: divide by `len(data.x)`.",
        ),
        Mistake(
            last_batch_only,
            "Only the last batch counts: each batch overwrites the one before. Add them up.",
        ),
        Mistake(training_mode, TRAINING_MODE),
        Mistake(old_gradient_added, OLD_GRADIENT),
        Mistake(old_gradient_in_training_mode, OLD_AND_TRAINING),
        Mistake(loss_ignored, LOSS_IGNORED),
        Mistake(
            reversed_ranking,
            "The scores are negative, so the weight that would be missed most is the first to go. A "
            "high score means: keep.",
        ),
    ),
    alternatives=(by_backward, by_functional),
    closes=(mean_gradients,),
)
