"""Exercise: how far does the network's sureness move without a unit?"""

import math

import torch
import torch.nn.functional as F

from pruneedu.course.exercises import Case, Exercise, Mistake
from pruneedu.course.judging import untouched
from pruneedu.course.lessons.lesson_04.shared import (
    LABELS_DEMANDED,
    TRAINING_MODE,
    check_alive,
    heard,
    random_examples,
    silenced,
    unlabelled_case,
)
from pruneedu.course.lessons.making import generator
from pruneedu.evaluation import eval_mode
from pruneedu.models import mlp, mnist1d_cnn, small_cnn
from pruneedu.pruning import apply_masks
from pruneedu.pruning.ablation import without_each
from pruneedu.pruning.criteria import output_entropy
from pruneedu.pruning.passes import scoring
from pruneedu.tensors import prunable_layers

PARTS = {
    "fully connected layers": 3,
    "convolutions and normalisation": 2,
    "answers that are nearly certain": 1,
    "bad input is refused": 1,
    "data without labels": 1,
}
COUNT = 12


def _cases(seed: int) -> list[Case]:
    rng = generator(seed)
    dense, conv, certain, refused, unlabelled = PARTS
    made = [
        (dense, mlp(4, 5, 3), (4,), "", {}),
        (dense, mlp(3, 4, 4), (3,), "", {}),
        (dense, mlp(3, 4, 3, 3), (3,), "there are two hidden layers", {"batch_size": 5}),
        (conv, small_cnn((3,), 3), (1, 6, 6), "the network has batch normalisation", {}),
        (conv, mnist1d_cnn(2, 3), (40,), "the network has convolutions", {}),
    ]
    cases = [
        Case(part, random_examples(rng, model, COUNT, *shape), options, note)
        for part, model, shape, note, options in made
    ]
    for _ in range(2):
        model, data = random_examples(rng, mlp(4, 5, 3), COUNT, 4)
        with torch.no_grad():
            model.fc2.weight *= 60
        cases.append(Case(certain, (model, data), note="some probabilities are 0 in float32"))
    dead = silenced(*random_examples(rng, mlp(4, 3, 3), COUNT, 4))
    refusal = Case(refused, dead, note="every unit of fc1 is dead")
    return [*cases, refusal, unlabelled_case(seed, unlabelled)]


def _logits(model, data):
    with eval_mode(model), torch.no_grad():
        return model(data.x)


def _sureness(logits):
    return torch.special.entr(logits.double().softmax(-1)).sum(-1)


def _change(with_unit, without):
    return (_sureness(without) - _sureness(with_unit)).abs().mean()


def _scores(model, data, score):
    """Scores of `score(logits of the whole network, logits without the unit)`."""
    check_alive({name: a.abs().sum((0, 2)) for name, a in heard(model, data).items()})
    whole, scores = _logits(model, data), {}
    for name, layer in prunable_layers(model).items():
        keeps = ~torch.eye(len(layer.weight), dtype=torch.bool)
        rest = [_logits(apply_masks(model, {name: keep}), data) for keep in keeps]
        scores[name] = torch.stack([score(whole, logits) for logits in rest]).float()
    return scores


def logits_as_probabilities(model, data, batch_size=32):
    def sureness(logits):
        return -(logits * logits.log()).sum(1)

    return _scores(model, data, lambda a, b: (sureness(b) - sureness(a)).abs().mean())


def zero_times_log_zero(model, data, batch_size=32):
    def sureness(logits):
        p = logits.softmax(1)
        return -(p * p.log()).sum(1)

    return _scores(model, data, lambda a, b: (sureness(b) - sureness(a)).abs().mean())


def softmax_over_the_examples(model, data, batch_size=32):
    def sureness(logits):
        return torch.special.entr(logits.double().softmax(0)).sum(1)

    return _scores(model, data, lambda a, b: (sureness(b) - sureness(a)).abs().mean())


def mean_before_the_size(model, data, batch_size=32):
    return _scores(model, data, lambda a, b: (_sureness(b) - _sureness(a)).mean().abs())


def signed(model, data, batch_size=32):
    return _scores(model, data, lambda a, b: (_sureness(b) - _sureness(a)).mean())


def only_without(model, data, batch_size=32):
    return _scores(model, data, lambda a, b: _sureness(b).mean())


def in_bits(model, data, batch_size=32):
    return _scores(model, data, lambda a, b: _change(a, b) / math.log(2))


def entropy_of_the_mean(model, data, batch_size=32):
    def sureness(logits):
        return torch.special.entr(logits.double().softmax(1).mean(0)).sum()

    return _scores(model, data, lambda a, b: (sureness(b) - sureness(a)).abs())


def summed(model, data, batch_size=32):
    return _scores(model, data, lambda a, b: _change(a, b) * len(data.x))


