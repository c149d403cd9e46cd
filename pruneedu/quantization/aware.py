"""Training that knows of the rounding: the network learns to do well on its grid.

A parametrization of PyTorch stands between the weights that the optimizer moves and those that the
layer uses. So `fit` trains such a network as any other, and `convert` makes it a plain one again.
The plans here are for weights and biases; `quantize(aware, plan)` adds grids for what goes into
layers.
"""

from __future__ import annotations

import copy

import torch
from torch import nn
from torch.nn.utils import parametrize

from pruneedu.pruning.masks import apply_masks
from pruneedu.quantization.affine import round_to_grid
from pruneedu.quantization.parametrizations import Held, OnGrid, insert_, make_plain_
from pruneedu.quantization.rewriting import Plan, check_plan
from pruneedu.tensors import (
    Masks,
    check_masks,
    level,
    prunable_layers,
    weight_name,
)


def straight_through(model: nn.Module, plan: Plan, masks: Masks | None = None) -> nn.Module:
    """Return a copy that computes with rounded weights, and trains those before the rounding.

    ŵ = round_to_grid(w),  ∂ŵ/∂w = 1 inside the grid and 0 outside

    Args:
        model: the network; it is not changed.
        plan: a grid for each weight ("fc1.weight") and bias ("fc1.bias") to round.
        masks: weight-level masks of pruned weights, which stay 0.

    Returns:
        A new model for `fit`. Its layers have parametrized weights until `convert`.

    Raises:
        TypeError, ValueError: a plan or masks that do not fit the model, or a grid without 0 for
            a weight with masks.

    Source: Bengio, Léonard and Courville, "Estimating or propagating gradients through stochastic
    neurons", 2013; Jacob et al., 2018.

    >>> from pruneedu.models import mlp
    >>> from pruneedu.quantization.ranges import weight_ranges
    >>> from pruneedu.quantization.rewriting import plan_grids
    >>> model = mlp(16, 8, 2)
    >>> aware = straight_through(model, plan_grids(weight_ranges(model, per="tensor"), bits=2))
    >>> len(aware.fc1.weight.unique())
    3
    """
    return _on_grids(model, plan, masks, learn=False)


def learned_step(model: nn.Module, plan: Plan, masks: Masks | None = None) -> nn.Module:
    """Return a copy as `straight_through` does, in which the steps are parameters as well.

    ∂ŵ/∂s = round(w / s) - w / s inside the grid and its end outside, times g = 1 / √(n · highest)

    n is the number of weights that share a step. The parameter that holds a step is its ratio to
    the step of the plan, for Adam's sake; with SGD the step moves as the formula says. A weight
    decay of the optimizer pulls on it as well.

    Args, Raises: as in `straight_through`. The steps of the plan are where training begins.

    Returns:
        A new model for `fit`; `convert` returns the learned grids.

    Source: Esser et al., "Learned step size quantization", 2020.

    >>> from pruneedu.models import mlp
    >>> from pruneedu.quantization.ranges import weight_ranges
    >>> from pruneedu.quantization.rewriting import plan_grids
    >>> model = mlp(16, 8, 2)
    >>> aware = learned_step(model, plan_grids(weight_ranges(model), bits=2))
    >>> [name for name, _ in aware.fc1.named_parameters() if name.endswith("ratio")]
    ['parametrizations.weight.0.ratio']
    """
    return _on_grids(model, plan, masks, learn=True)


def convert(model: nn.Module) -> tuple[nn.Module, Plan]:
    """Return a copy in which the weights on the way to the layers are plain parameters again.

    Args:
        model: made by `straight_through` or `learned_step`, trained or not; it is not changed.

    Returns:
        The plain model, whose weights are on their grids, and the plan with these grids.

    Raises:
        ValueError: no weight of the model is rounded; or a learned step is no longer positive.

    >>> from pruneedu.models import mlp
    >>> from pruneedu.quantization.schemes import symmetric
    >>> grid = symmetric(torch.tensor(-0.1), torch.tensor(0.1), bits=2)
    >>> plain, plan = convert(straight_through(mlp(4, 2), {"fc1.weight": grid}))
    >>> list(plain.state_dict()), plan["fc1.weight"].scale
    (['fc1.weight', 'fc1.bias'], tensor(0.1000))
    """
    plain, plan = copy.deepcopy(model), {}
    for name, layer in prunable_layers(plain).items():
        if grids := _grids_now(layer):
            plan |= {f"{name}.{tensor}".removeprefix("."): grid for tensor, grid in grids.items()}
            make_plain_(layer)
    if not plan:
        raise ValueError("no weight of this model is rounded: give one made for training on grids")
    return plain, plan


def _grids_now(layer: nn.Module) -> Plan:
    """Return the grids of a layer's own parameters: "weight" or "bias" -> grid."""
    if not parametrize.is_parametrized(layer):
        return {}
    chains = layer.parametrizations.items()
    return {n: s.grid_now() for n, steps in chains for s in steps if isinstance(s, OnGrid)}


def _on_grids(model: nn.Module, plan: Plan, masks: Masks | None, learn: bool) -> nn.Module:
    check_weights(model, plan, masks)
    aware = copy.deepcopy(model) if masks is None else apply_masks(model, masks)
    for name, grid in plan.items():
        if masks and name in masks:
            insert_(aware, name, Held(masks[name], torch.zeros_like(model.get_parameter(name))))
        insert_(aware, name, OnGrid(grid, learn))
    return aware


def check_weights(model: nn.Module, plan: Plan, masks: Masks | None) -> None:
    """Raise unless a plan is for weights and biases, masks for its weights, and 0 on their grids.

    >>> from pruneedu.models import mlp
    >>> from pruneedu.quantization.affine import QParams
    >>> grid = QParams(torch.tensor(1.0), torch.tensor(0), 0, 3)
    >>> check_weights(mlp(2, 2), {"fc1": grid}, None)
    Traceback (most recent call last):
    ValueError: 'fc1' is what goes into a layer: train with grids for weights, such as \
'fc1.weight', and add those of inputs with quantize
    """
    check_plan(plan, model)
    for name in plan:
        if name in prunable_layers(model):
            raise ValueError(
                f"{name!r} is what goes into a layer: train with grids for weights, such as "
                f"{weight_name(name)!r}, and add those of inputs with quantize"
            )
    if masks is None:
        return
    check_masks(masks, model)
    if (found := level(masks, model)) != "weight":
        raise ValueError(f"the masks are at {found} level: give weight-level masks")
    for name in masks:
        if name not in plan:
            raise ValueError(f"the plan has no grid for {name!r}, which has a mask: plan it too")
        if round_to_grid(torch.zeros_like(model.get_parameter(name)), plan[name]).any():
            raise ValueError(
                f"the grid of {name!r} has no 0 for what its mask drops: lay a symmetric or an "
                "asymmetric one"
            )
