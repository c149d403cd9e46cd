"""The networks with as many units as are in use, and the way back to their full size."""

from collections import OrderedDict
from itertools import pairwise

import torch
from torch import nn

import pruneedu as pe
from pruneedu.storage import sort_units
from pruneedu.tensors import Masks, prunable_layers


def network(name: str, widths: tuple[int, ...]) -> nn.Sequential:
    """Build a network with other numbers of hidden units and the same names of layers.

    >>> list(network("lenet5", (8, 14, 50)).state_dict()) == list(pe.models.lenet5().state_dict())
    True
    """
    if name == "lenet_300_100":
        return pe.models.mlp(784, *widths, 10)
    first, second, hidden = widths
    layers = [
        ("conv1", nn.Conv2d(1, first, 5)),
        ("pool1", nn.MaxPool2d(2)),
        ("conv2", nn.Conv2d(first, second, 5)),
        ("pool2", nn.MaxPool2d(2)),
        *pe.models.mlp(16 * second, hidden, 10).named_children(),
    ]
    return nn.Sequential(OrderedDict(layers)).to(memory_format=torch.channels_last)


def resized(source: nn.Module, target: nn.Module) -> nn.Module:
    """Fill the target with the source's first units, and with zeros where it has no more.

    >>> small = network("lenet5", (2, 3, 4))
    >>> full, x = resized(small, pe.models.lenet5()), torch.rand(5, 1, 28, 28)
    >>> torch.allclose(full(x), small(x), atol=1e-6)
    True
    """
    state = target.state_dict()
    for name, values in source.state_dict().items():
        both = tuple(map(slice, map(min, values.shape, state[name].shape)))
        state[name].zero_()[both] = values[both]
    target.load_state_dict(state)
    return target


def without_dead_units(model: nn.Sequential, name: str) -> nn.Sequential:
    """Return a network of only the units that have a weight that is not zero."""
    *hidden, _ = prunable_layers(model).values()
    widths = tuple(int(layer.weight.flatten(1).any(1).sum()) for layer in hidden)
    return resized(sort_units(model), network(name, widths))


def connected(masks: Masks) -> Masks:
    """Drop the weights of units that nothing enters or leaves.

    Args:
        masks: of the layers of a chain, in order.

    >>> first, second = torch.tensor([[True], [False]]), torch.tensor([[False, True]])
    >>> connected({"fc1.weight": first, "fc2.weight": second})
    {'fc1.weight': tensor([[False],
            [False]]), 'fc2.weight': tensor([[False, False]])}
    """
    masks = dict(masks)
    for before, after in pairwise(masks):
        entered = masks[before].flatten(1).any(1)
        masks[after] = (_by_unit(masks[after], len(entered)) & entered[:, None]).view_as(
            masks[after]
        )
    for after, before in pairwise(reversed(list(masks))):
        left = _by_unit(masks[after], len(masks[before])).any(2).any(0)
        masks[before] = masks[before] & left.view(-1, *[1] * (masks[before].ndim - 1))
    return masks


def _by_unit(mask: torch.Tensor, units: int) -> torch.Tensor:
    """Return a mask as [rows, units of the layer before, weights for each]."""
    return mask.reshape(len(mask), units, -1)
