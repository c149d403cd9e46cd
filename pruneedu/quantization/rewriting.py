"""From ranges to a plan, and from a plan to a network whose numbers lie on grids."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn

from pruneedu.quantization.affine import QParams, round_to_grid
from pruneedu.quantization.calibration import Range
from pruneedu.quantization.schemes import symmetric
from pruneedu.tensors import prunable_layers, weight_name

Plan = dict[str, QParams]


def plan_grids(
    ranges: dict[str, Range],
    bits: int | dict[str, int],
    scheme: Callable[[Tensor, Tensor, int], QParams] = symmetric,
) -> Plan:
    """Lay a grid over each range.

    Args:
        ranges: of weights ("fc1.weight") or of what goes into layers ("fc1").
        bits: 2 to 8 for all, or name -> bits.
        scheme: `symmetric`, `asymmetric` or `textbook`. Weights are usually symmetric and inputs
            asymmetric; plans of the two are joined with `|`.

    Returns:
        name -> `QParams`, plain data.

    Raises:
        TypeError, ValueError: names of the bits that are not those of the ranges, and what
            `scheme` refuses.

    >>> ranges = {"fc1.weight": Range(torch.tensor([-1.0, -2.0]), torch.tensor([0.5, 3.0]))}
    >>> plan_grids(ranges, bits=2)["fc1.weight"].scale
    tensor([1., 3.])
    """
    if not isinstance(bits, dict):
        bits = dict.fromkeys(ranges, bits)
    for name in [*ranges, *bits]:
        if name not in ranges or name not in bits:
            missing = "range" if name in bits else "number of bits"
            raise ValueError(f"{name!r} has no {missing}: give bits for exactly the ranges' names")
    plan = {}
    for name, (low, high) in ranges.items():
        try:
            plan[name] = scheme(low, high, bits[name])
        except (TypeError, ValueError) as error:
            raise type(error)(f"no grid for {name!r}: {error}") from error
    return plan


def quantize(model: nn.Module, plan: Plan) -> nn.Module:
    """Return a copy of the model whose weights and biases are rounded to their grids.

    w ← scale · (q - zero_point), q = clamp(round(w / scale + zero_point), lowest, highest)

    The numbers stay floats, so the copy runs everywhere and measures what rounding costs in
    accuracy; `to_integers` gives the integers to store. Where the plan has a grid for what goes
    into a layer, the copy rounds that before each run of the layer.

    Args:
        model: the network; it is not changed. Fold its batch normalisation before, or it stays
            in floats.
        plan: grids for weights ("fc1.weight"), biases ("fc1.bias") and what goes into layers
            ("fc1"). The rest stays.

    Returns:
        A new model with the same keys, `requires_grad` and mode.

    Raises:
        TypeError, ValueError: a plan that does not fit the model, or a weight that is not finite.

    Source: Jacob et al., "Quantization and training of neural networks for efficient
    integer-arithmetic-only inference", 2018.

    >>> from pruneedu.models import mlp
    >>> from pruneedu.quantization.ranges import weight_ranges
    >>> model = mlp(16, 8, 2)
    >>> small = quantize(model, plan_grids(weight_ranges(model, per="tensor"), bits=2))
    >>> len(small.fc1.weight.unique()), len(model.fc1.weight.unique())
    (3, 128)
    """
    check_plan(plan, model)
    quantized = copy.deepcopy(model)
    layers = prunable_layers(quantized)
    with torch.no_grad():
        for name, grid in plan.items():
            if name in layers:
                layers[name].register_forward_pre_hook(partial(_round_input, grid))
            else:
                parameter = quantized.get_parameter(name)
                parameter.copy_(round_to_grid(parameter, grid))
    return quantized


def _round_input(grid: QParams, layer: nn.Module, inputs: tuple) -> tuple:
    x, *others = inputs
    if grid.scale.device != x.device:  # A hook does not move with its model.
        scale, zero_point = grid.scale.to(x.device), grid.zero_point.to(x.device)
        grid = replace(grid, scale=scale, zero_point=zero_point)
    return round_to_grid(x, grid), *others


def check_plan(plan: Plan, model: nn.Module) -> None:
    """Raise unless each grid of a plan fits a parameter, or what goes into a layer, of the model.

    >>> from pruneedu.models import mlp
    >>> grid = QParams(torch.ones(2), torch.zeros(2), -1, 1)
    >>> check_plan({"fc1.weight": grid}, mlp(4, 3))
    Traceback (most recent call last):
    ValueError: the grid of 'fc1.weight' has scales of shape (2,), but its shape (3, 4) needs \
(), (3,) or (3, groups), with groups that divide 4
    """
    if not isinstance(plan, dict) or not plan:
        raise TypeError(f"the plan is {plan!r}: give a dict from name to QParams, with an entry")
    layers = prunable_layers(model)
    parameters = {weight_name(name): layer.weight for name, layer in layers.items()}
    parameters |= {bias_name(n): b for n, layer in layers.items() if (b := layer.bias) is not None}
    for name, grid in plan.items():
        if not isinstance(grid, QParams):
            raise TypeError(f"the grid of {name!r} is of type {type(grid).__name__}: give QParams")
        if name in parameters:
            _check_parameter(name, parameters[name], grid)
        elif name not in layers:
            known = ", ".join(map(repr, layers)) or "none"
            raise ValueError(
                f"this model has no layer, weight or bias {name!r} to quantize: its layers are "
                f"{known}"
            )
        elif grid.scale.ndim:
            raise ValueError(
                f"the grid of what goes into {name!r} has {grid.scale.numel()} scales: give one"
            )


def bias_name(layer: str) -> str:
    """Return the parameter name of a layer's bias: "fc1" has "fc1.bias".

    >>> bias_name("fc1"), bias_name("")
    ('fc1.bias', 'bias')
    """
    return f"{layer}.bias" if layer else "bias"


def _check_parameter(name: str, parameter: Tensor, grid: QParams) -> None:
    if not isinstance(parameter, nn.Parameter):
        raise ValueError(
            f"{name!r} is computed, so a rounded one would not last: remove its parametrization "
            "first"
        )
    if not parameter.isfinite().all():
        raise ValueError(f"{name!r} holds NaN or infinity: find where it began")
    shape, (out, unit) = tuple(grid.scale.shape), (len(parameter), parameter[:1].numel())
    groups = shape[1] if len(shape) == 2 else 1
    if len(shape) > 2 or shape[:1] not in ((), (out,)) or not groups or unit % groups:
        raise ValueError(
            f"the grid of {name!r} has scales of shape {shape}, but its shape "
            f"{tuple(parameter.shape)} needs (), ({out},) or ({out}, groups), with groups that "
            f"divide {unit}"
        )
