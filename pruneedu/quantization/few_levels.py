"""Two or three numbers each row: the grids whose scale is the best one, not the range's."""

from __future__ import annotations

import torch
from torch import Tensor

from pruneedu.checks import check_floats
from pruneedu.quantization.affine import QParams


def binary(rows: Tensor) -> QParams:
    """Lay a grid of two numbers, -α and α, with the α of the least squared error.

    ŵ = α · sign(w),  α = mean |w|

    As a grid of one bit: scale 2α, zero point 1/2, so that 2α · (q - 1/2) is -α or α.

    Args:
        rows: [..., n] floats, one grid for each row: `as_rows` of a weight.

    Returns:
        A grid with a scale [...]. A pruned weight does not stay 0: no number of the grid is.

    Raises:
        TypeError, ValueError: rows that are no floats, are empty, or hold NaN or infinity.

    Source: Rastegari et al., "XNOR-Net", 2016.

    >>> from pruneedu.quantization.affine import round_to_grid
    >>> w = torch.tensor([3.0, -1.0, 0.5, -1.5])
    >>> round_to_grid(w, binary(w)).tolist()
    [1.5, -1.5, 1.5, -1.5]
    """
    # In float64, which holds the sum of large numbers.
    scale = 2 * _positive(_sizes(rows).mean(-1, dtype=torch.float64).to(rows.dtype))
    return QParams(scale, torch.full_like(scale, 0.5), 0, 1)


def ternary(rows: Tensor) -> QParams:
    """Lay a grid of three numbers, -α, 0 and α, with the α of the least squared error.

    α = mean of the k largest |w|, where k makes (sum of the k largest)² / k largest

    The k that are not rounded to 0 save (sum)² / k of the error Σ w², and are those above α / 2.
    The paper guesses the threshold, 0.7 · mean |w|; one sort finds the best.

    Args, Raises: as in `binary`.

    Returns:
        A grid with a scale [...].

    Source: Li, Zhang and Liu, "Ternary weight networks", 2016.

    >>> from pruneedu.quantization.affine import round_to_grid
    >>> w = torch.tensor([2.0, -1.0, 0.25, 0.0])
    >>> round_to_grid(w, ternary(w)).tolist()
    [1.5, -1.5, 0.0, 0.0]
    """
    sums = _sizes(rows).sort(-1, descending=True).values.double().cumsum(-1)
    counts = torch.arange(1, rows.shape[-1] + 1, device=rows.device)
    # The root of (sum)² / k is largest at the same k, and does not overflow.
    best = (sums / counts.sqrt()).argmax(-1, keepdim=True)
    scale = _positive((sums / counts).gather(-1, best).squeeze(-1).to(rows.dtype))
    return QParams(scale, torch.zeros_like(scale, dtype=torch.int32), -1, 1)


def _sizes(rows: Tensor) -> Tensor:
    """Return |w|, of at least one weight in each row, all of them finite."""
    check_floats(rows, "the rows", axes=1)
    return rows.detach().abs()


def _positive(scale: Tensor) -> Tensor:
    """Return a scale with 1 for rows of zeros, and no step so small that it lost its digits."""
    smallest = torch.finfo(scale.dtype).tiny
    return torch.where(scale > 0, scale.clamp_min(smallest), 1)
