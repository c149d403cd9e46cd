"""More examples than there are: copies of images, each turned, stretched and bent a little."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import grid_sample, interpolate

from pruneedu.data import Split


def warp(
    x: Tensor,
    seed: int,
    rotation: float = 8.0,
    scale: float = 0.06,
    shear: float = 0.1,
    shift: float = 1.2,
    elastic: float = 0.56,
) -> Tensor:
    """Return each image turned, scaled, sheared, shifted and bent at random.

    The value at a place p of the new image is that of the old one at ``A p + t + e(p)``. A and t
    are drawn evenly from ± the given ends; e bends smoothly between normal numbers at 5 × 5 places.

    Args:
        x: images [N, channels, height, width]; what comes in from outside the frame is 0.
        seed: of the draws. They are made on the CPU, so that devices agree.
        rotation: degrees.
        scale: a fraction of the size.
        shear: pixels to the side for each pixel of height.
        shift: pixels.
        elastic: standard deviation of e, in pixels.

    Returns:
        New images of the same shape.

    Raises:
        ValueError: x that holds no images.

    Source: Simard, Steinkraus and Platt, "Best practices for convolutional neural networks applied
    to visual document analysis", 2003.

    >>> image = torch.eye(8)[None, None]
    >>> warp(image, seed=0).shape
    torch.Size([1, 1, 8, 8])
    >>> nothing = dict.fromkeys(["rotation", "scale", "shear", "shift", "elastic"], 0)
    >>> torch.allclose(warp(image, seed=0, **nothing), image, atol=1e-6)
    True
    """
    if x.ndim != 4:
        raise ValueError(f"x has shape {list(x.shape)}: give images [N, channels, height, width]")
    generator = torch.Generator().manual_seed(seed)
    ends = torch.tensor([math.radians(rotation), scale, shear, shift, shift])
    warped = []
    for images in x.split(4096):  # The places of all pixels of all images at once are many.
        draws = ends * (2 * torch.rand(len(images), 5, generator=generator) - 1)
        bends = elastic * torch.randn(len(images), 2, 5, 5, generator=generator)
        places = _places(draws, bends, *x.shape[2:]).to(images)
        warped.append(grid_sample(images, places, align_corners=False))
    return torch.cat(warped)


def _places(draws: Tensor, bends: Tensor, height: int, width: int) -> Tensor:
    """Return where in the old image each pixel of the new one comes from: [N, height, width, 2]."""
    angle, growth, shear, *shift = draws.unbind(1)
    across, down = torch.meshgrid(
        torch.arange(width) - (width - 1) / 2,
        torch.arange(height) - (height - 1) / 2,
        indexing="xy",
    )
    cos, sin = ((1 + growth) * part for part in (angle.cos(), angle.sin()))
    cos, sin, shear, right, lower = (v[:, None, None] for v in (cos, sin, shear, *shift))
    slanted = across + shear * down
    bends = interpolate(bends, (height, width), mode="bicubic", align_corners=True)
    x = cos * slanted - sin * down + right + bends[:, 0]
    y = sin * slanted + cos * down + lower + bends[:, 1]
    # grid_sample counts from -1 at one edge of the image to 1 at the other.
    return torch.stack([2 * x / width, 2 * y / height], dim=-1)


def augmented(split: Split, copies: int, change: Callable[[Tensor, int], Tensor] = warp) -> Split:
    """Return a split with changed copies of its examples behind them, under the same labels.

    Args:
        split: x [N, …] and y [N, …].
        copies: how many times each example comes again, each time changed differently.
        change: (x, seed) -> x, such as ``partial(warp, rotation=15.0)``.

    Returns:
        N · (1 + copies) examples, the first N unchanged.

    >>> images = Split(torch.rand(3, 1, 8, 8), torch.tensor([0, 1, 2]))
    >>> augmented(images, copies=2).y
    tensor([0, 1, 2, 0, 1, 2, 0, 1, 2])
    """
    changed = [change(split.x, seed) for seed in range(copies)]
    return Split(torch.cat([split.x, *changed]), torch.cat([split.y] * (1 + copies)))
