"""Exercise: how evenly does a unit use its range?"""

import math

import numpy as np
import torch

from pruneedu.course.exercises import Case, Exercise, Mistake
from pruneedu.course.judging import untouched
from pruneedu.course.lessons.lesson_04.shared import (
    LABELS_DEMANDED,
    TRAINING_MODE,
    binned_cases,
    check_alive,
    check_bins,
    counted,
    heard,
    in_nats,
    unlabelled_case,
    values,
)
from pruneedu.evaluation import eval_mode
from pruneedu.pruning.criteria import entropy
from pruneedu.pruning.histograms import histograms
from pruneedu.pruning.passes import scoring, tapped, unit_outputs
from pruneedu.tensors import prunable_layers

PARTS = {
    "fully connected layers": 3,
    "the mean over positions": 1,
    "each position": 1,
    "any batch size": 1,
    "bad input is refused": 1,
    "data without labels": 1,
}


def _cases(seed: int) -> list[Case]:
    *parts, unlabelled = PARTS
    return [*binned_cases(seed, tuple(parts)), unlabelled_case(seed, unlabelled)]


def _scores(numbers, bins, score):
    """Scores of values [values, units] by layer: `score` of the shares of the bins."""
    shares = {name: counted(v, bins) / len(v) for name, v in numbers.items()}
    return check_alive({name: score(p) for name, p in shares.items()})


def in_bits(model, data, bins=10, positions="mean", batch_size=128):
    return _scores(values(model, data, positions), bins, lambda p: in_nats(p) / math.log(2))


def zero_times_log_zero(model, data, bins=10, positions="mean", batch_size=128):
    return _scores(values(model, data, positions), bins, lambda p: -(p * p.log()).sum(1))


def divided_by_the_bins(model, data, bins=10, positions="mean", batch_size=128):
    numbers = values(model, data, positions)
    return {name: in_nats(counted(v, bins) / bins).float() for name, v in numbers.items()}


def densities(model, data, bins=10, positions="mean", batch_size=128):
    def score(numbers):
        heights = [np.histogram(unit.numpy(), bins, density=True)[0] for unit in numbers.T]
        return in_nats(torch.tensor(np.stack(heights)))

    return check_alive({name: score(v) for name, v in values(model, data, positions).items()})


def one_range_for_the_layer(model, data, bins=10, positions="mean", batch_size=128):
    return check_alive(
        {
            name: in_nats(counted(v, bins, v.min(), v.max()) / len(v))
            for name, v in values(model, data, positions).items()
        }
    )


def one_bin_too_few(model, data, bins=10, positions="mean", batch_size=128):
    return _scores(values(model, data, positions), max(bins - 1, 1), in_nats)


def _bucketed(model, data, points, positions):
    def score(unit):
        edges = torch.linspace(unit.min().item(), unit.max().item(), points)
        return in_nats(torch.bucketize(unit.contiguous(), edges).bincount() / len(unit))

    numbers = values(model, data, positions)
    return check_alive({n: torch.stack([score(u) for u in v.T]) for n, v in numbers.items()})


def least_value_alone(model, data, bins=10, positions="mean", batch_size=128):
    return _bucketed(model, data, bins + 1, positions)


def least_value_alone_and_one_bin_too_few(model, data, bins=10, positions="mean", batch_size=128):
    return _bucketed(model, data, bins, positions)


def bins_from_zero(model, data, bins=10, positions="mean", batch_size=128):
    numbers = values(model, data, positions)
    shares = {n: counted(v, bins, torch.zeros(v.shape[1])) / len(v) for n, v in numbers.items()}
    return check_alive({name: in_nats(p) for name, p in shares.items()})


def nothing_below_zero(model, data, bins=10, positions="mean", batch_size=128):
    def score(unit):
        greatest = max(unit.max().item(), 1e-12)
        counts = unit.histc(bins, 0, greatest)
        return in_nats(counts / counts.sum().clamp(min=1))

    numbers = values(model, data, positions)
    return check_alive({n: torch.stack([score(u) for u in v.T]) for n, v in numbers.items()})


