"""Exercise: score each weight by how much it moves the outputs, without any label."""

import torch
from torch import nn
from torch.func import functional_call, jacrev, vmap

from pruneedu.course.exercises import Case, Exercise, Mistake
from pruneedu.course.judging import untouched
from pruneedu.course.lessons.lesson_03 import shared
from pruneedu.course.lessons.lesson_03.shared import (
    TRAINING_MODE,
    calm,
    criterion_cases,
    each_gradient,
    gradients_of,
    random_split,
    total,
)
from pruneedu.course.lessons.making import generator
from pruneedu.evaluation import eval_mode
from pruneedu.models import mlp
from pruneedu.pruning.backward import example_sums
from pruneedu.pruning.criteria import sensitivity
from pruneedu.pruning.passes import scoring
from pruneedu.tensors import prunable

PARTS = shared.PARTS | {"data without labels": 1}


def _cases(seed: int) -> list[Case]:
    rng = generator(seed + 2)
    part, note = "data without labels", "y is None"
    model, data = calm(mlp(4, 5, 4), rng), random_split(rng, 6, 4)
    return [*criterion_cases(seed), Case(part, (model, data._replace(y=None)), note=note)]


def _rows(model, data, outputs=lambda logits: logits):
    """The gradient of each output of each example, in one flat list; outputs of [C]."""
    found = []
    for x in data.x:
        found += [gradients_of(value, model) for value in _each(model, x, outputs)]
    return found


def _each(model, x, outputs):
    """Yield the outputs one by one, each with a graph of its own."""
    count = len(outputs(model(x[None])[0]))
    return (outputs(model(x[None])[0])[c] for c in range(count))


def _sizes(rows, size=torch.abs):
    return total([{name: size(g) for name, g in row.items()} for row in rows])


def _divided(scores, by):
    return {name: score / by for name, score in scores.items()}


def _mean_sizes(model, data, outputs=lambda logits: logits, size=torch.abs):
    rows = _rows(model, data, outputs)
    return _divided(_sizes(rows, size), len(rows))


def of_the_loss(model, data, batch_size=128):
    rows = list(each_gradient(model, data, nn.functional.cross_entropy))
    return _divided(_sizes(rows), len(rows))


def outputs_cancel(model, data, batch_size=128):
    with eval_mode(model):
        classes = model(data.x[:1]).shape[1]
        return _divided(
            _mean_sizes(model, data, lambda logits: logits.sum(0, keepdim=True)), classes
        )


def examples_cancel(model, data, batch_size=128):
    with eval_mode(model):
        classes = model(data.x[:1]).shape[1]
        mean = [gradients_of(model(data.x).mean(0)[c], model) for c in range(classes)]
    return _divided(_sizes(mean), len(mean))


def labelled_output_only(model, data, batch_size=128):
    def pick(logits, y):
        return logits.gather(1, y[:, None]).mean()

    rows = list(each_gradient(model, data, pick))
    return _divided(_sizes(rows), len(rows))


def of_probabilities(model, data, batch_size=128):
    with eval_mode(model):
        return _mean_sizes(model, data, lambda logits: logits.softmax(0))


def sum_over_outputs(model, data, batch_size=128):
    with eval_mode(model):
        return _divided(_sizes(_rows(model, data)), len(data.x))


def divided_by_batch_size(model, data, batch_size=128):
    with eval_mode(model):
        rows = _rows(model, data)
        return _divided(_sizes(rows), len(rows) / len(data.x) * batch_size)


def squared(model, data, batch_size=128):
    with eval_mode(model):
        return _mean_sizes(model, data, size=torch.square)


def training_mode(model, data, batch_size=128):
    return _mean_sizes(model, data)


def insensitivity(model, data, batch_size=128):
    with eval_mode(model):
        return {name: 1 - score for name, score in _mean_sizes(model, data).items()}


def classes_of_the_labels(model, data, batch_size=128):
    classes = int(data.y.max()) + 1
    with eval_mode(model):
        return _mean_sizes(model, data, lambda logits: logits[:classes])


def labels_demanded(model, data, batch_size=128):
    with scoring(model, data):
        return sensitivity(model, data, batch_size)


def by_loop(model, data, batch_size=128):
    with eval_mode(model):
        return _mean_sizes(model, data)


def by_jacobian(model, data, batch_size=128):
    weights = {name: weight.detach() for name, weight in prunable(model).items()}

    def outputs(weights, x):
        return functional_call(model, weights, (x[None],))[0]

    with eval_mode(model):
        found = vmap(jacrev(outputs), in_dims=(None, 0))(weights, data.x)
    return {name: jacobian.abs().mean((0, 1)) for name, jacobian in found.items()}


EXERCISE = Exercise(
    reference=sensitivity,
    title="The output, not the loss",
    minutes=15,
    cases=_cases,
    parts=PARTS,
    properties=(untouched(),),
    hints=(
        "Whose derivative is asked? Look for the labels in the formula.",
        "For each example and each output there is one gradient. Take its size first, then the mean "
        "over all of them: N · C gradients.",
        "In eval mode, for each example `x[i : i + 1]` and each class `c`: "
        "`grads = torch.autograd.grad(model(x[i : i + 1])[0, c], list(pe.prunable(model).values()))`; "
        "add each `g.abs()`, and divide by `len(x) * classes` at the end.",
    ),
    mistakes=(
        Mistake(
            of_the_loss,
            "This is the gradient of the loss. It vanishes where the network is right, and it needs "
            "labels. The formula has the outputs y of the network: no label is read.",
        ),
        Mistake(
            outputs_cancel,
            "The outputs are summed before the size is taken. A weight that raises one class and lowers "
            "another then seems to do nothing. Take the size for each output.",
        ),
        Mistake(
            examples_cancel,
            "The examples are averaged before the size is taken, so those that are pushed up cancel "
            "those that are pushed down. Take the size for each example.",
        ),
        Mistake(
            labelled_output_only,
            "Only the output of the right class counts here. The formula has the mean over all "
            "outputs, and reads no label.",
        ),
        Mistake(
            of_probabilities,
            "These are the gradients of the probabilities. Where the network is sure, softmax is flat "
            "and hides what moves. The outputs are the logits.",
        ),
        Mistake(
            sum_over_outputs,
            "This is the sum over the outputs. The formula has the mean: divide by their number, too.",
        ),
        Mistake(
            divided_by_batch_size,
            "This divides by `batch_size`, the largest size of a batch. The mean is over all examples: "
            "divide by `len(data.x)`.",
        ),
        Mistake(
            squared,
            "These are squares. The formula has the sizes |∂y/∂w|.",
        ),
        Mistake(
            insensitivity,
            "This is 1 minus the sensitivity, which is highest for the weights that do nothing: they "
            "would stay. A high score means: keep.",
        ),
        Mistake(
            classes_of_the_labels,
            "It does not take all outputs of the network: their number is fixed here, or counted in the "
            "labels, in which the last class may have no example. It is `model(x).shape[1]`.",
        ),
        Mistake(
            labels_demanded,
            "It refuses data without labels. No label is read here: "
            "`scoring(model, data, labels=False)` does not ask for any.",
        ),
        Mistake(training_mode, TRAINING_MODE),
    ),
    alternatives=(by_loop, by_jacobian),
    closes=(example_sums,),
)
