"""Criteria that expand the loss: how much would it change without this weight or unit?"""

from __future__ import annotations

from torch import nn

from pruneedu.data import Split
from pruneedu.pruning.backward import Loss, mean_gradients
from pruneedu.pruning.passes import as_scores, scoring
from pruneedu.tensors import Scores, prunable


def taylor(
    model: nn.Module,
    data: Split,
    loss: Loss = nn.functional.cross_entropy,
    batch_size: int = 128,
) -> Scores:
    """Score each weight by the change of the mean loss without it, to first order.

    score = |w · ∂L/∂w|, L = 1/N Σ_i L_i

    Args:
        model: the network to score; it is not changed.
        data: x [N, …] and y [N].
        loss: a function of logits [B, classes] and y [B], the mean over its rows.
        batch_size: examples at a time.

    Returns:
        Weight-level scores, each with the shape of its weight.

    Raises:
        ValueError: no examples or no labels, NaN or infinity, or a layer without any gradient.

    Source: Molchanov et al., "Importance estimation for neural network pruning", 2019; their score
    is the square, which ranks weights alike.

    >>> import torch
    >>> from pruneedu.models import mlp
    >>> model = mlp(2, 2)
    >>> _ = nn.init.ones_(model.fc1.weight), nn.init.zeros_(model.fc1.bias)
    >>> taylor(model, Split(torch.tensor([[1.0, 2.0]]), torch.tensor([0])))
    {'fc1.weight': tensor([[0.5000, 1.0000],
            [0.5000, 1.0000]])}
    """
    with scoring(model, data):
        gradients = mean_gradients(model, data, loss, batch_size)
        scores = {name: (w * gradients[name]).abs() for name, w in prunable(model).items()}
        return as_scores(scores, model)
