"""Incremental freezing: put some weights on the grid, let the rest make up for it, and go on."""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import nn
from torch.nn.utils import parametrize

from pruneedu.pruning.masks import apply_masks
from pruneedu.pruning.selection import keep_top
from pruneedu.quantization.affine import round_to_grid
from pruneedu.quantization.aware import check_weights
from pruneedu.quantization.parametrizations import Held, insert_, make_plain_
from pruneedu.quantization.rewriting import Plan
from pruneedu.tensors import Masks, Scores


def distance_to_grid(model: nn.Module, plan: Plan) -> Scores:
    """Score each parameter by how far it lies from its place on the grid, in steps.

    score = |w - ŵ| / scale, ŵ = round_to_grid(w)

    Returns:
        name -> the shape of the parameter, for all of the plan: at most 1/2, more for what lies
        outside the grid.

    Raises:
        TypeError, ValueError: a plan that does not fit the parameters of the model.

    >>> from pruneedu.quantization.affine import QParams
    >>> layer = nn.Linear(3, 1)
    >>> layer.weight.data = torch.tensor([[1.0, 2.5, 9.0]])
    >>> grid = QParams(torch.tensor(2.0), torch.tensor(0), -3, 3)
    >>> distance_to_grid(layer, {"weight": grid})
    {'weight': tensor([[0.5000, 0.2500, 1.5000]])}
    """
    check_weights(model, plan, None)
    scores = {}
    for name, grid in plan.items():
        w = model.get_parameter(name).detach()
        rows = (w - round_to_grid(w, grid)).abs().reshape(*grid.scale.shape, -1)
        scores[name] = (rows / grid.scale[..., None]).reshape(w.shape)
    return scores


def freeze_incrementally(
    model: nn.Module,
    plan: Plan,
    fractions: list[float],
    finetune: Callable[[nn.Module], nn.Module],
    criterion: Callable[[nn.Module, Plan], Scores] = distance_to_grid,
    masks: Masks | None = None,
) -> nn.Module:
    """Freeze more and more weights on their grids, and fine-tune the free ones after each time.

    In each round and tensor, the k free entries with the lowest scores go to their places on the
    grid and stay there; k makes the frozen weights round(fraction · n) of n. Biases are frozen
    as weights are, where the plan has grids for them.

    Rounding all at once leaves nothing to repair it with, and weights trained by
    `straight_through` can swing between two numbers of a coarse grid.

    Args:
        model: the trained network; it is not changed.
        plan: a grid for each weight and bias to freeze.
        fractions: of the weights that masks keep, frozen after each round: rising, the last 1.
        finetune: model -> fine-tuned model, such as `lambda m: fit(m, train, epochs=2).model`.
            What is frozen passes no gradient to it.
        criterion: (model, plan) -> scores, lowest first to freeze. The paper freezes the largest
            weights first; the nearest to the grid move least.
        masks: weight-level masks of pruned weights, which stay 0.

    Returns:
        A plain model with every weight of the plan on its grid.

    Raises:
        TypeError, ValueError: a plan, masks or fractions that do not fit.

    Source: Zhou et al., "Incremental network quantization", 2017.

    >>> from pruneedu.quantization.affine import QParams
    >>> layer, grid = nn.Linear(4, 1), QParams(torch.tensor(0.5), torch.tensor(0), -1, 1)
    >>> frozen = freeze_incrementally(layer, {"weight": grid}, [0.5, 1], lambda model: model)
    >>> distance_to_grid(frozen, {"weight": grid})
    {'weight': tensor([[0., 0., 0., 0.]])}
    """
    check_weights(model, plan, masks)
    if not fractions or sorted(fractions) != list(fractions) or fractions[-1] != 1:
        raise ValueError(f"fractions are {fractions}: give at least one, rising, and 1 at the end")
    kept = {name: torch.ones_like(model.get_parameter(name), dtype=torch.bool) for name in plan}
    if masks is not None:
        kept |= masks
        model = apply_masks(model, masks)
    free = kept
    for fraction in fractions:
        free = _with_fewer_free(free, kept, fraction, criterion(model, plan))
        model = _plain(finetune(_held(model, plan, free)), plan)
    return model


def _with_fewer_free(free: Masks, kept: Masks, fraction: float, scores: Scores) -> Masks:
    """Return masks of what stays free when a fraction of what was kept is frozen."""
    fewer = {}
    for name, mask in kept.items():
        if name not in scores:
            raise ValueError(f"the criterion did not score {name!r}: take it out of the plan")
        still = 1 - int(mask.sum()) / mask.numel() * (1 - fraction)  # pruned or frozen
        fewer |= keep_top({name: scores[name]}, still, masks={name: free[name]})
    return fewer


def _held(model: nn.Module, plan: Plan, free: Masks) -> nn.Module:
    """Return a copy in which all but the free entries are held at their places on the grid."""
    model = copy.deepcopy(model)
    for name, grid in plan.items():
        insert_(model, name, Held(free[name], round_to_grid(model.get_parameter(name), grid)))
    return model


def _plain(model: nn.Module, plan: Plan) -> nn.Module:
    """Return a copy of what `finetune` returned, with plain parameters."""
    model = copy.deepcopy(model)
    layers = {name: model.get_submodule(name.rpartition(".")[0]) for name in plan}
    for name, layer in layers.items():
        if not parametrize.is_parametrized(layer, name.rpartition(".")[2]):
            raise ValueError(
                f"finetune returned a model that no longer holds what is frozen of {name!r}: "
                "let it return the model that it was given, or a copy, trained"
            )
    for layer in set(layers.values()):
        make_plain_(layer)
    return model
