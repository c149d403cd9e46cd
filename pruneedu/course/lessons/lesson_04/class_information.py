"""Exercise: what does a unit tell about the class?"""

import math

import torch

from pruneedu.course.exercises import Case, Exercise, Mistake
from pruneedu.course.judging import untouched
from pruneedu.course.lessons.lesson_04.shared import (
    TRAINING_MODE,
    bin_numbers,
    binned_cases,
    check_alive,
    check_bins,
    counted,
    in_nats,
    labels_of,
    values,
)
from pruneedu.pruning.criteria import mutual_information
from pruneedu.pruning.passes import unit_outputs

PARTS = {
    "fully connected layers": 3,
    "the mean over positions": 1,
    "each position": 1,
    "any batch size": 1,
    "bad input is refused": 1,
}


def _cases(seed: int) -> list[Case]:
    cases = binned_cases(seed, tuple(PARTS))
    model, data = cases[0].args
    one_class = data._replace(y=torch.zeros_like(data.y))
    return [*cases, Case("bad input is refused", (model, one_class), note="there is one class")]


def _joint(numbers, y, bins):
    """The shares of each bin and class: [units, bins, classes]."""
    classes = int(y.max()) + 1
    index = bin_numbers(numbers, bins, numbers.amin(0), numbers.amax(0))
    rows = [torch.bincount(unit * classes + y, minlength=bins * classes) for unit in index.T]
    return torch.stack(rows).view(-1, bins, classes).double() / len(numbers)


def _scores(model, data, bins, positions, score):
    numbers, labels = values(model, data, positions), labels_of(model, data, positions)
    return check_alive({n: score(_joint(v, labels[n], bins)) for n, v in numbers.items()})


def _information(p):
    return in_nats(p.sum(2)) + in_nats(p.sum(1)) - in_nats(p.flatten(1))


def entropy_alone(model, data, bins=10, positions="mean", batch_size=128):
    return _scores(model, data, bins, positions, lambda p: in_nats(p.sum(2)))


def entropy_within(model, data, bins=10, positions="mean", batch_size=128):
    return _scores(
        model, data, bins, positions, lambda p: in_nats(p.flatten(1)) - in_nats(p.sum(1))
    )


def the_wrong_way_round(model, data, bins=10, positions="mean", batch_size=128):
    return _scores(model, data, bins, positions, lambda p: -_information(p))


def in_bits(model, data, bins=10, positions="mean", batch_size=128):
    return _scores(model, data, bins, positions, lambda p: _information(p) / math.log(2))


def joint_entropy(model, data, bins=10, positions="mean", batch_size=128):
    return _scores(model, data, bins, positions, lambda p: in_nats(p.flatten(1)))


def classes_alike(model, data, bins=10, positions="mean", batch_size=128):
    def score(p):
        within = in_nats((p / p.sum(1, keepdim=True).clamp(min=1e-12)).mT)  # [units, classes]
        return in_nats(p.sum(2)) - within.mean(1)

    return _scores(model, data, bins, positions, score)


def zero_times_log_zero(model, data, bins=10, positions="mean", batch_size=128):
    def score(p):
        apart = p.sum(2, keepdim=True) * p.sum(1, keepdim=True)
        return (p * (p / apart).log()).sum((1, 2))

    return _scores(model, data, bins, positions, score)


def bins_of_each_class(model, data, bins=10, positions="mean", batch_size=128):
    numbers, labels = values(model, data, positions), labels_of(model, data, positions)

    def score(v, y):
        groups = [v[y == c] for c in y.unique()]
        within = [len(g) / len(v) * in_nats(counted(g, bins) / len(g)) for g in groups]
        return in_nats(counted(v, bins) / len(v)) - torch.stack(within).sum(0)

    return check_alive({n: score(v, labels[n]) for n, v in numbers.items()})


def share_of_the_class(model, data, bins=10, positions="mean", batch_size=128):
    return _scores(model, data, bins, positions, lambda p: _information(p) / in_nats(p.sum(1)))


def one_range_for_the_layer(model, data, bins=10, positions="mean", batch_size=128):
    numbers, labels = values(model, data, positions), labels_of(model, data, positions)

    def score(v, y):
        index = bin_numbers(v, bins, v.min(), v.max())
        classes = int(y.max()) + 1
        rows = [torch.bincount(u * classes + y, minlength=bins * classes) for u in index.T]
        return _information(torch.stack(rows).view(-1, bins, classes).double() / len(v))

    return check_alive({n: score(v, labels[n]) for n, v in numbers.items()})


