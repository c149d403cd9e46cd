"""The affine map: equally spaced numbers, each stored as a small integer.

A grid is a plain record, `QParams`. A scale for each channel or group is a scale with more entries.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pruneedu.checks import check_floats


@dataclass(frozen=True, eq=False)
class QParams:
    """A grid: the numbers scale · (q - zero_point), for the integers q = lowest … highest.

    Attributes:
        scale: the step between neighbours, in units of the values: [] for a whole tensor,
            [out] for one each channel, [out, groups] for one each group.
        zero_point: the q that stands for 0; the shape of `scale`. A fraction where 0 lies between
            two numbers of the grid, and not in lowest … highest where all lie to one side of 0.
        lowest, highest: the range of the integers.

    Raises:
        TypeError, ValueError: no tensors, steps that are no floats or not positive, shapes that
            differ, ends that are not whole or beyond the dtype.

    >>> grid = QParams(torch.tensor(0.5), torch.tensor(0), lowest=-1, highest=1)
    >>> grid.bits, to_floats(torch.tensor([-1, 0, 1]), grid).tolist()
    (2, [-0.5, 0.0, 0.5])
    """

    scale: Tensor
    zero_point: Tensor
    lowest: int
    highest: int

    def __post_init__(self):
        """Raise unless this is a grid of finite numbers."""
        for name in ("scale", "zero_point"):
            if not isinstance(value := getattr(self, name), Tensor):
                raise TypeError(f"the grid's {name} is {value!r}: give a tensor")
        if not self.scale.is_floating_point():
            raise TypeError(f"the grid's scale is {self.scale.dtype}: give floats")
        ends = self.lowest, self.highest
        # Up to 2^23 float32 counts halves, so that rounding means something.
        if {*map(type, ends)} != {int} or not -(2**23) <= self.lowest < self.highest <= 2**23:
            raise ValueError(
                f"the grid's integers run from {self.lowest} to {self.highest}: give two whole "
                "numbers in order, within 2^23 of 0"
            )
        if self.scale.shape != self.zero_point.shape:
            raise ValueError(
                f"the grid has scales of shape {tuple(self.scale.shape)} and zero points of shape "
                f"{tuple(self.zero_point.shape)}: give one zero point for each scale"
            )
        first, last = (self.scale * (q - self.zero_point) for q in ends)
        if not ((self.scale > 0) & first.isfinite() & last.isfinite()).all():
            raise ValueError(
                f"the grid's scale runs from {self.scale.min()} to {self.scale.max()}: "
                "a step is positive, and the ends of the grid are finite"
            )

    @property
    def bits(self) -> int:
        """Bits that each integer takes."""
        return (self.highest - self.lowest).bit_length()


def to_integers(w: Tensor, grid: QParams) -> Tensor:
    """Return the integers of the numbers of the grid that are nearest to w.

    q = clamp(round(w / scale + zero_point), lowest, highest); halves go to the even integer

    Args:
        w: floats of any shape; reshaped to [*scale.shape, -1], it has one scale each row.
        grid: where they go. What lies outside goes to its ends.

    Returns:
        The shape of w, in the first of uint8, int8, int16 and int32 that holds the grid's.

    Raises:
        TypeError, ValueError: no floats, NaN or infinity in w, or rows that are not the grid's.

    >>> grid = QParams(torch.tensor([1.0, 2.0]), torch.tensor([0, 0]), -7, 7)
    >>> to_integers(torch.tensor([[1.2, 8.0], [1.2, 8.0]]), grid).tolist()
    [[1, 7], [1, 4]]
    """
    check_floats(w, "the values")
    infos = map(torch.iinfo, (torch.uint8, torch.int8, torch.int16, torch.int32))
    fits = [i for i in infos if i.min <= grid.lowest and grid.highest <= i.max]
    return _steps(w, grid).reshape(w.shape).to(getattr(torch, fits[0].dtype))


def to_floats(q: Tensor, grid: QParams) -> Tensor:
    """Return the numbers of the grid that the integers stand for.

    ŵ = scale · (q - zero_point)

    Args:
        q: integers of any shape, rows as in `to_integers`.
        grid: the grid that they were made with.

    Returns:
        The shape of q, in the dtype of the scale.

    >>> to_floats(torch.tensor([0, 255]), QParams(torch.tensor(0.5), torch.tensor(100), 0, 255))
    tensor([-50.0000,  77.5000])
    """
    rows = _rows(q, grid).to(grid.scale.dtype)
    return (grid.scale[..., None] * (rows - grid.zero_point[..., None])).reshape(q.shape)


def round_to_grid(w: Tensor, grid: QParams) -> Tensor:
    """Return the numbers of the grid that are nearest to w, as floats, with a gradient.

    ŵ = scale · (clamp(round(w / scale + zero_point), lowest, highest) - zero_point)

    The derivative of `round` is 0 nearly everywhere. The backward pass takes 1 for it (the
    straight-through estimator), so ∂ŵ/∂w is 1 inside the grid and 0 outside, and ∂ŵ/∂scale is
    q - zero_point - w / scale inside and q - zero_point outside, as in LSQ, whose zero point is 0.

    Args:
        w: floats of any shape, rows as in `to_integers`. NaN stays NaN.
        grid: where they go.

    Returns:
        The shape and dtype of w.

    Source: Bengio, Léonard and Courville, "Estimating or propagating gradients through stochastic
    neurons", 2013; Esser et al., "Learned step size quantization", 2020.

    >>> grid = QParams(torch.tensor(1.0), torch.tensor(0), -1, 1)
    >>> w = torch.tensor([-3.0, 0.6], requires_grad=True)
    >>> round_to_grid(w, grid).sum().backward()
    >>> round_to_grid(w, grid).tolist(), w.grad.tolist()
    ([-1.0, 1.0], [0.0, 1.0])
    """
    return to_floats(_steps(w, grid), grid).reshape(w.shape).to(w.dtype)


def _steps(w: Tensor, grid: QParams) -> Tensor:
    """Return q as floats, [*scale.shape, -1], with the gradient of w / scale inside the grid."""
    exact = _rows(w, grid) / grid.scale[..., None] + grid.zero_point[..., None]
    exact = exact.clamp(grid.lowest, grid.highest)
    return exact + (exact.round() - exact).detach()


def _rows(values: Tensor, grid: QParams) -> Tensor:
    """Return the values with one row for each scale, [*scale.shape, -1]."""
    if not isinstance(values, Tensor):
        raise TypeError(f"the values are of type {type(values).__name__}: give a tensor")
    shape, scales = tuple(grid.scale.shape), grid.scale.numel()
    if not scales or values.numel() % scales:
        raise ValueError(
            f"the values have shape {tuple(values.shape)}, which does not part into a row for each "
            f"of the grid's scales of shape {shape}: lay the grid over the rows of these values"
        )
    return values.reshape(*shape, -1)
