"""The noun of the course: a plain dict from a name to a tensor, and the checks at its boundary.

`Scores` say how much each thing matters, `Masks` which things stay (`True` = keep). Both have three
levels. At weight level a key is a parameter's name, and its tensor has the parameter's shape. At
unit level a key is a module's name, with one entry per output channel or neuron. At layer level a
key is a module's name, with one 0-dimensional tensor.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from numbers import Real

import torch
from torch import Tensor, nn

Scores = dict[str, Tensor]
Masks = dict[str, Tensor]


def prunable_layers(model: nn.Module) -> dict[str, nn.Module]:
    """Return the layers whose weights can be pruned: each Linear, Conv1d and Conv2d, by name.

    >>> from pruneedu.models import mlp
    >>> list(prunable_layers(mlp(4, 3, 2)))
    ['fc1', 'fc2']
    """
    kinds = (nn.Linear, nn.Conv1d, nn.Conv2d)
    return {name: layer for name, layer in model.named_modules() if isinstance(layer, kinds)}


def prunable(model: nn.Module) -> dict[str, nn.Parameter]:
    """Return the weights that can be pruned, by parameter name, in module order.

    Biases and normalisation layers are left out: they are few, and they carry a lot.

    >>> from pruneedu.models import mlp
    >>> {name: tuple(weight.shape) for name, weight in prunable(mlp(4, 3, 2)).items()}
    {'fc1.weight': (3, 4), 'fc2.weight': (2, 3)}
    """
    return {weight_name(name): layer.weight for name, layer in prunable_layers(model).items()}


def weight_name(layer: str) -> str:
    """Return the parameter name of a layer's weight: "fc1" has "fc1.weight".

    >>> weight_name("fc1"), weight_name("")
    ('fc1.weight', 'weight')
    """
    return f"{layer}.weight" if layer else "weight"


def layer_name(weight: str) -> str:
    """Return the name of the layer that owns a weight: "fc1.weight" belongs to "fc1".

    >>> layer_name("fc1.weight")
    'fc1'
    """
    return weight.removesuffix("weight").removesuffix(".")


def check_fraction(value: float, name: str = "sparsity") -> None:
    """Raise unless `value` is a number in [0, 1].

    >>> check_fraction(1.2)
    Traceback (most recent call last):
    ValueError: sparsity is 1.2, but it is a fraction: give a number from 0 to 1
    """
    if not isinstance(value, Real) or isinstance(value, bool):
        raise TypeError(f"{name} is {value!r}, but it is a fraction: give a number from 0 to 1")
    if not 0 <= value <= 1:
        raise ValueError(f"{name} is {value}, but it is a fraction: give a number from 0 to 1")


def check_scores(scores: Scores) -> None:
    """Raise unless `scores` is a non-empty dict of finite numbers, all of one level.

    Raises:
        TypeError: not a dict, a value that is no tensor, or a tensor of truth values.
        ValueError: no entry at all, a NaN or an infinity (the layer is named), or mixed levels.

    >>> check_scores({"fc1.weight": torch.tensor([[1.0, float("nan")]])})
    Traceback (most recent call last):
    ValueError: the scores of 'fc1.weight' hold NaN or infinity: ranking needs finite numbers
    """
    _check_tensors(scores, "scores")
    for name, score in scores.items():
        if score.dtype == torch.bool or score.is_complex():
            raise TypeError(f"the scores of {name!r} are {score.dtype}: ranking needs real numbers")
        # NaN and infinity both reach the extremes, and finding those is one pass over the data.
        if score.numel() and not all(math.isfinite(end) for end in score.detach().aminmax()):
            raise ValueError(
                f"the scores of {name!r} hold NaN or infinity: ranking needs finite numbers"
            )
    _one_level({name: _guessed_level(name, score) for name, score in scores.items()}, "scores")


def check_masks(masks: Masks, model: nn.Module) -> None:
    """Raise unless `masks` fit `model`: its names, its shapes, truth values, all of one level.

    Raises:
        TypeError: not a dict, or a tensor that is not of dtype bool.
        ValueError: an unknown name, a shape that does not fit, or mixed levels.

    >>> from pruneedu.models import mlp
    >>> check_masks({"fc1.weight": torch.ones(2, 4, dtype=torch.bool)}, mlp(4, 3, 2))
    Traceback (most recent call last):
    ValueError: the mask of 'fc1.weight' has shape (2, 4), but this model needs (3, 4)
    """
    _check_tensors(masks, "masks")
    for name, mask in masks.items():
        if mask.dtype != torch.bool:
            raise TypeError(
                f"the mask of {name!r} is {mask.dtype}: a mask is torch.bool, True = keep"
            )
    kind = level(masks, model)
    for name, mask in masks.items():
        weight = model.get_submodule(layer_name(name) if kind == "weight" else name).weight
        expected = tuple(_shape(weight, kind))
        if tuple(mask.shape) != expected:
            raise ValueError(
                f"the mask of {name!r} has shape {tuple(mask.shape)}, "
                f"but this model needs {expected}"
            )
        if not isinstance(weight, nn.Parameter):
            raise ValueError(
                f"the weight of {name!r} is computed, so a mask would not last: "
                "remove its parametrization (or torch.nn.utils.prune) first"
            )


def level(tensors: Mapping[str, Tensor], model: nn.Module) -> str:
    """Return the level of scores or masks: "weight", "unit" or "layer".

    Raises:
        ValueError: a name that `model` does not have, or more than one level.

    >>> from pruneedu.models import mlp
    >>> level({"fc1": torch.ones(3)}, mlp(4, 3, 2))
    'unit'
    """
    layers = prunable_layers(model)
    weights = {weight_name(name) for name in layers}
    levels = {}
    for name, tensor in tensors.items():
        if name not in weights and name not in layers:
            known = ", ".join(map(repr, layers)) or "none"
            raise ValueError(
                f"this model has no layer or weight {name!r} that can be pruned: "
                f"its prunable layers are {known}"
            )
        levels[name] = "weight" if name in weights else "unit" if tensor.ndim else "layer"
    return _one_level(levels, "entries")


def per_unit(scores: Scores, model: nn.Module, reduce: Callable[..., Tensor] = torch.sum) -> Scores:
    """Aggregate weight-level scores to one score per output channel or neuron.

    unit[j] = reduce over all weights w of unit j of score[w]

    A sum grows with the weights per unit: units of layers with different fan-in do not compare.

    Args:
        scores: weight-level scores; unit j of a layer owns row j of its weight.
        model: the model that was scored.
        reduce: `reduce(tensor, dim=1)` turns [units, weights per unit] into [units].

    Returns:
        Unit-level scores: "fc1" -> [units]. The units of the last layer are the classes: take it
        out of the dict before selecting, or a class goes.

    Raises:
        ValueError: the scores are not at weight level, or `reduce` gave another shape.

    Of magnitudes, the sum is the L1 norm of each unit's weights, and `vector_norm` the L2 norm:

    >>> from pruneedu.models import mlp
    >>> model, magnitudes = mlp(2, 2), {"fc1.weight": torch.tensor([[3.0, 4.0], [6.0, 8.0]])}
    >>> per_unit(magnitudes, model)
    {'fc1': tensor([ 7., 14.])}
    >>> per_unit(magnitudes, model, reduce=torch.linalg.vector_norm)
    {'fc1': tensor([ 5., 10.])}
    """
    check_scores(scores)
    if (found := level(scores, model)) != "weight":
        raise ValueError(f"per_unit needs weight-level scores, but these are at {found} level")
    units = {layer_name(n): reduce(score.flatten(1), dim=1) for n, score in scores.items()}
    _check_reduced(units, model, "unit")
    return units


def per_layer(
    scores: Scores, model: nn.Module, reduce: Callable[..., Tensor] = torch.mean
) -> Scores:
    """Aggregate weight-level or unit-level scores to one score per layer.

    layer = reduce over all entries of the layer

    Args:
        scores: weight-level or unit-level scores.
        model: the model that was scored.
        reduce: `reduce(tensor, dim=0)` turns [entries] into one number. The mean is the default,
            because a sum would mostly say how large a layer is.

    Returns:
        Layer-level scores: "fc1" -> 0-dimensional tensor.

    Raises:
        ValueError: the scores are at layer level already, or `reduce` gave another shape.

    >>> from pruneedu.models import mlp
    >>> per_layer({"fc1.weight": torch.tensor([[1.0, 2.0], [3.0, 4.0]])}, mlp(2, 2))
    {'fc1': tensor(2.5000)}
    """
    check_scores(scores)
    if level(scores, model) == "layer":
        raise ValueError("per_layer needs weight-level or unit-level scores, not layer-level ones")
    layers = {
        name if name in prunable_layers(model) else layer_name(name): reduce(score.flatten(), dim=0)
        for name, score in scores.items()
    }
    _check_reduced(layers, model, "layer")
    return layers


def sparsity(masks: Masks) -> float:
    """Return the fraction of the entries that the masks drop.

    sparsity = dropped entries / entries

    >>> sparsity({"fc1.weight": torch.tensor([[True, False], [False, False]])})
    0.75
    """
    _check_tensors(masks, "masks")
    entries = sum(mask.numel() for mask in masks.values())
    return sum(int((~mask).sum()) for mask in masks.values()) / entries


def _check_tensors(tensors: Mapping[str, Tensor], what: str) -> None:
    """Raise unless `tensors` is a non-empty dict from names to tensors."""
    if not isinstance(tensors, dict):
        raise TypeError(f"{what} are a {type(tensors).__name__}: give a dict from name to tensor")
    for name, tensor in tensors.items():
        if not isinstance(tensor, Tensor):
            raise TypeError(f"the {what} of {name!r} are a {type(tensor).__name__}: give a tensor")
    if not any(tensor.numel() for tensor in tensors.values()):
        raise ValueError(f"{what} hold no entry: give at least one layer")


def _guessed_level(name: str, tensor: Tensor) -> str:
    """Return the level that a name and a shape suggest, where there is no model to ask."""
    if tensor.ndim > 1 or layer_name(name) != name:
        return "weight"
    return "unit" if tensor.ndim else "layer"


def _one_level(levels: Mapping[str, str], what: str) -> str:
    """Return the one level that all names share, or raise and name two that differ."""
    (first, kind), *others = levels.items()
    for name, other in others:
        if other != kind:
            raise ValueError(
                f"the {what} mix levels: {first!r} is at {kind} level, {name!r} at {other} level; "
                "give one level"
            )
    return kind


def _shape(weight: Tensor, kind: str) -> torch.Size:
    """Return the shape that scores or masks of a layer with this weight have at level `kind`."""
    return {"weight": weight.shape, "unit": weight.shape[:1], "layer": torch.Size()}[kind]


def _check_reduced(reduced: Scores, model: nn.Module, kind: str) -> None:
    """Raise unless `reduce` gave each layer the shape of its level."""
    for name, tensor in reduced.items():
        found = tuple(tensor.shape) if isinstance(tensor, Tensor) else type(tensor).__name__
        expected = tuple(_shape(model.get_submodule(name).weight, kind))
        if found != expected:
            raise ValueError(
                f"reduce gave {found} for {name!r}, but its {kind}-level scores are {expected}"
            )
