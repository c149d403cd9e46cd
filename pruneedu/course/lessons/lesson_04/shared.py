"""What the exercises of lesson 04 share: networks with random examples, and what their units say."""

import torch
from torch import Tensor, nn

from pruneedu.course.exercises import Case
from pruneedu.course.lessons.making import generator, randomised
from pruneedu.data import Split
from pruneedu.evaluation import eval_mode
from pruneedu.models import mlp, mnist1d_cnn, small_cnn
from pruneedu.pruning.passes import unit_outputs

TRAINING_MODE = (
    "The network is in training mode, in which batch normalisation uses the mean and the spread of "
    "the batch at hand: what a unit says of an example depends on the examples beside it, and the "
    "running statistics change as well. Use `scoring(model, data)` or `eval_mode(model)`."
)


LABELS_DEMANDED = (
    "It refuses data without labels. No label is read here: `scoring(model, data, labels=False)` does "
    "not ask for any."
)


def random_examples(
    rng: torch.Generator, model: nn.Module, examples: int, *shape: int, classes: int = 3
) -> tuple[nn.Module, Split]:
    """Return the model with random parameters, and random examples with random labels."""
    x = torch.randn(examples, *shape, generator=rng)
    y = torch.randint(classes, (examples,), generator=rng)
    return randomised(model, rng), Split(x, y)


def unlabelled_case(seed: int, part: str) -> Case:
    """A case for a criterion that reads no labels: there are none."""
    model, data = random_examples(generator(seed + 1), mlp(4, 5, 3), 12, 4)
    return Case(part, (model, data._replace(y=None)), note="y is None")


def silenced(model: nn.Module, data: Split) -> tuple[nn.Module, Split]:
    """Return the model with a first layer in which every unit is dead."""
    with torch.no_grad():
        model.fc1.weight.zero_()
        model.fc1.bias.fill_(-1.0)
    return model, data


def unit_cases(seed: int, parts: tuple[str, str, str, str], count: int = 20) -> list[Case]:
    """Networks in training mode: dense, convolutional, in small batches, and with no unit alive.

    Args:
        seed: of the numbers.
        parts: the names of these four groups.
        count: examples of most cases.
    """
    rng = generator(seed)
    dense, conv, batches, refused = parts
    made = [
        (dense, mlp(4, 5, 3), (4,), "", {}),
        (dense, mlp(3, 6, 3), (3,), "", {}),
        (dense, mlp(3, 5, 4, 3), (3,), "there are two hidden layers", {}),
        (conv, small_cnn((3, 4), 3), (1, 6, 6), "the network has batch normalisation", {}),
        (conv, mnist1d_cnn(3, 3), (40,), "the network has convolutions", {}),
        (batches, mlp(4, 6, 3), (4,), "the last batch is smaller", {"batch_size": 7}),
        (batches, mlp(5, 5, 3), (5,), "there are three batches", {"batch_size": -(-count // 3)}),
    ]
    return [
        *(
            Case(part, random_examples(rng, model, count, *shape), options, note)
            for part, model, shape, note, options in made
        ),
        Case(
            refused,
            silenced(*random_examples(rng, mlp(4, 3, 3), count, 4)),
            note="every unit of fc1 is dead",
        ),
    ]


def binned_cases(seed: int, parts: tuple[str, str, str, str, str]) -> list[Case]:
    """Cases for a criterion that counts in bins; labels are not equally frequent."""
    rng = generator(seed)
    dense, mean, each, batches, refused = parts
    cnn, waves = small_cnn((3, 4), 3), mnist1d_cnn(3, 3)
    bn, conv = "the network has batch normalisation", "the network has convolutions"
    made = [
        (dense, mlp(4, 5, 3), (4,), "", {"bins": 6}),
        (dense, mlp(3, 6, 3), (3,), "", {"bins": 4}),
        (dense, mlp(3, 5, 4, 3), (3,), "bins are not given", {}),
        (dense, mlp(4, 5, 3), (4,), "there are more bins than examples", {"bins": 50}),
        (mean, cnn, (1, 6, 6), bn, {"bins": 5}),
        (mean, waves, (40,), conv, {"bins": 7}),
        (each, cnn, (1, 6, 6), bn, {"bins": 5, "positions": "each"}),
        (each, waves, (40,), conv, {"bins": 7, "positions": "each"}),
        (batches, mlp(4, 6, 3), (4,), "the last batch is smaller", {"bins": 5, "batch_size": 9}),
        (batches, mlp(5, 5, 3), (5,), "there are three batches", {"bins": 5, "batch_size": 10}),
    ]
    cases = []
    for part, model, shape, note, options in made:
        model, data = random_examples(rng, model, 30, *shape)
        rare = torch.rand(30, generator=rng) < 0.4
        cases.append(
            Case(part, (model, data._replace(y=data.y.masked_fill(rare, 0))), options, note)
        )
    dead = silenced(*random_examples(rng, mlp(4, 3, 3), 30, 4))
    few_bins = random_examples(rng, mlp(4, 3, 3), 30, 4)
    return [
        *cases,
        Case(refused, dead, note="every unit of fc1 is dead"),
        Case(refused, few_bins, {"bins": 1}, note="there is one bin"),
    ]


def heard(model: nn.Module, data: Split) -> dict[str, Tensor]:
    """Return what each unit says of each example: layer -> [N, units, positions]."""
    with eval_mode(model), torch.no_grad():
        return unit_outputs(model, data.x)


def check_alive(scores: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the scores, or raise as the library does where a layer scores 0 throughout."""
    for name, score in scores.items():
        if not score.any():
            raise ValueError(f"every unit of {name} is dead")
    return {name: score.float() for name, score in scores.items()}


def values(model: nn.Module, data: Split, positions: str = "mean") -> dict[str, Tensor]:
    """Return the numbers to be counted: layer -> [values, units]."""
    said = heard(model, data)
    if positions == "mean":
        return {name: a.mean(2) for name, a in said.items()}
    return {name: a.movedim(1, 2).flatten(0, 1) for name, a in said.items()}


def labels_of(model: nn.Module, data: Split, positions: str = "mean") -> dict[str, Tensor]:
    """Return the class of each number of `values`."""
    said = heard(model, data)
    each = 1 if positions == "mean" else None
    return {n: data.y.repeat_interleave(each or a.shape[2]) for n, a in said.items()}


def bin_numbers(numbers: Tensor, bins: int, low: Tensor, high: Tensor) -> Tensor:
    """Return the bin of each number, the greatest in the last one."""
    width = (high - low).clamp(min=1e-12) / bins
    return ((numbers - low) / width).long().clamp(0, bins - 1)


def counted(numbers: Tensor, bins: int, low: Tensor | None = None, high: Tensor | None = None):
    """Return how many of the numbers [values, units] fall into each bin: [units, bins]."""
    low = numbers.amin(0) if low is None else low
    high = numbers.amax(0) if high is None else high
    index = bin_numbers(numbers, bins, low, high)
    return torch.stack([torch.bincount(unit, minlength=bins) for unit in index.T]).double()


def in_nats(shares: Tensor) -> Tensor:
    """Return the entropy of the last dimension."""
    return -torch.special.xlogy(shares, shares).sum(-1)


def check_bins(bins: int, positions: str = "mean") -> None:
    """Refuse what the library refuses."""
    if bins < 2 or positions not in ("mean", "each"):
        raise ValueError("give at least two bins, and positions 'mean' or 'each'")