def quantile_bins(model, data, bins=10, positions="mean", batch_size=128):
    def score(unit):
        edges = np.quantile(unit.numpy(), np.linspace(0, 1, bins + 1))
        return in_nats(torch.tensor(np.histogram(unit.numpy(), edges)[0]) / len(unit))

    numbers = values(model, data, positions)
    return check_alive({n: torch.stack([score(u) for u in v.T]) for n, v in numbers.items()})


def before_the_activation(model, data, bins=10, positions="mean", batch_size=128):
    with eval_mode(model), torch.no_grad(), tapped(prunable_layers(model)) as outputs:
        model(data.x)
    flat = {name: out.reshape(*out.shape[:2], -1) for name, out in outputs.items()}
    if positions == "mean":
        return _scores({name: a.mean(2) for name, a in flat.items()}, bins, in_nats)
    return _scores({name: a.movedim(1, 2).flatten(0, 1) for name, a in flat.items()}, bins, in_nats)


def sign_forgotten(model, data, bins=10, positions="mean", batch_size=128):
    return _scores(values(model, data, positions), bins, lambda p: -in_nats(p))


def mean_over_the_bins(model, data, bins=10, positions="mean", batch_size=128):
    return _scores(values(model, data, positions), bins, lambda p: in_nats(p) / bins)


def share_of_the_greatest(model, data, bins=10, positions="mean", batch_size=128):
    return _scores(values(model, data, positions), bins, lambda p: in_nats(p) / math.log(bins))


def bins_of_each_batch(model, data, bins=10, positions="mean", batch_size=128):
    rows = [values(model, data._replace(x=x), positions) for x in data.x.split(batch_size)]
    return check_alive(
        {
            name: torch.stack([in_nats(counted(r[name], bins) / len(r[name])) for r in rows]).mean(
                0
            )
            for name in rows[0]
        }
    )


def each_position_always(model, data, bins=10, positions="mean", batch_size=128):
    return _scores(values(model, data, "each"), bins, in_nats)


def mean_always(model, data, bins=10, positions="mean", batch_size=128):
    return _scores(values(model, data, "mean"), bins, in_nats)


def zeros_left_out(model, data, bins=10, positions="mean", batch_size=128):
    def score(numbers):
        kept = [unit[unit != 0][:, None] for unit in numbers.T]
        return torch.stack(
            [in_nats(counted(v, bins)[0] / len(v)) if len(v) else torch.zeros(()) for v in kept]
        )

    return check_alive({name: score(v) for name, v in values(model, data, positions).items()})


def training_mode(model, data, bins=10, positions="mean", batch_size=128):
    with torch.no_grad():
        said = unit_outputs(model, data.x)
    if positions == "mean":
        return _scores({name: a.mean(2) for name, a in said.items()}, bins, in_nats)
    return _scores({name: a.movedim(1, 2).flatten(0, 1) for name, a in said.items()}, bins, in_nats)


def labels_demanded(model, data, bins=10, positions="mean", batch_size=128):
    with scoring(model, data):
        return entropy(model, data, bins, positions, batch_size)


def all_at_once(model, data, bins=10, positions="mean", batch_size=128):
    check_bins(bins, positions)
    return _scores(values(model, data, positions), bins, in_nats)


def by_numpy(model, data, bins=10, positions="mean", batch_size=128):
    check_bins(bins, positions)
    scores = {}
    for name, a in heard(model, data).items():
        numbers = a.mean(2, keepdim=True) if positions == "mean" else a
        units = [np.histogram(unit.flatten().numpy(), bins)[0] for unit in numbers.unbind(1)]
        shares = [counts[counts > 0] / counts.sum() for counts in units]
        scores[name] = torch.tensor([-(p * np.log(p)).sum() for p in shares])
    return check_alive(scores)


LEAST_VALUE_ALONE = (
    "The least value has a bin to itself: `torch.bucketize` puts what is no greater than the first edge "
    "before that edge. Give it the edges between the bins only, "
    "`torch.linspace(low, high, bins + 1)[1:-1]`, with `right=True`."
)

