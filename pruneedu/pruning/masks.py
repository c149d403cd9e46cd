"""Masks: set what was dropped to zero. Masks live outside the model, so its keys never change."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from pruneedu.tensors import Masks, check_masks


def apply_masks(model: nn.Module, masks: Masks) -> nn.Module:
    """Return a copy of the model in which everything that was dropped is zero.

    w ← w · m

    A unit that is dropped loses its row of the weight, its bias, and its part of the batch
    normalisation that directly follows its layer: the normalisation's bias would still speak for
    it. "Directly follows" means the next module registered in the same parent, `nn.Identity`
    skipped. A layer that is dropped loses all its units.

    Args:
        model: the network; it is not changed.
        masks: weight-level, unit-level or layer-level masks, True = keep. Layers not named stay.

    Returns:
        A new model with the same keys, dtypes, device, `requires_grad` and mode.

    Raises:
        TypeError, ValueError: masks that are not bool, mix levels, or do not fit the model.

    Source: Han et al., "Learning both weights and connections for efficient neural networks", 2015.

    >>> from pruneedu.models import mlp
    >>> model = mlp(2, 2)
    >>> sparse = apply_masks(model, {"fc1.weight": torch.tensor([[True, False], [False, False]])})
    >>> sparse.fc1.weight.count_nonzero().item(), model.fc1.weight.count_nonzero().item()
    (1, 4)
    """
    check_masks(masks, model)
    sparse = copy.deepcopy(model)
    _zero_dropped(sparse, masks)
    return sparse


def apply_masks_(model: nn.Module, masks: Masks) -> nn.Module:
    """Set everything that was dropped to zero in the model itself, and return it.

    w ← w · m

    Momentum revives pruned weights, so apply the masks again after each optimizer step: bind them
    with `partial`, as in `fit(..., after_step=partial(apply_masks_, masks=masks))`.

    Args, Raises: as in `apply_masks`.

    >>> from pruneedu.models import mlp
    >>> model = mlp(2, 2)
    >>> apply_masks_(model, {"fc1": torch.tensor([True, False])}).fc1.weight.count_nonzero().item()
    2
    """
    check_masks(masks, model)
    _zero_dropped(model, masks)
    return model


def _zero_dropped(model: nn.Module, masks: Masks) -> None:
    """Set to zero, in place, each entry that the masks drop.

    A product with the mask would leave -0 where a weight was negative, and NaN where it was
    infinite; filling leaves 0.
    """
    with torch.no_grad():
        for tensor, mask in masked_tensors(model, masks):
            tensor.masked_fill_(~mask, 0)


def masked_tensors(model: nn.Module, masks: Masks) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield each tensor that the masks reach, with its mask, which broadcasts to its shape."""
    for name, mask in masks.items():
        if mask.ndim > 1:  # Only a weight has more than one dimension.
            yield model.get_parameter(name), mask
            continue
        layer = model.get_submodule(name)
        reached = [layer.weight, layer.bias]
        if norm := following_norm(model, name):
            # Without weight and bias (affine=False), only the running mean is left to speak.
            reached += [norm.weight, norm.bias, norm.running_mean]
        for tensor in reached:
            if tensor is not None:
                yield tensor, mask.view(-1, *[1] * (tensor.ndim - 1))


def following_norm(model: nn.Module, name: str) -> nn.Module | None:
    """Return the batch normalisation registered right after a layer in its parent, or None.

    >>> from pruneedu.models import small_cnn
    >>> model = small_cnn()
    >>> following_norm(model, "conv1") is model.bn1, following_norm(model, "fc")
    (True, None)
    """
    layer = model.get_submodule(name)
    siblings = list(model.get_submodule(name.rpartition(".")[0]).children())
    after = siblings[siblings.index(layer) + 1 :] if name else []
    after = [module for module in after if not isinstance(module, nn.Identity)]
    if after and isinstance(after[0], (nn.BatchNorm1d, nn.BatchNorm2d)):
        return after[0] if after[0].num_features == len(layer.weight) else None
    return None
