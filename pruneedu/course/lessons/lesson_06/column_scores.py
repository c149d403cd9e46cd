"""Exercise: from scores of weights to scores of the inputs that they read."""

import torch
from torch import nn

from pruneedu.course.exercises import Case, Exercise, Mistake
from pruneedu.course.judging import untouched
from pruneedu.course.lessons.making import generator, randomised
from pruneedu.course.plain import Tool
from pruneedu.models import lenet5, mlp, small_cnn
from pruneedu.pruning.inputs import per_input
from pruneedu.tensors import prunable


def _cases(seed: int) -> list[Case]:
    rng = generator(seed)
    square, wide = [(5, 5, 5), (4, 4, 3)], [(6, 4, 3), (3, 5, 2)]
    greatest, length = {"reduce": Tool("amax", {})}, {"reduce": Tool("vector_norm", {})}
    backwards = _scored(rng, (4, 4, 4))
    short, images = _scored(rng, (4, 3, 2)), (small_cnn((2,), classes=2), lenet5())
    other = {"a1.weight": 1 + torch.rand(3, 4, generator=rng)}
    first, *_ = short[0]
    return [
        *(Case("the sum over a column", _scored(rng, sizes)) for sizes in (*square, *wide)),
        *(
            Case("another reduction", _scored(rng, sizes), greatest)
            for sizes in (square[0], (6, 4))
        ),
        *(
            Case("another reduction", _scored(rng, sizes), length)
            for sizes in (square[1], (3, 5, 2))
        ),
        Case(
            "any order",
            (dict(reversed(backwards[0].items())), backwards[1]),
            note="the dict begins with the last layer",
        ),
        Case("any order", ({first: short[0][first]}, short[1]), note="one layer is scored"),
        Case(
            "any order",
            (short[0] | other, short[1]),
            note="the scores of another network, whose layer is called a1, are in the dict as well",
        ),
        Case(
            "bad input is refused",
            ({name: s for name, s in short[0].items() if name != first}, short[1]),
            note="the first layer is not scored",
        ),
        *(
            Case(
                "bad input is refused",
                ({name: w.detach().abs() for name, w in prunable(image).items()}, image),
                note=f"the first layer is a convolution and {linear} a Linear layer behind it",
            )
            for image, linear in zip(images, ("fc", "fc1"), strict=True)
        ),
    ]


def _scored(rng: torch.Generator, sizes: tuple[int, ...]) -> tuple[dict, nn.Module]:
    model = randomised(mlp(*sizes), rng)
    scores = {n: 1 + torch.rand(w.shape, generator=rng) for n, w in prunable(model).items()}
    return scores, model


def _refused(scores, model):
    layers = dict(prunable(model))
    name = next(iter(layers))
    if name not in scores or layers[name].ndim != 2:
        raise ValueError("the first layer is a Linear layer, and is scored, please")
    return name


def rows(scores, model, reduce=torch.sum):
    return {"input": reduce(scores[_refused(scores, model)], dim=1)}


def mean_instead(scores, model, reduce=torch.sum):
    reduce = reduce if reduce is not torch.sum else torch.mean
    return {"input": reduce(scores[_refused(scores, model)], dim=0)}


def always_the_sum(scores, model, reduce=torch.sum):
    return {"input": scores[_refused(scores, model)].sum(0)}


def first_in_the_dict(scores, model, reduce=torch.sum):
    _refused(scores, model)
    return {"input": reduce(next(iter(scores.values())), dim=0)}


def last_layer(scores, model, reduce=torch.sum):
    _refused(scores, model)
    return {"input": reduce(scores[next(reversed(prunable(model)))], dim=0)}


def first_by_the_alphabet(scores, model, reduce=torch.sum):
    _refused(scores, model)
    return {"input": reduce(scores[min(scores)], dim=0)}


def fc1_by_name(scores, model, reduce=torch.sum):
    if "fc1.weight" not in scores:
        raise ValueError("the first layer is scored, please")
    return {"input": reduce(scores["fc1.weight"], dim=0)}


def bare_tensor(scores, model, reduce=torch.sum):
    return reduce(scores[_refused(scores, model)], dim=0)


def named_by_the_layer(scores, model, reduce=torch.sum):
    name = _refused(scores, model)
    return {name.removesuffix(".weight"): reduce(scores[name], dim=0)}


def weights_not_scores(scores, model, reduce=torch.sum):
    name = _refused(scores, model)
    return {"input": reduce(model.get_parameter(name).detach().abs(), dim=0)}


def one_number(scores, model, reduce=torch.sum):
    return {"input": reduce(scores[_refused(scores, model)].flatten(), dim=0)}


def by_rows_of_the_transposed(scores, model, reduce=torch.sum):
    return {"input": reduce(scores[_refused(scores, model)].T.contiguous(), dim=1)}


def column_by_column(scores, model, reduce=torch.sum):
    columns = scores[_refused(scores, model)].unbind(1)
    return {"input": torch.stack([reduce(column, dim=0) for column in columns])}


EXERCISE = Exercise(
    reference=per_input,
    title="The score of an input",
    minutes=6,
    cases=_cases,
    parts={
        "the sum over a column": 3,
        "another reduction": 1,
        "any order": 1,
        "bad input is refused": 1,
    },
    properties=(untouched(),),
    hints=(
        "A weight is [units, inputs]: `weight[u, j]` is what unit u makes of input j. Which of the two "
        "indices has to go?",
        "Input j owns column j of the first layer. Which layer is the first, the model says: "
        "`prunable(model)` is in its order, the dict of scores need not be.",
        '`name = next(iter(prunable(model)))`, then `{"input": reduce(scores[name], dim=0)}`. Refuse '
        "with a ValueError scores without that name, and a first layer that is no `nn.Linear`.",
    ),
    mistakes=(
        Mistake(
            rows,
            "It reduces over the rows' entries, dim=1, and gives a score for each *unit*. Input j owns "
            "column j: what is to go is the index of the units, dim=0.",
        ),
        Mistake(
            mean_instead,
            "This is the mean. `reduce` is the sum unless something else is asked for.",
        ),
        Mistake(always_the_sum, "It always takes the sum, also where `reduce` is something else."),
        Mistake(
            first_in_the_dict,
            "It takes the first entry of the dict. The layer that reads the inputs is the first of the "
            "*model*; a dict may begin with any.",
        ),
        Mistake(
            last_layer,
            "These are the columns of the last layer. Its inputs are hidden units; those of the network "
            "are read by the first.",
        ),
        Mistake(
            first_by_the_alphabet,
            "It takes the layer whose name comes first in the alphabet. Which one reads the inputs, only "
            "the model says.",
        ),
        Mistake(
            fc1_by_name,
            'It asks for "fc1.weight" by name. Which layer comes first, the model says: in LeNet-5 the '
            "convolutions read the image, and fc1 reads what they make of it.",
        ),
        Mistake(
            bare_tensor,
            'The numbers are right, but `keep_top` needs a dict: `{"input": tensor}`.',
        ),
        Mistake(
            named_by_the_layer,
            "The key names the layer, which in this course means a score for each of its units. These "
            'belong to the inputs: the key is "input".',
        ),
        Mistake(
            weights_not_scores,
            "It aggregates the sizes of the weights and never looks at the scores it is given. With "
            "`magnitude` nobody would notice.",
        ),
        Mistake(one_number, "This is one number for the whole layer: everything was reduced."),
    ),
    alternatives=(by_rows_of_the_transposed, column_by_column),
)