EXERCISE = Exercise(
    reference=entropy,
    title="The entropy of a unit",
    minutes=15,
    cases=_cases,
    parts=PARTS,
    properties=(untouched(),),
    hints=(
        "For one unit: the numbers it gives, the least and the greatest of them, how many fall into "
        "each bin, the shares, and then the formula. What does an empty bin add?",
        "`unit_outputs(model, x)` gives [examples, units, positions] for each layer. Take the mean over "
        "the positions, or let each count. Find the range over *all* examples before you count: a batch "
        "has another one. `torch.special.entr(p)` is -p log p, and 0 where p is 0.",
        "`with scoring(model, data, labels=False):` get the numbers of one layer as [values, units]. For "
        "each unit `counts = unit.histc(bins)`, `p = counts / counts.sum()`, and "
        "`torch.special.entr(p).sum()`. Refuse with a ValueError fewer than 2 bins; "
        "`as_scores(scores, model)` refuses a layer in which every unit is constant.",
    ),
    mistakes=(
        Mistake(
            in_bits,
            "These are bits: the logarithm is to base 2. Nats take the natural one. It ranks alike, but "
            "does not compare with what others report.",
        ),
        Mistake(
            zero_times_log_zero,
            "0 · log 0 is 0 in the formula, and nan in floating point. One empty bin is enough to spoil "
            "the sum: leave out what is empty, or use `torch.special.entr`.",
        ),
        Mistake(
            divided_by_the_bins,
            "It divides the counts by the number of bins. The share of a bin is its count divided by the "
            "number of values: the shares have to add up to 1.",
        ),
        Mistake(
            densities,
            "With `density=True` these are heights, whose *area* is 1: the width of a bin is in them, and "
            "so the score depends on how loud the unit speaks. Divide the counts by their sum.",
        ),
        Mistake(
            one_range_for_the_layer,
            "All units of the layer share the range of the loudest here, and a quiet unit falls into one "
            "bin. Each unit has bins from its own least to its own greatest value.",
        ),
        Mistake(
            one_bin_too_few,
            "There is one bin too few: n points from the least to the greatest value bound n - 1 bins. Ask "
            "for `bins + 1` edges, or let `unit.histc(bins)` count.",
        ),
        Mistake(least_value_alone, LEAST_VALUE_ALONE),
        Mistake(least_value_alone_and_one_bin_too_few, LEAST_VALUE_ALONE),
        Mistake(
            bins_from_zero,
            "The bins begin at 0. Units without a ReLU also speak below 0, and others may never come near "
            "it: begin at the least value of each unit.",
        ),
        Mistake(
            nothing_below_zero,
            "The bins begin at 0, and what lies below is not counted at all. Units without a ReLU, such as "
            "the classes, speak there too: begin at the least value of each unit.",
        ),
        Mistake(
            quantile_bins,
            "The edges are quantiles, so the bins hold about equally many examples, whatever the unit does, "
            "and each unit comes near log(bins). The bins are to have equal widths.",
        ),
        Mistake(
            before_the_activation,
            "It counts what the layer puts out, before the activation. The next layer never hears that: "
            "the ReLU has made a heap of everything below 0.",
        ),
        Mistake(
            sign_forgotten,
            "The minus of the formula is missing, so each score is below 0 and the ranking is reversed: "
            "a logarithm of a share is negative.",
        ),
        Mistake(
            mean_over_the_bins,
            "This is the mean over the bins. The formula is a sum, and its weights p add up to 1 already.",
        ),
        Mistake(
            share_of_the_greatest,
            "It divides by log(bins), the greatest entropy. That is a share and not nats.",
        ),
        Mistake(
            bins_of_each_batch,
            "It fits the bins to each batch and takes the mean of the batches' entropies, so the batch "
            "size changes the score. Find the range of all examples first, then add up counts.",
        ),
        Mistake(
            each_position_always,
            'It counts each position of a convolution. With `positions="mean"` an example gives one '
            "number, the mean over its positions.",
        ),
        Mistake(
            mean_always,
            'It always takes the mean over the positions, also where `positions="each"` asks to count each.',
        ),
        Mistake(
            zeros_left_out,
            "It leaves the zeros out. They are what a ReLU says most often: a unit that is nearly always "
            "silent then looks as varied as one that always speaks.",
        ),
        Mistake(training_mode, TRAINING_MODE),
        Mistake(labels_demanded, LABELS_DEMANDED),
    ),
    alternatives=(all_at_once, by_numpy),
    closes=(histograms,),
)
