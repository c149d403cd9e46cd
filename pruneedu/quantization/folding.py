"""Batch normalisation folded into the layer before it: one thing less to quantize."""

from __future__ import annotations

import copy

import torch
from torch import nn

from pruneedu.pruning.masks import following_norm
from pruneedu.tensors import prunable_layers

_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)


def fold_batchnorm(model: nn.Module) -> nn.Module:
    """Return a copy in which each batch normalisation has become part of the layer before it.

    w ← w · γ / √(σ² + ε),  b ← (b - μ) · γ / √(σ² + ε) + β

    μ and σ² are the running mean and variance, so the copy computes what the model does in eval
    mode. "Before it" means registered right before it in the same parent, as in `apply_masks`.

    Args:
        model: the network; it is not changed.

    Returns:
        A new model in eval mode, with `nn.Identity` where the normalisations were, and a bias in
        the layers before them. A checkpoint of it does not load into the original class, so
        `architecture` is gone, if something was folded.

    Raises:
        ValueError: a normalisation that no layer comes right before, or one whose weight is
            computed, or that keeps no running statistics; it is named.

    Source: Jacob et al., "Quantization and training of neural networks for efficient
    integer-arithmetic-only inference", 2018, section 3.2.

    >>> from pruneedu.models import small_cnn
    >>> model = small_cnn((4,)).eval()
    >>> x, folded = torch.randn(2, 1, 8, 8), fold_batchnorm(model)
    >>> folded.bn1, torch.allclose(folded(x), model(x), atol=1e-5)
    (Identity(), True)
    """
    folded = copy.deepcopy(model).eval()
    layers = prunable_layers(folded)
    follows = {following_norm(folded, name): layer for name, layer in layers.items()}
    norms = {n: norm for n, norm in folded.named_modules() if isinstance(norm, _NORMS)}
    for name, norm in norms.items():
        if norm not in follows:
            raise ValueError(
                f"no Linear, Conv1d or Conv2d of its width comes right before {name!r}, so it "
                "cannot be folded: fold by hand, or quantize with the normalisation in floats"
            )
        if norm.running_mean is None:
            raise ValueError(f"{name!r} keeps no running statistics, so it differs each batch")
        if not isinstance(follows[norm].weight, nn.Parameter):
            raise ValueError(
                f"the weight of the layer before {name!r} is computed, so a folded one would not "
                "last: fold first, or remove its parametrization"
            )
        _fold_(follows[norm], norm)
        folded.set_submodule(name, nn.Identity().eval())
    if norms and hasattr(folded, "architecture"):
        del folded.architecture
    return folded


@torch.no_grad()
def _fold_(layer: nn.Module, norm: nn.Module) -> None:
    """Give a layer the weight and the bias with which it does the normalisation's work as well."""
    gain = (norm.running_var + norm.eps).rsqrt()
    gain = gain if norm.weight is None else gain * norm.weight
    bias = -norm.running_mean if layer.bias is None else layer.bias - norm.running_mean
    shift = 0 if norm.bias is None else norm.bias
    weight = layer.weight * gain.view(-1, *[1] * (layer.weight.ndim - 1))
    # New parameters: another layer may share the old ones, and has no part in this normalisation.
    learns = layer.weight.requires_grad
    layer.weight = nn.Parameter(weight, learns)
    layer.bias = nn.Parameter(bias * gain + shift, learns)
