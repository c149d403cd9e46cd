"""Inputs of a network: score them by the weights that read them, and drop them by their columns."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from pruneedu.tensors import Masks, Scores, check_scores, prunable_layers, weight_name


def per_input(
    scores: Scores, model: nn.Module, reduce: Callable[..., Tensor] = torch.sum
) -> Scores:
    """Aggregate weight-level scores to one score per input of the network.

    input[j] = reduce over all weights w that read input j of score[w]

    Args:
        scores: weight-level scores; input j owns column j of the first layer's weight.
        model: the model that was scored; its first prunable layer is a Linear layer.
        reduce: `reduce(tensor, dim=0)` turns [units, inputs] into [inputs].

    Returns:
        {"input": [inputs]}, for `keep_top` and then `input_masks`.

    Raises:
        ValueError: the first layer is no Linear layer, its scores are missing or do not fit, or
            `reduce` gave another shape.

    >>> from pruneedu.models import mlp
    >>> per_input({"fc1.weight": torch.tensor([[3.0, 4.0], [6.0, 8.0]])}, mlp(2, 2))
    {'input': tensor([ 9., 12.])}
    """
    check_scores(scores)
    name, weight = _first_weight(model)
    if name not in scores or scores[name].shape != weight.shape:
        found = ", ".join(f"{n!r} {tuple(score.shape)}" for n, score in scores.items())
        raise ValueError(
            f"{name!r} {tuple(weight.shape)} reads the inputs of this model, but the scores hold "
            f"{found}: give weight-level scores of that layer"
        )
    reduced = reduce(scores[name], dim=0)
    _check_length(reduced, weight, "result of reduce")
    return {"input": reduced}


def input_masks(masks: Masks, model: nn.Module) -> Masks:
    """Turn a mask of inputs into one of weights: what is dropped loses its column.

    mask[u, j] = keep[j]

    Args:
        masks: {"input": [inputs]}, True = keep.
        model: the model to prune; its first prunable layer is a Linear layer.

    Returns:
        Weight-level masks of the first layer, for `apply_masks`.

    Raises:
        ValueError: the first layer is no Linear layer, another name, or another number of inputs.

    >>> from pruneedu.models import mlp
    >>> input_masks({"input": torch.tensor([True, False])}, mlp(2, 2))
    {'fc1.weight': tensor([[ True, False],
            [ True, False]])}
    """
    name, weight = _first_weight(model)
    if list(masks) != ["input"]:
        raise ValueError(f"the masks name {', '.join(map(repr, masks))}: give {{'input': mask}}")
    keep = masks["input"]
    _check_length(keep, weight, "mask")
    return {name: keep.expand_as(weight).clone()}


def _first_weight(model: nn.Module) -> tuple[str, nn.Parameter]:
    """Return the name and the weight of the layer that reads the inputs.

    >>> from pruneedu.models import mlp
    >>> _first_weight(mlp(2, 3, 4))[0]
    'fc1.weight'
    """
    name, layer = next(iter(prunable_layers(model).items()), ("", None))
    if not isinstance(layer, nn.Linear):
        raise ValueError(
            f"the first layer, {name!r}, is {type(layer).__name__}: only in a Linear layer does "
            "each input have a column of its own"
        )
    return weight_name(name), layer.weight


def _check_length(found: Tensor, weight: Tensor, what: str) -> None:
    """Raise unless there is one entry for each input."""
    if tuple(found.shape) != weight.shape[1:]:
        raise ValueError(
            f"the {what} has shape {tuple(found.shape)}, but this model reads "
            f"{weight.shape[1]} inputs: one entry for each is needed"
        )
