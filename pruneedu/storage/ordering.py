"""The order of hidden units is free, so choose the one that is told in the fewest bytes."""

from __future__ import annotations

import copy
from itertools import pairwise

from torch import Tensor, nn

from pruneedu.pruning.masks import following_norm
from pruneedu.tensors import prunable_layers


def sort_units(model: nn.Sequential) -> nn.Sequential:
    """Return the same function with the hidden units of each layer in order of their weights.

    Units with more weights that are not zero come first. A permutation of a layer's rows, undone
    in the columns of the next, changes no output; but dead units now stand together at the end,
    and neighbouring rows are about equally full, which a coder can tell.

    Args:
        model: layers one after the other, without skip connections; it is not changed. Sort before
            quantizing, so that integers and network agree.

    Returns:
        A new model with the same outputs, up to the order of summation.

    Raises:
        TypeError: a model that is not `nn.Sequential`, where the order of layers is not known.
        ValueError: a layer whose inputs are not the units of the one before.

    >>> import torch
    >>> from pruneedu.models import mlp
    >>> model = mlp(2, 3, 1)
    >>> model.fc1.weight.data = torch.tensor([[0.0, 0.0], [1.0, 0.0], [2.0, 3.0]])
    >>> sort_units(model).fc1.weight.tolist()
    [[2.0, 3.0], [1.0, 0.0], [0.0, 0.0]]
    """
    if not isinstance(model, nn.Sequential):
        raise TypeError(f"sort_units got a {type(model).__name__}: give an nn.Sequential")
    model = copy.deepcopy(model)
    layers = prunable_layers(model)
    for (name, layer), (after, following) in pairwise(layers.items()):
        units, columns = len(layer.weight), following.weight.shape[1]
        if columns % units or getattr(following, "groups", 1) > 1:
            raise ValueError(f"the {columns} inputs of {after!r} are not the {units} of {name!r}")
        full = layer.weight.detach().flatten(1).count_nonzero(1)
        order = full.argsort(descending=True, stable=True)
        norm = following_norm(model, name)
        for tensor in [layer.weight, layer.bias, *(norm.state_dict().values() if norm else ())]:
            if tensor is not None and tensor.ndim:
                tensor.data.copy_(tensor.data[order])
        following.weight.data.copy_(_by_unit(following.weight.data, units, order))
    return model


def _by_unit(weight: Tensor, units: int, order: Tensor) -> Tensor:
    """Return a weight whose columns follow the new order of the units that they come from."""
    return weight.unflatten(1, (units, -1))[:, order].flatten(1, 2)