def training_mode(model, data, bins=10, positions="mean", batch_size=128):
    with torch.no_grad():
        said = unit_outputs(model, data.x)
    if positions == "mean":
        pairs = {name: (a.mean(2), data.y) for name, a in said.items()}
    else:
        pairs = {
            name: (a.movedim(1, 2).flatten(0, 1), data.y.repeat_interleave(a.shape[2]))
            for name, a in said.items()
        }
    return check_alive({n: _information(_joint(v, y, bins)) for n, (v, y) in pairs.items()})


def _refuse(data, bins, positions):
    check_bins(bins, positions)
    if len(data.y.unique()) < 2:
        raise ValueError("give examples of at least two classes")


def less_within_the_classes(model, data, bins=10, positions="mean", batch_size=128):
    """H(T) - Σ_c p_c H(T | c), as the lesson writes it."""
    _refuse(data, bins, positions)

    def score(p):
        of_class = p.sum(1, keepdim=True)  # [units, 1, classes]
        within = in_nats((p / of_class.clamp(min=1e-12)).mT)
        return in_nats(p.sum(2)) - (of_class[:, 0] * within).sum(1)

    return _scores(model, data, bins, positions, score)


def by_sklearn(model, data, bins=10, positions="mean", batch_size=128):
    from sklearn.metrics import mutual_info_score

    _refuse(data, bins, positions)
    labels = labels_of(model, data, positions)
    scores = {}
    for name, v in values(model, data, positions).items():
        index = bin_numbers(v, bins, v.amin(0), v.amax(0))
        found = [mutual_info_score(unit.numpy(), labels[name].numpy()) for unit in index.T]
        scores[name] = torch.tensor(found)
    return check_alive(scores)


EXERCISE = Exercise(
    reference=mutual_information,
    title="What a unit tells about the class",
    minutes=15,
    cases=_cases,
    parts=PARTS,
    properties=(untouched(),),
    hints=(
        "Count in a table of bins by classes. Its sums along the two sides are the counts of the bins and "
        "of the classes.",
        "With p the table divided by its sum, the information is H(bins) + H(classes) - H(table). Or "
        "subtract from H(bins) the entropy within each class, weighted by the share of the class. The "
        "bins are the same for all classes.",
        "`histograms(model, data, bins, positions, batch_size)` of `pruneedu.pruning.histograms` counts: "
        "[units, bins, classes] for each layer. With `p = n / n[0].sum()`, the three entropies are `torch.special.entr(…)` of "
        "`p.sum(2)`, `p.sum(1)` and `p`, each summed up. Refuse with a ValueError labels of one class.",
    ),
    mistakes=(
        Mistake(
            entropy_alone,
            "This is the entropy of the unit: how much it varies. The variation within the classes is "
            "still in it: subtract it.",
        ),
        Mistake(
            entropy_within,
            "This is the entropy that is left within the classes, which is what a unit says about other "
            "things. The information is what has gone: H(T) minus this.",
        ),
        Mistake(
            the_wrong_way_round,
            "It is subtracted the wrong way round: each score is below 0, and the unit that knows most "
            "comes last.",
        ),
        Mistake(in_bits, "These are bits: the logarithm is to base 2. Nats take the natural one."),
        Mistake(
            joint_entropy,
            "This is the entropy of the pair of unit and class. It is large where both vary, also if they "
            "have nothing in common.",
        ),
        Mistake(
            classes_alike,
            "Each class has the same weight here. A class with few examples counts for few: weight its "
            "entropy by its share p_c.",
        ),
        Mistake(
            zero_times_log_zero,
            "0 · log 0 is 0 in the formula, and nan in floating point. Most pairs of a bin and a class "
            "never occur: leave them out, or use `torch.special.entr` or `xlogy`.",
        ),
        Mistake(
            bins_of_each_class,
            "Within a class it counts in other bins, from the least to the greatest of that class. Then "
            "the two entropies do not compare: the bins are those of the unit, for all classes.",
        ),
        Mistake(
            share_of_the_class,
            "It divides by the entropy of the class. That is the share of the class that is known, and "
            "not nats.",
        ),
        Mistake(
            one_range_for_the_layer,
            "All units of the layer share one range here, and a quiet one falls into one bin, where it "
            "knows nothing. Each unit has its own range.",
        ),
        Mistake(training_mode, TRAINING_MODE),
    ),
    alternatives=(less_within_the_classes, by_sklearn),
)
