"""Criteria that read gradients: how hard the examples pull at each weight or unit."""

from __future__ import annotations

import torch
from torch import nn

from pruneedu.data import Split
from pruneedu.pruning.backward import Loss, example_sums
from pruneedu.pruning.passes import as_scores, scoring, summed
from pruneedu.tensors import Scores, prunable


def gradient(
    model: nn.Module,
    data: Split,
    loss: Loss = nn.functional.cross_entropy,
    batch_size: int = 128,
) -> Scores:
    """Score each weight by the squares of its gradient, one for each example.

    score = Σ_i (∂L_i / ∂w)²

    Each example's own gradient is squared before the sum: in a trained network the gradients
    themselves cancel, and so do those of a batch.

    Args:
        model: the network to score; it is not changed.
        data: x [N, …] and y [N].
        loss: a function of logits [B, classes] and y [B], the mean over its rows.
        batch_size: examples at a time; each needs a copy of the convolutions' weights in memory.

    Returns:
        Weight-level scores, each with the shape of its weight.

    Raises:
        ValueError: no examples or no labels, NaN or infinity, or a layer without any gradient.

    Source: Theis et al., "Faster gaze prediction with dense networks and Fisher pruning", 2018,
    without their factor w².

    >>> from pruneedu.models import mlp
    >>> model = mlp(2, 2)
    >>> _ = nn.init.zeros_(model.fc1.weight), nn.init.zeros_(model.fc1.bias)
    >>> gradient(model, Split(torch.tensor([[1.0, 2.0], [3.0, 0.0]]), torch.tensor([0, 1])))
    {'fc1.weight': tensor([[2.5000, 1.0000],
            [2.5000, 1.0000]])}
    """

    def squares(batch):
        return example_sums(model, batch, loss, torch.square)

    with scoring(model, data):
        return as_scores(summed(squares, data, batch_size), model)


def sensitivity(model: nn.Module, data: Split, batch_size: int = 128) -> Scores:
    """Score each weight by how much it moves the outputs, whatever the labels say.

    score = 1/(N · C) Σ_i Σ_c |∂y_c(x_i) / ∂w|

    The gradient of the loss vanishes where the network is right; that of the outputs does not. A
    weight of the last layer moves one output alone: all but one of its C terms are 0.

    Args:
        model: the network to score; it is not changed. Its outputs y are logits [N, C].
        data: x [N, …]; y is not read.
        batch_size: examples at a time; each needs a copy of the convolutions' weights in memory.

    Returns:
        Weight-level scores, each with the shape of its weight.

    Raises:
        ValueError: no examples, NaN or infinity, or a layer that moves no output.

    Sources: Mozer and Smolensky, "Skeletonization", 1989 (units); Tartaglione et al., "Learning
    sparse neural networks via sensitivity-driven regularization", 2018.

    >>> from pruneedu.models import mlp
    >>> sensitivity(mlp(2, 2), Split(torch.tensor([[1.0, -2.0], [3.0, 0.0]]), None))
    {'fc1.weight': tensor([[1.0000, 0.5000],
            [1.0000, 0.5000]])}
    """

    def sizes(batch):
        totals = {}
        for c in range(outputs):
            sums = example_sums(model, batch, lambda y, _, c=c: y[:, c].mean(), torch.abs)
            totals = {name: totals.get(name, 0) + value for name, value in sums.items()}
        return totals

    with scoring(model, data, labels=False):
        outputs = model(data.x[:1]).shape[1]
        totals = summed(sizes, data, batch_size)
        return as_scores({n: t / (outputs * len(data.x)) for n, t in totals.items()}, model)


def record_gradients_(model: nn.Module, totals: Scores) -> None:
    """Add the squares of the gradients that training has just used to the totals, in place.

    score ← score + (∂L / ∂w)², L the mean loss of the batch, with the penalty if there is one

    It sees the network all along its training, at no extra pass. Bind the totals with `partial`:
    `fit(model, train, epochs, after_step=partial(record_gradients_, totals=totals))`.

    Args:
        model: the network in training, after a backward pass.
        totals: weight-level scores, which start as an empty dict.

    Raises:
        ValueError: a weight without a gradient, or totals of another model.

    >>> layer, totals = nn.Linear(2, 1), {}
    >>> for x in [1.0, 2.0], [0.0, 3.0]:
    ...     layer.zero_grad()
    ...     layer(torch.tensor(x)).backward()
    ...     record_gradients_(layer, totals)
    >>> totals
    {'weight': tensor([[ 1., 13.]])}
    """
    weights = prunable(model)
    known = {name: total.shape for name, total in totals.items()}
    if totals and known != {name: weight.shape for name, weight in weights.items()}:
        raise ValueError("the totals are those of another model: start with an empty dict")
    for name, weight in weights.items():
        if weight.grad is None:
            raise ValueError(
                f"{name!r} has no gradient to record: train every layer, and record after backward"
            )
        totals[name] = totals.get(name, 0) + weight.grad**2
