"""Criteria for a network that has not been trained: which connections can training do without?"""

from __future__ import annotations

from torch import nn

from pruneedu.data import Split
from pruneedu.pruning.backward import Loss
from pruneedu.pruning.criteria.loss_change import taylor
from pruneedu.tensors import Scores


def snip(
    model: nn.Module,
    data: Split,
    loss: Loss = nn.functional.cross_entropy,
    batch_size: int = 128,
) -> Scores:
    """Score each connection by its share of what the loss would change without it.

    score = |w · ∂L/∂w| / Σ |w · ∂L/∂w|, the sum over all weights of the network

    It is `taylor` of a network with its first weights, on a few examples of each class.

    Args, Raises: as in `taylor`.

    Returns:
        Weight-level scores; all of them sum to 1.

    Source: Lee et al., "SNIP: single-shot network pruning based on connection sensitivity", 2019.

    >>> from pruneedu.models import mlp
    >>> model = mlp(2, 2)
    >>> _ = nn.init.ones_(model.fc1.weight), nn.init.zeros_(model.fc1.bias)
    >>> snip(model, Split(torch.tensor([[1.0, 3.0]]), torch.tensor([0])))
    {'fc1.weight': tensor([[0.1250, 0.3750],
            [0.1250, 0.3750]])}
    """
    scores = taylor(model, data, loss, batch_size)
    total = sum(score.sum() for score in scores.values())
    return {name: score / total for name, score in scores.items()}
