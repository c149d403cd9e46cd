"""The rewrite: thinner layers in the place of a layer. The new network trains on like any other."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from pruneedu.lowrank.factors import Method, Rank, truncated_svd
from pruneedu.tensors import prunable_layers


def factorize(
    model: nn.Module, ranks: Mapping[str, Rank], conv: Method = truncated_svd
) -> nn.Module:
    """Return a copy of the model with thinner layers in the place of those that `ranks` names.

    ``y = W x + b ≈ W₂ (W₁ x) + b``

    Args:
        model: the network; it is not changed.
        ranks: layer name -> rank; a pair for `tucker2`. Layers not named stay.
        conv: the method for convolutions: `truncated_svd`, `spatial_svd` or `tucker2`. Linear
            layers always take `truncated_svd`.

    Returns:
        A new model. "fc1" is now a chain with the weights "fc1.0.weight" and "fc1.1.weight"; the
        last of a chain has the bias. `model.architecture` is gone: `build` makes another network.

    Raises:
        ValueError: an unknown layer, one with groups or with a weight that serves at another place
            too, a weight that is not finite, a rank that the layer cannot have or that saves
            nothing; the error names the break-even rank. TypeError: a rank that is no whole number.

    >>> from pruneedu.models import mlp
    >>> factorize(mlp(784, 300, 10), {"fc1": 20}).fc1
    Sequential(
      (0): Linear(in_features=784, out_features=20, bias=False)
      (1): Linear(in_features=20, out_features=300, bias=True)
    )
    """
    layers, thin = prunable_layers(model), copy.deepcopy(model)
    vars(thin).pop("architecture", None)
    for name, rank in ranks.items():
        if name not in layers:
            known = ", ".join(map(repr, layers)) or "none"
            raise ValueError(f"this model has no layer {name!r}: its layers are {known}")
        if why := obstacle(model, layers[name]):
            raise ValueError(f"{name!r} {why}: leave it out")
        factors = _factors(layers[name], name, rank, conv)
        if not name:
            return chain(layers[name], factors)
        parent, _, child = name.rpartition(".")
        setattr(thin.get_submodule(parent), child, chain(layers[name], factors))
    return thin


def method_for(layer: nn.Module, conv: Method) -> Method:
    """Return the method that splits this layer: `conv` for convolutions only.

    >>> method_for(nn.Linear(2, 2), conv=print) is truncated_svd
    True
    """
    return truncated_svd if isinstance(layer, nn.Linear) else conv


def obstacle(model: nn.Module, layer: nn.Module) -> str:
    """Return why no rank of this layer saves anything; an empty text where one may.

    >>> obstacle(nn.Linear(2, 2), nn.Conv2d(4, 4, 3, groups=2))
    'has 2 groups, which no rank joins'
    """
    if getattr(layer, "groups", 1) > 1:
        return f"has {layer.groups} groups, which no rank joins"
    every = model.named_parameters(remove_duplicate=False)
    places = [repr(name) for name, parameter in every if parameter is layer.weight]
    return f"has a weight that stays, as it is {' and '.join(places)}" if len(places) > 1 else ""


def chain(layer: nn.Module, factors: Sequence[Tensor]) -> nn.Sequential:
    """Return layers with these weights, one after the other, that move like `layer` together.

    Args:
        layer: a Linear, Conv1d or Conv2d without groups; its bias goes to the last of the chain.
        factors: the weight of each layer; each filter is as long as that of `layer`, or 1.

    >>> from pruneedu.lowrank import spatial_svd
    >>> factors = spatial_svd(nn.Conv2d(4, 8, 3).weight, rank=2)
    >>> chain(nn.Conv2d(4, 8, 3, stride=2), factors)
    Sequential(
      (0): Conv2d(4, 2, kernel_size=(3, 1), stride=(2, 1), bias=False)
      (1): Conv2d(2, 8, kernel_size=(1, 3), stride=(1, 2))
    )
    """
    kind, thin = {2: nn.Linear, 3: nn.Conv1d, 4: nn.Conv2d}[layer.weight.ndim], []
    for i, factor in enumerate(factors):
        bias = layer.bias if i == len(factors) - 1 else None
        options = {"bias": bias is not None, "device": factor.device, "dtype": factor.dtype}
        if kind is not nn.Linear:
            options |= _convolution(layer, factors, i)
        # Random initial weights would be drawn for nothing, and move the random generator.
        new = nn.utils.skip_init(kind, factor.shape[1], factor.shape[0], **options)
        # Factors may be slices of larger matrices, which would stay in memory and in files.
        weight = factor.detach().clone(memory_format=torch.contiguous_format)
        new.weight = nn.Parameter(weight, requires_grad=layer.weight.requires_grad)
        if bias is not None:
            new.bias = nn.Parameter(bias.detach().clone(), requires_grad=bias.requires_grad)
        thin.append(new)
    return nn.Sequential(*thin).train(layer.training)


def _factors(layer: nn.Module, name: str, rank: Rank, conv: Method) -> Sequence[Tensor]:
    """Return the factors of a layer's weight, or raise where they hold no fewer numbers."""
    weight = layer.weight.detach()
    try:
        factors = method_for(layer, conv)(weight, rank)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{name!r} does not factorize: {error}") from error
    needed = sum(factor.numel() for factor in factors)
    if needed >= weight.numel():
        lower = "lower ranks"
        if isinstance(rank, int):  # Then the factors of rank r hold r times as many as those of 1.
            most = weight.numel() * rank / needed
            lower = f"a rank below the break-even rank {round(most, 2):g}"
        raise ValueError(
            f"rank {rank} of {name!r} saves nothing: {weight.numel():,} weights would become "
            f"{needed:,}; give {lower}, or leave the layer out"
        )
    return factors


def _convolution(layer: nn.Module, factors: Sequence[Tensor], i: int) -> dict:
    """Return the settings of factor i: on each axis, the first that is as long as the filter moves.

    The others are of size 1 on that axis, so neither steps nor edges matter to them.
    """
    axes = range(len(layer.kernel_size))
    sizes = [tuple(factor.shape[2:]) for factor in factors]
    first = [next(j for j, s in enumerate(sizes) if s[a] == layer.kernel_size[a]) for a in axes]

    def where_it_moves(setting, otherwise):
        return tuple(setting[a] if first[a] == i else otherwise for a in axes)

    padding = layer.padding
    return {
        "kernel_size": sizes[i],
        "stride": where_it_moves(layer.stride, 1),
        "padding": padding if isinstance(padding, str) else where_it_moves(padding, 0),
        "dilation": where_it_moves(layer.dilation, 1),
        "padding_mode": layer.padding_mode,
    }
