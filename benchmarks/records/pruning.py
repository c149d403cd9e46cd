"""Prune while training, by what a weight is worth for each bit that it takes in the file."""

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

import pruneedu as pe
from benchmarks.records.networks import connected
from pruneedu.quantization.parametrizations import insert_, make_plain_
from pruneedu.storage.estimates import position_bits
from pruneedu.tensors import Masks, Scores, layer_name, prunable

VALUE_BITS = 2.5  # of a sign and a size
EVERY = 24  # steps between two selections
KEEPING = 2.0  # How much more a weight counts that is kept already, or masks would flicker.
MEMORY = 0.999  # of the mean of the squared gradients, as in Adam
FADING = 0.9996  # What a dropped weight keeps of itself each step.


class Masked(nn.Module):
    """Multiply a weight by its mask, and let the gradient reach what is dropped as well.

    So a dropped weight goes on learning what it would do, and may come back.
    """

    def __init__(self, weight: Tensor):
        """Begin with everything kept."""
        super().__init__()
        self.register_buffer("mask", torch.ones_like(weight, dtype=torch.bool))

    def forward(self, weight: Tensor) -> Tensor:
        """Return w · m; its gradient with respect to w is taken to be 1."""
        return weight + (weight * self.mask - weight).detach()


def masked(model: nn.Module) -> nn.Module:
    """Insert a mask before each weight, in place."""
    for name, weight in prunable(model).items():
        insert_(model, name, Masked(weight))
    return model


def plain(model: nn.Module) -> nn.Module:
    """Take the masks out, in place: what is dropped is 0."""
    for name in _masks(model):
        make_plain_(model.get_submodule(layer_name(name)))
    return model


def selecting(sparsities: list[float], cost_power: float):
    """Return an `after_step` that selects anew every 24 steps, to one sparsity after the other.

    score = w² · mean g² / (2.5 + bits of the position)^γ, twice that for what is kept already

    Args:
        sparsities: of all weights; the last holds for the steps that are left.
        cost_power: γ; 0 counts weights, and the more, the more weights gather in few rows.
    """
    means: Scores = {}
    taken = 0

    def after_step(model: nn.Module) -> None:
        nonlocal taken
        masks = _masks(model)
        weights = {name: _hidden(model, name) for name in masks}
        with torch.no_grad():
            for name, weight in weights.items():
                mean = means.setdefault(name, torch.zeros_like(weight))
                mean.lerp_(weight.grad.square(), 1 - MEMORY)
                weight.mul_(torch.where(masks[name], 1.0, FADING))
        if taken % EVERY == 0:
            sparsity = sparsities[min(taken // EVERY, len(sparsities) - 1)]
            scores = _per_bit(weights, means, masks, cost_power)
            for name, mask in connected(pe.keep_top(scores, sparsity)).items():
                masks[name].copy_(mask)
        taken += 1

    return after_step


def _per_bit(weights: Scores, means: Scores, masks: Masks, cost_power: float) -> Scores:
    """Score what a weight is worth for each bit."""
    bits = position_bits(masks)
    return {
        name: weight.detach() ** 2
        * means[name]
        / (VALUE_BITS + bits[name]) ** cost_power
        * torch.where(masks[name], KEEPING, 1.0)
        for name, weight in weights.items()
    }


def _masks(model: nn.Module) -> Masks:
    """Return the masks by the name of their weight."""
    return {
        f"{name}.weight": layer.parametrizations.weight[0].mask
        for name, layer in model.named_modules()
        if parametrize.is_parametrized(layer)
    }


def _hidden(model: nn.Module, name: str) -> nn.Parameter:
    """Return what the optimizer moves: the weight before its mask."""
    return model.get_submodule(layer_name(name)).parametrizations.weight.original
