"""Criteria that read only the weights: the network is scored without any data."""

from __future__ import annotations

import torch
from torch import nn

from pruneedu.tensors import Scores, prunable


def magnitude(model: nn.Module) -> Scores:
    """Score each weight by its size.

    score = |w|

    Args:
        model: the network to score; it is not changed.

    Returns:
        Weight-level scores, each with the shape of its weight.

    Source: Han et al., "Learning both weights and connections for efficient neural networks", 2015.

    >>> from pruneedu.models import mlp
    >>> model = mlp(2, 1)
    >>> _ = model.load_state_dict(
    ...     {"fc1.weight": torch.tensor([[-3.0, 2.0]]), "fc1.bias": torch.ones(1)}
    ... )
    >>> magnitude(model)
    {'fc1.weight': tensor([[3., 2.]])}
    """
    return {name: weight.detach().abs() for name, weight in prunable(model).items()}


def random(model: nn.Module, seed: int = 0) -> Scores:
    """Score each weight by chance: the control that any other criterion has to beat.

    score ~ U(0, 1)

    Args:
        model: the network to score; it is not changed, nor is PyTorch's global random state.
        seed: the same seed gives the same scores, on CPU and GPU.

    Returns:
        Weight-level scores, each with the shape of its weight.

    >>> from pruneedu.models import mlp
    >>> random(mlp(2, 1), seed=3)["fc1.weight"].shape
    torch.Size([1, 2])
    """
    generator = torch.Generator().manual_seed(seed)
    return {
        name: torch.rand(weight.shape, generator=generator).to(weight)
        for name, weight in prunable(model).items()
    }