def change_of_the_loss(model, data, batch_size=32):
    return _scores(
        model, data, lambda a, b: F.cross_entropy(b, data.y) - F.cross_entropy(a, data.y)
    )


def bias_still_speaks(model, data, batch_size=32):
    check_alive({name: a.abs().sum((0, 2)) for name, a in heard(model, data).items()})
    whole, scores = _logits(model, data), {}
    for name, layer in prunable_layers(model).items():
        found = []
        for unit in range(len(layer.weight)):
            mask = torch.ones_like(layer.weight, dtype=torch.bool)
            mask[unit] = False
            without = apply_masks(model, {f"{name}.weight": mask})
            found.append(_change(whole, _logits(without, data)))
        scores[name] = torch.stack(found).float()
    return scores


def training_mode(model, data, batch_size=32):
    with torch.no_grad():
        whole, scores = model(data.x), {}
        for name, layer in prunable_layers(model).items():
            keeps = ~torch.eye(len(layer.weight), dtype=torch.bool)
            rest = [apply_masks(model, {name: keep})(data.x) for keep in keeps]
            scores[name] = torch.stack([_change(whole, logits) for logits in rest]).float()
    return check_alive(scores)


def labels_demanded(model, data, batch_size=32):
    with scoring(model, data):
        return output_entropy(model, data, batch_size)


def by_masks(model, data, batch_size=32):
    return _scores(model, data, _change)


def by_log_softmax(model, data, batch_size=32):
    def sureness(logits):
        logs = logits.log_softmax(1)
        return -(logs.exp() * logs).sum(1)

    check_alive({name: a.abs().sum((0, 2)) for name, a in heard(model, data).items()})
    with scoring(model, data, labels=False):
        whole = sureness(model(data.x))
        return without_each(
            model, data, lambda z: (sureness(z) - whole).abs().mean(), "unit", batch_size
        )


EXERCISE = Exercise(
    reference=output_entropy,
    title="The entropy of the answers",
    minutes=15,
    cases=_cases,
    parts=PARTS,
    properties=(untouched(),),
    hints=(
        "What does an entropy need? Shares that add up to 1. The network gives logits.",
        "For each example the entropy of the softmax, with the unit and without; then the size of the "
        "difference; then the mean over the examples, in this order. `without_each` gives you the logits "
        "of all examples at once, so compute the entropies of the whole network beforehand.",
        "`H = lambda z: torch.special.entr(z.softmax(1)).sum(1)`. In "
        "`with scoring(model, data, labels=False):` compute `whole = H(model(data.x))` and return "
        '`without_each(model, data, lambda z: (H(z) - whole).abs().mean(), "unit", batch_size)`. '
        "`check_reached(model, data, batch_size)` refuses a layer in which every unit is dead.",
    ),
    mistakes=(
        Mistake(
            logits_as_probabilities,
            "It puts logits into the formula. They are no probabilities: some are negative, and the "
            "logarithm of those is nan. Take the softmax first.",
        ),
        Mistake(
            zero_times_log_zero,
            "Where the network is nearly certain a probability is 0 in floating point, and 0 · log 0 is "
            "nan. `torch.special.entr(p)` is 0 there, and `log_softmax` never takes the log of 0.",
        ),
        Mistake(
            softmax_over_the_examples,
            "The softmax runs over the examples, dim=0. The probabilities of one example's classes, "
            "dim=1, have to add up to 1.",
        ),
        Mistake(
            mean_before_the_size,
            "It takes the mean first and its size then. An example that becomes surer and one that "
            "becomes less sure cancel each other: take the size for each example, then the mean.",
        ),
        Mistake(
            signed,
            "The sign is still in it. A unit that makes half of the examples surer and half less sure "
            "gets 0: take the size of each difference.",
        ),
        Mistake(
            only_without,
            "This is how unsure the network is without the unit. How unsure it was before is not taken "
            "off.",
        ),
        Mistake(in_bits, "These are bits: the logarithm is to base 2. Nats take the natural one."),
        Mistake(
            entropy_of_the_mean,
            "This is the entropy of the mean prediction, which says how evenly the classes are used. Each "
            "example has its own: the entropy first, then the mean.",
        ),
        Mistake(
            summed,
            "It adds up the examples. Divide by their number, or twice the data give twice the score.",
        ),
        Mistake(
            change_of_the_loss,
            "This is the change of the loss, which needs the labels. The score asks how sure the network "
            "is, not whether it is right.",
        ),
        Mistake(
            bias_still_speaks,
            "The weights of the unit are gone, but its bias still speaks, and so does a normalisation's. "
            "Without a unit means that its output is 0.",
        ),
        Mistake(training_mode, TRAINING_MODE),
        Mistake(labels_demanded, LABELS_DEMANDED),
    ),
    alternatives=(by_masks, by_log_softmax),
)
