"""What stands between a weight that the optimizer moves and the one that its layer uses."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from pruneedu.quantization.affine import QParams, round_to_grid


class OnGrid(nn.Module):
    """Round a parameter to its grid on the way to its layer. The step is fixed, or learned.

    What is learned is the ratio of the step to where it began. Its gradient is such that plain SGD
    moves the step as if it were the parameter itself, and Adam, which moves every parameter by
    about the learning rate, moves a step by a fraction of itself and not below 0.
    """

    def __init__(self, grid: QParams, learn: bool = False):
        """Begin with a grid; `learn` makes its step a parameter."""
        super().__init__()
        self.register_buffer("start", grid.scale.detach().clone())
        self.register_buffer("zero_point", grid.zero_point.clone())
        self.ratio = nn.Parameter(torch.ones_like(self.start)) if learn else None
        self.lowest, self.highest = grid.lowest, grid.highest

    def grid(self, ratio: Tensor | float = 1.0) -> QParams:
        """Return the grid whose steps are `ratio` times those at the start."""
        return QParams(self.start * ratio, self.zero_point, self.lowest, self.highest)

    def grid_now(self) -> QParams:
        """Return the grid as it is now."""
        return self.grid() if self.ratio is None else self.grid(self.ratio.detach())

    def forward(self, weight: Tensor) -> Tensor:
        """Return the rounded parameter."""
        if self.ratio is None:
            return round_to_grid(weight, self.grid())
        ratio = self.ratio.clone()
        if ratio.requires_grad:
            # A step sums the gradients of all its weights, so it would learn too fast.
            share = math.sqrt(weight.numel() / ratio.numel() * self.highest)
            ratio.register_hook(lambda gradient: gradient / share / self.start / self.start)
        return round_to_grid(weight, self.grid(ratio))


class Held(nn.Module):
    """Let the free entries of a weight through, and put fixed values in the place of the rest."""

    def __init__(self, free: Tensor, values: Tensor):
        """Let entries through where `free` is True; `values` has what stands elsewhere."""
        super().__init__()
        self.register_buffer("free", free.clone())
        self.register_buffer("values", values.detach().clone())

    def forward(self, weight: Tensor) -> Tensor:
        """Return the weight with its held entries; no gradient reaches those."""
        return torch.where(self.free, weight, self.values)


def insert_(model: nn.Module, name: str, step: nn.Module) -> None:
    """Let a parameter pass through one more step on the way to its layer.

    >>> layer = nn.Linear(2, 1)
    >>> insert_(layer, "bias", Held(torch.tensor([False]), torch.tensor([7.0])))
    >>> layer.bias.item()
    7.0
    """
    layer, _, tensor = name.rpartition(".")
    parametrize.register_parametrization(model.get_submodule(layer), tensor, step)


def make_plain_(layer: nn.Module) -> None:
    """Make what a layer computes of its parameters plain parameters again, in their old order.

    >>> layer = nn.Linear(2, 1)
    >>> insert_(layer, "weight", Held(torch.tensor([[True, False]]), torch.zeros(1, 2)))
    >>> make_plain_(layer)
    >>> list(layer.state_dict()), layer.weight[0, 1].item()
    (['weight', 'bias'], 0.0)
    """
    plain = {
        name: nn.Parameter(getattr(layer, name).detach(), steps.original.requires_grad)
        for name, steps in layer.parametrizations.items()
    }
    # Copies of a parametrized layer share its class, and `remove_parametrizations` would take the
    # weight out of that class, away from the original.
    layer.__class__ = parametrize.type_before_parametrizations(layer)
    del layer.parametrizations
    layer._parameters |= plain
    for name in ("weight", "bias"):
        layer._parameters[name] = layer._parameters.pop(name)
