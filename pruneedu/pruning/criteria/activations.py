"""Criteria that read activations: how often a unit speaks, how much a weight has to pass on."""

from __future__ import annotations

from torch import nn

from pruneedu.data import Split
from pruneedu.pruning.passes import as_scores, scoring, summed, unit_outputs
from pruneedu.tensors import Scores


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
