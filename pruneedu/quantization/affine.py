"""Uniform quantization: equally spaced numbers, each stored as a small integer.

A grid is a plain record, `QParams`. Three ways to lay one over a range from low to high: as
textbooks write it (`textbook`), and as practice does it (`asymmetric`, `symmetric`). A scale for
each channel or group is a scale with more entries.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class QParams:
    """A grid: the numbers scale · (q - zero_point), for the integers q = lowest … highest.

    Attributes:
        scale: the step between neighbours, in units of the values: [] for a whole tensor,
            [out] for one each channel, [out, groups] for one each group.
        zero_point: the q that stands for 0; the shape of `scale`. A fraction where 0 lies between
            two numbers of the grid.
        lowest, highest: the range of the integers.

    Raises:
        ValueError: a step that is not positive, shapes that differ, or ends beyond the dtype.

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
        if self.scale.shape != self.zero_point.shape or self.lowest >= self.highest:
            raise ValueError(
                f"a grid has a zero point for each scale and lowest < highest, but the shapes are "
                f"{tuple(self.scale.shape)} and {tuple(self.zero_point.shape)}, and the integers "
                f"run from {self.lowest} to {self.highest}"
            )
        ends = [self.scale * (q - self.zero_point) for q in (self.lowest, self.highest)]
        if not ((self.scale > 0) & ends[0].isfinite() & ends[1].isfinite()).all():
            raise ValueError(
                f"the grid's scale runs from {self.scale.min()} to {self.scale.max()}: "
                "a step is positive, and the ends of the grid are finite"
            )

    @property
    def bits(self) -> int:
        """Bits that each integer takes."""
        return (self.highest - self.lowest).bit_length()


def check_bits(bits: int) -> int:
    """Return a number of bits from 2 to 8, or raise.

    >>> check_bits(16)
    Traceback (most recent call last):
    ValueError: bits is 16: give a whole number from 2 to 8
    """
    if not isinstance(bits, int) or not 2 <= bits <= 8:
        raise ValueError(f"bits is {bits!r}: give a whole number from 2 to 8")
    return bits


def textbook(low: Tensor, high: Tensor, bits: int) -> QParams:
    """Lay the grid from low to high exactly, as textbooks write min–max quantization.

    q = round((w - low) / (high - low) · Q), Q = 2^bits - 1

    In general 0 lies between two numbers of this grid, so a pruned weight comes back as another.

    Args:
        low, high: ends of the range: [], [out] or [out, groups], floats.
        bits: 2 to 8.

    Returns:
        Q + 1 numbers from low to high. The zero point, -low / scale, is a fraction.

    Raises:
        ValueError: a range that is reversed, not finite, or wider than its dtype; other bits.

    >>> grid = textbook(torch.tensor(-1.0), torch.tensor(2.0), bits=2)
    >>> round_to_grid(torch.tensor([-1.0, 0.4, 0.6, 2.0]), grid).tolist()
    [-1.0, 0.0, 1.0, 2.0]
    """
    steps = 2 ** check_bits(bits) - 1
    _check_range(low, high)
    scale = _step(high - low, steps)
    return QParams(scale, -low / scale, 0, steps)


def asymmetric(low: Tensor, high: Tensor, bits: int) -> QParams:
    """Lay the grid from low to high, moved by less than a step so that 0 is one of its numbers.

    scale = (high - low) / Q,  zero_point = round(-low / scale),  Q = 2^bits - 1

    The range is stretched to hold 0 first. Made for activations, which lie to one side after ReLU.

    Args, Raises: as in `textbook`.

    Returns:
        Q + 1 numbers, q = 0 … Q, with an integer zero point.

    Source: Jacob et al., "Quantization and training of neural networks for efficient
    integer-arithmetic-only inference", 2018.

    >>> grid = asymmetric(torch.tensor(-1.0), torch.tensor(1.8), bits=3)
    >>> round(grid.scale.item(), 3), grid.zero_point.item()
    (0.4, 2)
    """
    steps = 2 ** check_bits(bits) - 1
    _check_range(low, high)
    low, high = low.clamp_max(0), high.clamp_min(0)
    scale = _step(high - low, steps)
    zero_point = (-low / scale).round().to(torch.int32)
    return QParams(scale, zero_point, 0, steps)


