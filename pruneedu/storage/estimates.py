"""What a weight would cost in a file, estimated before anything is coded."""

from __future__ import annotations

from math import isqrt

from torch import Tensor
from torch.nn.functional import avg_pool2d

from pruneedu.tensors import Masks, Scores

_MOST = 9.0  # Bits; a weight that is alone in its row and column costs no more in practice.


def position_bits(masks: Masks) -> Scores:
    """Estimate what the arithmetic coder needs to tell that an entry is kept, in bits.

    ``bits = log2((1 - p) / p)`` from 0 to 9, the cost of a 1 less that of a 0, where

    ``logit p = logit row + logit column - logit layer``

    are the fractions kept there. Where a row shows small images, 0.7 of this, and 0.42 of how far
    the logit of the fraction kept in the 3 × 3 places around is above the layer's: the coder has
    these contexts too, and no two of them say independent things.

    Args:
        masks: weight-level masks, in the order of the layers.

    Returns:
        Weight-level scores: low where other weights are kept, so where one more is cheap.

    >>> import torch
    >>> mask = torch.tensor([[True, True, False], [True, True, False], [False, False, False]])
    >>> position_bits({"fc1.weight": mask})["fc1.weight"].round(decimals=1)
    tensor([[0.0000, 0.0000, 1.8000],
            [0.0000, 0.0000, 1.8000],
            [1.8000, 1.8000, 5.3000]])
    """
    bits, units = {}, 1
    for name, mask in masks.items():
        rows = mask.flatten(1).float()
        layer = _logit(rows.sum(), rows.numel())
        inputs = _logit(rows.sum(0), len(rows)) - layer
        log_odds = _logit(rows.sum(1), rows.shape[1])[:, None] + inputs
        if (width := _width(mask, units)) > 1:
            images = rows.view(len(rows), -1, width, width)
            log_odds = 0.7 * log_odds + 0.42 * (_around(images).view_as(rows) - layer)
        # Natural logarithms to bits.
        bits[name] = (-log_odds / 0.6931472).clamp(0, _MOST).view(mask.shape)
        units = len(mask)
    return bits


def _logit(kept: Tensor, entries: int) -> Tensor:
    """Return log(kept / dropped), as if half an entry more were kept and half dropped."""
    return ((kept + 0.5) / (entries - kept + 0.5)).log()


def _width(mask: Tensor, units: int) -> int:
    """Return the width of the square images that a row shows: kernels, or positions of a unit."""
    if mask.ndim == 4:
        return mask.shape[3]
    inputs = mask.shape[1] // units
    return isqrt(inputs) if isqrt(inputs) ** 2 == inputs else 1


def _around(images: Tensor) -> Tensor:
    """Return the logit of the fraction kept among the 3 × 3 places around each.

    A tenth place is as full as the layer: an empty neighbourhood says less of a sparse layer.
    """
    near = 0.9 * avg_pool2d(images, 3, stride=1, padding=1) + 0.1 * images.mean()
    return near.logit(eps=1e-6)
