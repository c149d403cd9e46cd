"""Exercise: how often does a unit say anything at all?"""

import torch

from pruneedu.course.exercises import Case, Exercise, Mistake
from pruneedu.course.judging import untouched
from pruneedu.course.lessons.lesson_04.shared import (
    LABELS_DEMANDED,
    TRAINING_MODE,
    check_alive,
    heard,
    unit_cases,
    unlabelled_case,
)
from pruneedu.evaluation import eval_mode
from pruneedu.pruning.criteria import apoz
from pruneedu.pruning.passes import scoring, tapped, unit_outputs
from pruneedu.tensors import prunable_layers

PARTS = {
    "fully connected layers": 3,
    "positions of a convolution": 2,
    "any batch size": 1,
    "bad input is refused": 1,
    "data without labels": 1,
}


def _cases(seed: int) -> list[Case]:
    *parts, unlabelled = PARTS
    return [*unit_cases(seed, tuple(parts)), unlabelled_case(seed, unlabelled)]


def _shares(model, data, speaks=lambda a: a != 0):
    """The share of the examples and positions at which a unit speaks."""
    return {name: speaks(a).double().mean((0, 2)) for name, a in heard(model, data).items()}


def share_of_zeros(model, data, batch_size=128):
    return {name: 1 - score for name, score in check_alive(_shares(model, data)).items()}


def before_the_activation(model, data, batch_size=128):
    with eval_mode(model), torch.no_grad(), tapped(prunable_layers(model)) as outputs:
        model(data.x)
    flat = {name: out.reshape(*out.shape[:2], -1) for name, out in outputs.items()}
    return check_alive({name: (a != 0).double().mean((0, 2)) for name, a in flat.items()})


def above_zero_only(model, data, batch_size=128):
    return check_alive(_shares(model, data, lambda a: a > 0))


def numbers_not_shares(model, data, batch_size=128):
    shares = check_alive(_shares(model, data))
    return {name: score * len(data.x) for name, score in shares.items()}


def positions_added_up(model, data, batch_size=128):
    said = heard(model, data)
    return check_alive({n: (a != 0).double().sum(2).mean(0) for n, a in said.items()})


def anywhere_in_the_picture(model, data, batch_size=128):
    said = heard(model, data)
    return check_alive({n: (a != 0).any(2).double().mean(0) for n, a in said.items()})


def one_number_for_a_layer(model, data, batch_size=128):
    shares = check_alive(_shares(model, data))
    return {name: score.mean() for name, score in shares.items()}


def mean_output(model, data, batch_size=128):
    return check_alive({name: a.mean((0, 2)) for name, a in heard(model, data).items()})


def mean_of_batch_means(model, data, batch_size=128):
    parts = [_shares(model, data._replace(x=x)) for x in data.x.split(batch_size)]
    return check_alive({n: torch.stack([p[n] for p in parts]).mean(0) for n in parts[0]})


def training_mode(model, data, batch_size=128):
    with torch.no_grad():
        said = unit_outputs(model, data.x)
    return check_alive({name: (a != 0).double().mean((0, 2)) for name, a in said.items()})


def labels_demanded(model, data, batch_size=128):
    with scoring(model, data):
        return apoz(model, data, batch_size)


def all_at_once(model, data, batch_size=128):
    return check_alive(_shares(model, data))


def one_minus_zeros(model, data, batch_size=128):
    """The paper's own order: first the percentage of zeros, batch by batch."""
    zeros, outputs = {}, {}
    for x in data.x.split(batch_size):
        for name, a in heard(model, data._replace(x=x)).items():
            zeros[name] = zeros.get(name, 0) + (a == 0).sum((0, 2))
            outputs[name] = outputs.get(name, 0) + a.shape[0] * a.shape[2]
    return check_alive({name: 1 - zeros[name] / outputs[name] for name in zeros})


EXERCISE = Exercise(
    reference=apoz,
    title="How often a unit speaks",
    minutes=10,
    cases=_cases,
    parts=PARTS,
    properties=(untouched(),),
    hints=(
        "Count where a unit is not zero, over all examples and, in a convolution, over all positions.",
        "`unit_outputs(model, x)` gives, for each layer, [examples, units, positions], after the "
        "activation. Which two dimensions have to go? Hold the network in eval mode meanwhile: "
        "`with scoring(model, data, labels=False):`.",
        "`outputs = unit_outputs(model, data.x)`, then `(a != 0).double().mean((0, 2))` for each layer, "
        "as float. `as_scores(totals, model)` refuses a layer in which every unit is dead. With "
        "batches, add up numbers and divide once, at the end.",
    ),
    mistakes=(
        Mistake(
            share_of_zeros,
            "This is APoZ itself, the share of zeros. A score is high for what matters, and `keep_top` "
            "would keep the silent units: take 1 minus it.",
        ),
        Mistake(
            before_the_activation,
            "It counts what the layer puts out, before the activation. There next to nothing is exactly "
            "0: the ReLU makes the zeros. Count after it.",
        ),
        Mistake(
            above_zero_only,
            "It counts what is above 0. After a ReLU that is the same, but other units, such as the "
            "classes of the last layer, also speak below 0. Count what is not 0.",
        ),
        Mistake(
            numbers_not_shares,
            "These are numbers of examples, not shares: twice as many examples would give twice the "
            "score. Divide by their number.",
        ),
        Mistake(
            positions_added_up,
            "It adds up the positions of a convolution. A layer with large maps then beats one with "
            "small ones, whatever its units say: take the mean over the positions.",
        ),
        Mistake(
            anywhere_in_the_picture,
            "A unit counts here as soon as it speaks anywhere in the picture. APoZ counts each position.",
        ),
        Mistake(
            one_number_for_a_layer,
            "This is one number for the layer. Each unit needs its own: do not reduce the dimension of "
            "the units.",
        ),
        Mistake(
            mean_output,
            "This is the mean of what a unit says. A unit that speaks seldom and loudly gets as much as "
            "one that whispers all the time. Count where it is not 0.",
        ),
        Mistake(
            mean_of_batch_means,
            "It takes the mean of the batches' means. Where the last batch is smaller its examples count "
            "for more: add up numbers and divide once, at the end.",
        ),
        Mistake(training_mode, TRAINING_MODE),
        Mistake(labels_demanded, LABELS_DEMANDED),
    ),
    alternatives=(all_at_once, one_minus_zeros),
)
