"""Criteria that read only the weights: the network is scored without any data."""

from __future__ import annotations

import torch
from torch import nn

from pruneedu.pruning.masks import following_norm
from pruneedu.tensors import Scores, prunable, prunable_layers


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


def batchnorm_scale(model: nn.Module) -> Scores:
    """Score each unit by the scale that the batch normalisation right after its layer gives it.

    score[j] = |γ[j]|

    It says most after training with an L1 penalty on the γ, which sends unneeded units to 0.

    Args:
        model: the network to score; it is not changed.

    Returns:
        Unit-level scores of the layers that have such a normalisation. The others, as the last
        layer with its classes, are not in the dict, so they stay whole.

    Raises:
        ValueError: no layer has one.

    Source: Liu et al., "Learning efficient convolutional networks through network slimming", 2017.

    >>> from pruneedu.models import small_cnn
    >>> model = small_cnn((3,))
    >>> _ = model.bn1.weight.data.copy_(torch.tensor([0.5, -2.0, 0.0]))
    >>> batchnorm_scale(model)
    {'conv1': tensor([0.5000, 2.0000, 0.0000])}
    """
    norms = {name: following_norm(model, name) for name in prunable_layers(model)}
    scales = {name: norm.weight for name, norm in norms.items() if norm}
    scores = {name: γ.detach().abs() for name, γ in scales.items() if γ is not None}
    if not scores:
        raise ValueError(
            "no layer of this model is followed by a batch normalisation with a scale: "
            "score its units by per_unit(magnitude(model), model)"
        )
    return scores
