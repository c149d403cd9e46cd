"""The order of hidden units is free, so choose the one that is told in the fewest bytes."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

from torch import Tensor, nn

# All that may stand between two layers whose units change places; of the rest nothing is known.
# These treat every entry alike, or all entries along a dimension:
_ANYWHERE = {
    *(nn.Identity, nn.Dropout, nn.AlphaDropout, nn.Softmax, nn.LogSoftmax, nn.Softmin),
    *(nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.SELU, nn.CELU, nn.GELU, nn.SiLU, nn.Mish),
    *(nn.Sigmoid, nn.LogSigmoid, nn.Hardsigmoid, nn.Hardswish, nn.Tanh, nn.Hardtanh, nn.Tanhshrink),
    *(nn.Softplus, nn.Softsign, nn.Softshrink, nn.Hardshrink, nn.Threshold),
}
# These treat each unit by itself, where the units lie as they do after the layer:
_UNIT_BY_UNIT = {
    nn.Linear: {nn.BatchNorm1d},  # Of [N, units].
    nn.Conv1d: {
        *(nn.BatchNorm1d, nn.Dropout1d, nn.MaxPool1d, nn.AvgPool1d),
        *(nn.AdaptiveMaxPool1d, nn.AdaptiveAvgPool1d),
    },
    nn.Conv2d: {
        *(nn.BatchNorm2d, nn.Dropout2d, nn.MaxPool2d, nn.AvgPool2d),
        *(nn.AdaptiveMaxPool2d, nn.AdaptiveAvgPool2d),
    },
}


def sort_units(model: nn.Sequential) -> nn.Sequential:
    """Return the same function with the hidden units of each layer in order of their weights.

    Units with more weights that are not zero come first. A permutation of a layer's rows, undone
    in the columns of the next, changes no output; but dead units now stand together at the end,
    and neighbouring rows are about equally full, which a coder can tell.

    Where anything else stands between two layers than activations, batch normalisation, pooling of
    channels, dropout or `Flatten`, their order may matter: LayerNorm has a weight for each unit,
    and groups of channels stay together. There the units stay as they are.

    Args:
        model: layers one after the other, for batches [N, …]; it is not changed. Sort before
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
    if not _is_chain(model):
        raise TypeError(f"sort_units got a {type(model).__name__}: give an nn.Sequential")
    model = copy.deepcopy(model)
    chain = list(_chain(model))
    # A tensor that serves at two places would have to follow two orders.
    uses = Counter(id(t) for _, module in chain for t in _tensors(module))
    layers = [i for i, (_, module) in enumerate(chain) if _is_layer(module)]
    for first, second in pairwise(layers):
        reached = [module for _, module in chain[first : second + 1]]
        once = all(uses[id(tensor)] == 1 for module in reached for tensor in _tensors(module))
        if once and _is_free(*reached):
            _check_sizes(chain[first], chain[second])
            _sort(*reached)
    return model


def _is_chain(module: nn.Module) -> bool:
    return isinstance(module, nn.Sequential) and type(module).forward is nn.Sequential.forward


def _chain(model: nn.Module, name: str = "") -> Iterator[tuple[str, nn.Module]]:
    """Yield what runs one after the other, by name; one that runs twice comes twice."""
    if not _is_chain(model):
        yield name, model
        return
    for child, module in model._modules.items():  # `named_children` tells of each only once.
        yield from _chain(module, f"{name}.{child}" if name else child)


def _is_layer(module: nn.Module) -> bool:
    """Tell whether this is a layer with a weight of its own, not one computed from others."""
    return type(module) in _UNIT_BY_UNIT and isinstance(module.weight, nn.Parameter)


def _tensors(module: nn.Module) -> list[Tensor]:
    return list(module.state_dict(keep_vars=True).values())


def _is_free(layer: nn.Module, *after: nn.Module) -> bool:
    """Tell whether all up to the next layer, the last, treat each unit as they treat the others."""
    *between, following = after
    lie, units = type(layer), len(layer.weight)
    if any(getattr(module, "groups", 1) > 1 for module in (layer, following)):
        return False
    for module in between:
        if isinstance(module, nn.Flatten) and lie is not nn.Linear:
            if (module.start_dim, module.end_dim) != (1, -1):
                return False
            lie = nn.Linear  # Each channel's entries stand together, one channel after the other.
        elif (
            type(module) not in _ANYWHERE | _UNIT_BY_UNIT[lie]
            or getattr(module, "num_features", units) != units
        ):
            return False
    return lie is type(following)


def _check_sizes(layer: tuple[str, nn.Module], following: tuple[str, nn.Module]) -> None:
    """Raise unless a layer reads the units of the one before; flattened, many entries of each."""
    (name, before), (after, reader) = layer, following
    units, columns = len(before.weight), reader.weight.shape[1]
    if columns % units or (columns > units and type(before) is type(reader)):
        raise ValueError(f"the {columns} inputs of {after!r} are not the {units} of {name!r}")


def _sort(layer: nn.Module, *after: nn.Module) -> None:
    """Sort the units of a layer, in place, with all that is told of each up to the next layer."""
    *between, following = after
    full = layer.weight.detach().flatten(1).count_nonzero(1)
    order = full.argsort(descending=True, stable=True)
    for tensor in [tensor for module in (layer, *between) for tensor in _tensors(module)]:
        if tensor.ndim:
            tensor.data.copy_(tensor.data[order])
    by_unit = following.weight.data.unflatten(1, (len(order), -1))
    following.weight.data.copy_(by_unit[:, order].flatten(1, 2))
