"""Calibration: from what to what do values run? The range decides how wide a step is.

A calibrator turns values [..., n] into a `Range` with ends [...]: all of them (`minmax`), fewer of
them at each end (`percentile`), or as many as makes a measure of error least (`mse`, `kl`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from pruneedu.checks import check_count, check_floats
from pruneedu.quantization.affine import QParams, round_to_grid
from pruneedu.quantization.schemes import check_bits


class Range(NamedTuple):
    """From where to where values run: two tensors of one shape, one entry for each grid."""

    low: Tensor
    high: Tensor


def minmax(values: Tensor) -> Range:
    """Return the smallest and the largest value of each row.

    One outlier widens every step.

    Args:
        values: [..., n] floats; a row for each grid.

    Returns:
        Ends of shape [...].

    Raises:
        TypeError, ValueError: no floats, rows without a value, NaN or infinity.

    >>> minmax(torch.tensor([[1.0, -2.0], [3.0, 4.0]]))
    Range(low=tensor([-2.,  3.]), high=tensor([1., 4.]))
    """
    check_floats(values, "the values", axes=1)
    return Range(*values.aminmax(dim=-1))


def moving_average(values: Tensor, batches: int = 10, momentum: float = 0.9) -> Range:
    """Follow the smallest and the largest value from batch to batch, slowly.

    low ← momentum · low + (1 - momentum) · min(batch), and so for high

    One outlier after the first batch widens the range by a tenth of what it does to `minmax`.

    Args:
        values: [..., n] floats in the order in which they came.
        batches: how many batches to cut a row into; fewer where they would not have one size.
        momentum: what remains of the earlier average, in [0, 1).

    Returns, Raises: as in `minmax`, and ValueError for other batches or another momentum.

    Source: Jacob et al., "Quantization and training of neural networks for efficient
    integer-arithmetic-only inference", 2018.

    >>> moving_average(torch.tensor([0.0, 1.0, 0.0, 11.0]), batches=2).high.item()
    2.0
    """
    check_floats(values, "the values", axes=1)
    check_count(batches, "batches")
    if not 0 <= momentum < 1:
        raise ValueError(f"momentum is {momentum}: give a number from 0 to below 1")
    first, *later = [minmax(batch) for batch in values.chunk(batches, dim=-1)]
    low, high = first
    for batch in later:
        low = momentum * low + (1 - momentum) * batch.low
        high = momentum * high + (1 - momentum) * batch.high
    return Range(low, high)


def percentile(values: Tensor, outside: float = 0.001) -> Range:
    """Return the range that leaves a fraction of the values outside, half of it at each end.

    low = sorted[k], high = sorted[n - 1 - k], k = floor(outside · n / 2)

    Args:
        values: [..., n] floats.
        outside: the fraction that will be clipped, in [0, 1).

    Returns:
        Ends of shape [...].

    Raises:
        TypeError, ValueError: as in `minmax`, or a fraction that leaves none.

    Source: Wu et al., "Integer quantization for deep learning inference", 2020.

    >>> percentile(torch.tensor([5.0, -90.0, 1.0, 2.0, 70.0]), outside=0.4)
    Range(low=tensor(1.), high=tensor(5.))
    """
    check_floats(values, "the values", axes=1)
    if not 0 <= outside < 1:
        raise ValueError(f"outside is {outside}: give a fraction of the values, from 0 to below 1")
    ordered = values.sort(dim=-1).values
    k = int(outside * values.shape[-1] / 2)
    return Range(ordered[..., k], ordered[..., values.shape[-1] - 1 - k])


def mse(values: Tensor, scheme: Callable[..., QParams], bits: int, candidates: int = 100) -> Range:
    """Return the range whose grid has the least mean squared error, clipping included.

    c* = argmin over c = 1/candidates … 1 of mean (v - v̂)²,  range = c* · (min, max)

    Args:
        values: [..., n] floats; each row chooses its own c.
        scheme: lays the grid, such as `symmetric`.
        bits: of the grid.
        candidates: how many c to try.

    Returns, Raises: as in `minmax`, and what `scheme` refuses.

    Source: Nagel et al., "A white paper on neural network quantization", 2021.

    >>> from pruneedu.quantization.schemes import symmetric
    >>> mse(torch.tensor([1.0] * 99 + [1.5]), symmetric, bits=2).high.item()
    1.0049999952316284
    """
    check_count(candidates, "candidates")
    low, high = minmax(values)
    shares = torch.arange(candidates, 0, -1) / candidates
    errors = []
    for share in shares.tolist():
        grid = scheme(share * low, share * high, bits)
        # In float64, where the square of a large or small number is neither infinite nor 0.
        errors.append((values - round_to_grid(values, grid)).double().square().mean(-1))
    # The first of equals is the widest.
    best = shares.to(values)[torch.stack(errors).argmin(0)]
    return Range(best * low, best * high)


def kl(values: Tensor, bits: int, candidates: int = 64) -> Range:
    """Return the symmetric range whose grid keeps the most information about how large values are.

    T* = argmin over T of KL(P ‖ Q) = Σ P log(P / Q)

    P is the histogram of |v|, what lies above T counted in the last bin below T. Q is the same
    without what lies above, its bins merged into 2^(bits - 1) and spread evenly over those that
    held something.

    Args:
        values: [..., n] floats; each row chooses its own T, which takes a moment.
        bits: 2 to 8.
        candidates: how many T to try, equally spaced up to the largest |v|.

    Returns:
        Ends (-T, T) of shape [...].

    Raises:
        TypeError, ValueError: as in `minmax`.

    Source: Migacz, "8-bit inference with TensorRT", 2017.

    >>> values = torch.cat([torch.linspace(-1, 1, 1001), torch.tensor([10.0])])
    >>> kl(values, bits=8).high.item() < 2
    True
    """
    check_floats(values, "the values", axes=1)
    check_count(candidates, "candidates")
    rows = values.detach().abs().reshape(-1, values.shape[-1])
    levels = 2 ** (check_bits(bits) - 1)
    high = torch.stack([_kl_threshold(row, levels, candidates) for row in rows])
    high = high.reshape(values.shape[:-1])
    return Range(-high, high)


def _kl_threshold(sizes: Tensor, levels: int, candidates: int) -> Tensor:
    """Return the T of one row of |v|. There are `candidates` bins for each level."""
    top = sizes.max()
    if top == 0:
        return top
    bins = levels * candidates
    places = (sizes / top * bins).long().clamp_max(bins - 1)
    counts = torch.bincount(places, minlength=bins).double()
    divergences = [_divergence(counts, levels, merged) for merged in range(1, candidates + 1)]
    return top * ((1 + divergences.index(min(divergences))) / candidates)


def _divergence(counts: Tensor, levels: int, merged: int) -> float:
    """Return KL(P ‖ Q) of a T above which lie all but the first levels · merged bins."""
    kept = counts[: levels * merged]
    p = kept.clone()
    p[-1] += counts[len(kept) :].sum()
    held = (kept > 0).reshape(levels, merged)
    q = kept.reshape(levels, merged).sum(1, keepdim=True) / held.sum(1, keepdim=True).clamp_min(1)
    # Where values above T meet an empty bin Q is 0: a little instead keeps the sum finite.
    q = (q * held).flatten().clamp_min(1e-6 * float(kept.sum().clamp_min(1)))
    p, q = p / p.sum(), q / q.sum()
    return torch.special.xlogy(p, p / q).sum().item()
