"""What stands between a weight that the optimizer moves and the one that its layer uses."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from pruneedu.quantization.affine import QParams, round_to_grid


class OnGrid(nn.Module):
    """Round a weight to its grid on the way to its layer. The step is fixed, or a parameter."""

    def __init__(self, grid: QParams, learn: bool = False):
        """Begin with a grid; `learn` makes its scale a parameter."""
        super().__init__()
        scale = grid.scale.detach().clone()
        self.register_buffer("zero_point", grid.zero_point.clone())
        if learn:
            self.scale = nn.Parameter(scale)
        else:
            self.register_buffer("scale", scale)
        self.lowest, self.highest = grid.lowest, grid.highest

    def grid(self) -> QParams:
        """Return the grid as it is now."""
        return QParams(self.scale.detach().clone(), self.zero_point, self.lowest, self.highest)

    def forward(self, weight: Tensor) -> Tensor:
        """Return the rounded weight."""
        scale = self.scale.clone()
        if scale.requires_grad:
            # A step sums the gradients of all its weights, so it would learn too fast.
            share = math.sqrt(weight.numel() / scale.numel() * self.highest)
            scale.register_hook(lambda gradient: gradient / share)
        return round_to_grid(weight, QParams(scale, self.zero_point, self.lowest, self.highest))


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


def make_plain_(layer: nn.Module) -> None:
    """Make the weight that a layer computes a parameter again, in its old place before the bias.

    >>> layer = nn.Linear(2, 1)
    >>> held = Held(torch.tensor([[True, False]]), torch.zeros(1, 2))
    >>> parametrize.register_parametrization(layer, "weight", held)
    ParametrizedLinear(
      in_features=2, out_features=1, bias=True
      (parametrizations): ModuleDict(
        (weight): ParametrizationList(
          (0): Held()
        )
      )
    )
    >>> make_plain_(layer)
    >>> list(layer.state_dict()), layer.weight[0, 1].item()
    (['weight', 'bias'], 0.0)
    """
    # Copies of a parametrized layer share its class, and `remove_parametrizations` would take the
    # weight out of that class, away from the original.
    learns = layer.parametrizations.weight.original.requires_grad
    weight = nn.Parameter(layer.weight.detach(), requires_grad=learns)
    layer.__class__ = parametrize.type_before_parametrizations(layer)
    del layer.parametrizations
    layer.weight = weight
    if layer.bias is not None:
        layer._parameters["bias"] = layer._parameters.pop("bias")
