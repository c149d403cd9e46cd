"""Images of a data set in a grid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch import Tensor

from pruneedu.plotting.style import blank

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLUMNS = 6


def images(pictures: Tensor, titles: Sequence[object], title: str = "") -> Figure:
    """Draw images in rows of six, each under its own title, dark to bright as the data set is.

    Args:
        pictures: [N, 1 or 3, height, width], or [N, height, width].
        titles: one for each picture, such as its class.
        title: a heading, or nothing.

    Returns:
        A figure whose `alt` says how many pictures, of what size, and their titles.

    Raises:
        ValueError: another shape, no picture, or another number of titles.

    >>> import torch
    >>> images(torch.zeros(2, 1, 8, 8), ["seven", "two"]).alt
    '2 images of 8 × 8 pixels, in reading order: seven; two.'
    """
    pictures = _channels_last(pictures)
    if len(titles) != len(pictures):
        raise ValueError(
            f"there are {len(titles)} titles for {len(pictures)} images; expected one each"
        )
    columns = min(_COLUMNS, len(pictures))
    rows = -(-len(pictures) // columns)
    figure, panels = blank(columns, rows, width=1.15 * columns, height=1.45 * rows)
    for panel in panels:
        panel.set_axis_off()
    for panel, picture, text in zip(panels, pictures.numpy(), titles, strict=False):
        panel.imshow(picture, cmap="gray", interpolation="nearest")
        panel.set_title(str(text), fontsize=10)
    figure.suptitle(title)
    height, width = pictures.shape[1:3]
    figure.alt = (
        f"{len(pictures)} images of {height} × {width} pixels, in reading order: "
        f"{'; '.join(' '.join(str(text).split()) for text in titles)}."
    )
    return figure


def _channels_last(pictures: Tensor) -> Tensor:
    shape = list(pictures.shape)
    pictures = pictures.detach().cpu()
    if pictures.ndim == 3:
        pictures = pictures[:, None]
    if pictures.ndim != 4 or pictures.shape[1] not in (1, 3) or 0 in shape:
        raise ValueError(
            f"pictures has shape {shape}; expected [N, 1 or 3, height, width] with N ≥ 1"
        )
    return pictures.movedim(1, -1)
