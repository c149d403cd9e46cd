"""Schemes: three ways to lay a grid over a range from low to high.

`textbook` puts its ends exactly on those of the range; `asymmetric` moves it so that 0 is one of
its numbers; `symmetric` lays it around 0.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pruneedu.checks import check_count, check_floats
from pruneedu.quantization.affine import QParams


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
        TypeError, ValueError: a range that is no floats, reversed, not finite, or wider than its
            dtype; other bits.

    >>> from pruneedu.quantization.affine import round_to_grid
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

    >>> from pruneedu.quantization.affine import to_integers
    >>> grid = symmetric(torch.tensor(-3.0), torch.tensor(1.0), bits=3)
    >>> grid.scale.item(), to_integers(torch.tensor([-3.0, 0.4, 1.6]), grid).tolist()
    (1.0, [-3, 0, 2])
    """
    most = 2 ** (check_bits(bits) - 1) - 1
    _check_range(low, high)
    scale = _step(torch.maximum(low.abs(), high.abs()), most)
    return QParams(scale, torch.zeros_like(scale, dtype=torch.int32), -most, most)


def check_bits(bits: int) -> int:
    """Return a number of bits from 2 to 8, or raise.

    >>> check_bits(16)
    Traceback (most recent call last):
    ValueError: bits is 16: give a whole number from 2 to 8
    """
    check_count(bits, "bits", 2, 8)
    return bits


def _check_range(low: Tensor, high: Tensor) -> None:
    for end in (low, high):
        check_floats(end, "an end of the range")
    width = high - low
    if not width.isfinite().all() or (width < 0).any():
        raise ValueError(
            f"the range runs from {low.min()} to {high.max()}: its ends must be in order, and "
            f"{width.dtype} must hold high - low"
        )


def _step(width: Tensor, steps: int) -> Tensor:
    """Return width / steps, and 1 where the range is a single number."""
    # A step below the smallest normal number would have lost its digits.
    smallest = torch.finfo(width.dtype).tiny
    return torch.where(width > 0, (width / steps).clamp_min(smallest), 1)
