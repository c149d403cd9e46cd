"""Criteria that read activations: how often a unit speaks, how much a weight has to pass on."""

from __future__ import annotations

from torch import Tensor, nn
from torch.func import functional_call, grad

from pruneedu.data import Split
from pruneedu.pruning.passes import as_scores, scoring, summed, tapped, unit_outputs
from pruneedu.tensors import Scores, prunable, prunable_layers, weight_name


def apoz(model: nn.Module, data: Split, batch_size: int = 128) -> Scores:
    """Score each unit by how often it is not zero: 1 minus its average percentage of zeros.

    score = 1 − APoZ = 1 − 1/(N·P) Σ_i Σ_p [a[i, p] = 0], a the unit's output after the activation

    A unit with an APoZ of 1 is dead. It says most after a ReLU; without an activation that makes
    zeros, every score is 1.

    Args:
        model: the network to score; it is not changed.
        data: x [N, …]; y is not read. P is the number of positions of a convolution.
        batch_size: examples at a time.

    Returns:
        Unit-level scores in [0, 1].

    Raises:
        ValueError: no examples, NaN or infinity, or a layer in which every unit is dead.

    Source: Hu et al., "Network trimming: a data-driven neuron pruning approach", 2016.

    >>> import torch
    >>> from pruneedu.models import mlp
    >>> model = mlp(1, 2, 2)
    >>> _ = (
    ...     nn.init.zeros_(model.fc1.bias),
    ...     model.fc1.weight.data.copy_(torch.tensor([[1.0], [-1.0]])),
    ... )
    >>> apoz(model, Split(torch.tensor([[1.0], [2.0], [3.0], [-1.0]]), None))["fc1"]
    tensor([0.7500, 0.2500])
    """

    def active(batch):
        outputs = unit_outputs(model, batch.x)
        return {name: (a != 0).double().mean(2).sum(0) for name, a in outputs.items()}

    with scoring(model, data, labels=False):
        totals = summed(active, data, batch_size)
        return as_scores({name: total / len(data.x) for name, total in totals.items()}, model)


def wanda(model: nn.Module, data: Split, batch_size: int = 128) -> Scores:
    """Score each weight by its size times that of all inputs it meets: weights and activations.

    score = |w| · ‖x‖₂, ‖x‖₂ = √(Σ_i Σ_p x[i, p]²), x[i, p] the input that w meets at position p

    In a Linear layer all weights of a column meet the same input. The weight of a convolution meets
    its own entry of each patch, which is 0 in the padding.

    Args:
        model: the network to score; it is not changed.
        data: x [N, …]; y is not read.
        batch_size: examples at a time.

    Returns:
        Weight-level scores, each with the shape of its weight. The paper ranks them within each
        unit, so that all units keep the same share; `keep_top` ranks within layers, or globally.

    Raises:
        ValueError: no examples, NaN or infinity, or a layer that no example reaches.

    Source: Sun et al., "A simple and effective pruning approach for large language models", 2024.

    >>> import torch
    >>> from pruneedu.models import mlp
    >>> model = mlp(2, 1)
    >>> _ = model.fc1.weight.data.copy_(torch.tensor([[1.0, -2.0]]))
    >>> wanda(model, Split(torch.tensor([[3.0, 0.0], [4.0, 1.0]]), None))
    {'fc1.weight': tensor([[5., 2.]])}
    """
    layers = prunable_layers(model)

    def squares(batch):
        with tapped(layers, "input") as inputs:
            model(batch.x)
        return {weight_name(n): _met(layer, inputs[n] ** 2) for n, layer in layers.items()}

    with scoring(model, data, labels=False):
        totals = summed(squares, data, batch_size)
        scores = {n: w.abs() * totals[n].sqrt() for n, w in prunable(model).items()}
        return as_scores(scores, model)


def _met(layer: nn.Module, x: Tensor) -> Tensor:
    """Return, for each weight of a layer, the sum of the inputs that it meets.

    The sum of a layer's outputs is Σ w · (sum of what w meets), so its gradient holds these sums.

    >>> import torch
    >>> _met(nn.Conv1d(1, 1, 2, bias=False), torch.tensor([[[1.0, 2.0, 4.0]]]))
    tensor([[[3., 6.]]])
    """

    def total(weight):
        return functional_call(layer, {"weight": weight}, (x,)).sum()

    return grad(total)(layer.weight.detach())