def symmetric(low: Tensor, high: Tensor, bits: int) -> QParams:
    """Lay the grid around 0, as far out on both sides as the farther end of the range.

    scale = max(|low|, |high|) / Q,  zero_point = 0,  Q = 2^(bits - 1) - 1

    One of the 2^bits integers stays unused: with -2^(bits - 1) the grid would not be symmetric.
    Made for weights: a product with integers then needs no correction for a zero point.

    Args, Raises: as in `textbook`.

    Returns:
        2 Q + 1 numbers, q = -Q … Q.

    Source: Krishnamoorthi, "Quantizing deep convolutional networks for efficient inference", 2018.

    >>> grid = symmetric(torch.tensor(-3.0), torch.tensor(1.0), bits=3)
    >>> grid.scale.item(), to_integers(torch.tensor([-3.0, 0.4, 1.6]), grid).tolist()
    (1.0, [-3, 0, 2])
    """
    most = 2 ** (check_bits(bits) - 1) - 1
    _check_range(low, high)
    scale = _step(torch.maximum(low.abs(), high.abs()), most)
    return QParams(scale, torch.zeros_like(scale, dtype=torch.int32), -most, most)


def to_integers(w: Tensor, grid: QParams) -> Tensor:
    """Return the integers of the numbers of the grid that are nearest to w.

    q = clamp(round(w / scale + zero_point), lowest, highest); halves go to the even integer

    Args:
        w: floats of any shape; reshaped to [*scale.shape, -1], it has one scale each row.
        grid: where they go. What lies outside goes to its ends.

    Returns:
        The shape of w, in int8 or, where lowest is not negative, in uint8.

    Raises:
        ValueError: NaN or infinity in w.

    >>> grid = QParams(torch.tensor([1.0, 2.0]), torch.tensor([0, 0]), -7, 7)
    >>> to_integers(torch.tensor([[1.2, 8.0], [1.2, 8.0]]), grid).tolist()
    [[1, 7], [1, 4]]
    """
    if not w.isfinite().all():
        raise ValueError("the values hold NaN or infinity, which no integer stands for: find it")
    return _steps(w, grid).reshape(w.shape).to(torch.int8 if grid.lowest < 0 else torch.uint8)


def to_floats(q: Tensor, grid: QParams) -> Tensor:
    """Return the numbers of the grid that the integers stand for.

    ŵ = scale · (q - zero_point)

    Args:
        q: integers of any shape, rows as in `to_integers`.
        grid: the grid that they were made with.

    Returns:
        The shape of q, in the dtype of the scale.

    >>> to_floats(torch.tensor([0, 255]), asymmetric(torch.tensor(-1.0), torch.tensor(1.55), 8))
    tensor([-1.0000,  1.5500])
    """
    rows = q.to(grid.scale.dtype).reshape(*grid.scale.shape, -1)
    return (grid.scale[..., None] * (rows - grid.zero_point[..., None])).reshape(q.shape)


def round_to_grid(w: Tensor, grid: QParams) -> Tensor:
    """Return the numbers of the grid that are nearest to w, as floats, with a gradient.

    ŵ = scale · (clamp(round(w / scale + zero_point), lowest, highest) - zero_point)

    The derivative of `round` is 0 nearly everywhere. The backward pass takes 1 for it (the
    straight-through estimator), so ∂ŵ/∂w is 1 inside the grid and 0 outside, and ∂ŵ/∂scale is
    round(w / scale) - w / scale inside and the integer of the end outside, as in LSQ.

    Args:
        w: floats of any shape, rows as in `to_integers`. NaN stays NaN.
        grid: where they go.

    Source: Bengio, Léonard and Courville, "Estimating or propagating gradients through stochastic
    neurons", 2013; Esser et al., "Learned step size quantization", 2020.

    >>> grid = QParams(torch.tensor(1.0), torch.tensor(0), -1, 1)
    >>> w = torch.tensor([-3.0, 0.6], requires_grad=True)
    >>> round_to_grid(w, grid).sum().backward()
    >>> round_to_grid(w, grid).tolist(), w.grad.tolist()
    ([-1.0, 1.0], [0.0, 1.0])
    """
    return to_floats(_steps(w, grid), grid).reshape(w.shape)


def _steps(w: Tensor, grid: QParams) -> Tensor:
    """Return q as floats, [*scale.shape, -1], with the gradient of w / scale inside the grid."""
    rows = w.reshape(*grid.scale.shape, -1)
    exact = rows / grid.scale[..., None] + grid.zero_point[..., None]
    exact = exact.clamp(grid.lowest, grid.highest)
    return exact + (exact.round() - exact).detach()


def _check_range(low: Tensor, high: Tensor) -> None:
    width = high - low
    if not width.isfinite().all() or (width < 0).any():
        raise ValueError(
            f"the range runs from {low.min()} to {high.max()}: its ends must be finite and in "
            f"order, and {width.dtype} must hold high - low; look for NaN or infinity first"
        )


def _step(width: Tensor, steps: int) -> Tensor:
    """Return width / steps, and 1 where the range is a single number."""
    # A step below the smallest normal number would have lost its digits.
    smallest = torch.finfo(width.dtype).tiny
    return torch.where(width > 0, (width / steps).clamp_min(smallest), 1)
