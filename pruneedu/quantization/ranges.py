"""The ranges of a model: of its weights, and of what goes into its layers."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from pruneedu.checks import check_floats
from pruneedu.data import Split
from pruneedu.pruning.passes import batches, scoring, tapped
from pruneedu.quantization.calibration import Range, minmax
from pruneedu.tensors import prunable, prunable_layers

Calibrator = Callable[[Tensor], Range]


def as_rows(weight: Tensor, per: str | int = "channel") -> Tensor:
    """Return a weight with one row for each scale.

    Args:
        weight: [out, …], finite floats.
        per: "tensor", "channel" (an output channel or neuron), or the number of weights that
            share a scale: a group, counted along the weights of a unit.

    Returns:
        [out · …], [out, …] or [out, groups, size], without gradient.

    Raises:
        TypeError, ValueError: no floats, none at all, or not finite; another `per`, or a group
            size that does not divide the weights of a unit.

    >>> weight = torch.zeros(3, 2, 4)
    >>> [tuple(as_rows(weight, per).shape) for per in ("tensor", "channel", 4)]
    [(24,), (3, 8), (3, 2, 4)]
    """
    check_floats(weight, "the weight", axes=1)
    weight = weight.detach()
    if per == "tensor":
        return weight.flatten()
    if per == "channel":
        return weight.reshape(len(weight), -1)
    unit = weight[0].numel()
    if not isinstance(per, int) or per < 1 or unit % per:
        raise ValueError(
            f"per is {per!r}: choose 'tensor', 'channel' or a group size that divides the {unit} "
            "weights of a unit"
        )
    return weight.reshape(len(weight), -1, per)


def weight_ranges(
    model: nn.Module, calibrate: Calibrator = minmax, per: str | int = "channel"
) -> dict[str, Range]:
    """Return the range of each prunable weight, by parameter name.

    Args:
        model: the network.
        calibrate: turns rows [..., n] into a range; bind the rest with `partial`.
        per: "tensor", "channel" or a group size, as in `as_rows`.

    Raises:
        TypeError, ValueError: what `as_rows` and `calibrate` refuse; the weight is named.

    >>> from pruneedu.models import mlp
    >>> {name: tuple(low.shape) for name, (low, _) in weight_ranges(mlp(4, 3, 2)).items()}
    {'fc1.weight': (3,), 'fc2.weight': (2,)}
    """
    ranges = {}
    for name, weight in prunable(model).items():
        try:
            ranges[name] = calibrate(as_rows(weight, per))
        except (TypeError, ValueError) as error:
            raise type(error)(f"no range for {name!r}: {error}") from error
    return ranges


def input_ranges(
    model: nn.Module, data: Split, calibrate: Calibrator = minmax, batch_size: int = 256
) -> dict[str, Range]:
    """Return the range of what goes into each prunable layer, by layer name, in eval mode.

    A few hundred examples from the training set do; all that they send into the layers is kept
    until the ranges are known.

    Args:
        model: the network.
        data: x [N, …]; y is not read.
        calibrate: turns values [n], in the order of the examples, into a range.
        batch_size: examples at a time; it changes the memory needed, not the result.

    Returns:
        Layer name -> range with 0-dimensional ends: each input of a unit must have one scale, or
        their products could not be added as integers.

    Raises:
        TypeError, ValueError: no `Split`, or one without examples; a layer that runs more than
            once or not at all, or meets NaN.

    >>> from pruneedu.models import mlp
    >>> input_ranges(mlp(4, 3, 2), Split(torch.eye(4), None))["fc1"]
    Range(low=tensor(0.), high=tensor(1.))
    """
    if not isinstance(data, Split):
        raise TypeError(f"the data is of type {type(data).__name__}: give Split(x, None)")
    layers = prunable_layers(model)
    seen: dict[str, list[Tensor]] = {name: [] for name in layers}
    with scoring(model, data, labels=False):
        for batch in batches(data, batch_size):
            with tapped(layers, side="input") as inputs:
                model(batch.x)
            for name, values in inputs.items():
                seen[name].append(values.flatten())
    values = {name: torch.cat(parts) for name, parts in seen.items()}
    for name, row in values.items():
        if not row.isfinite().all():
            raise ValueError(f"the inputs of {name!r} hold NaN or infinity: find where they began")
    return {name: calibrate(row) for name, row in values.items()}
