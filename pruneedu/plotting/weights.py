"""Pictures of weights: how large they are, and which of them stay."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from pruneedu.plotting.style import COLOURS, array, blank, check_count, format_axis, words

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure

_FINEST = 150  # rows and columns of blocks that a larger matrix is drawn with


def histograms(weights: Mapping[str, object], xlabel: str = "weight", title: str = "") -> Figure:
    """Draw one histogram of the nonzero weights per label, and say how many are exactly zero.

    Args:
        weights: label, such as a layer or a method, -> weights of any shape; at most 7.
        xlabel: what the numbers are.
        title: a heading, or nothing.

    Returns:
        A figure with one panel per label, all with the same bins, three in a row.

    Raises:
        ValueError: no label, more than 7, no weight, a number that is not finite.

    >>> print(histograms({"fc1": [-1.0, 0.0, 0.0, 3.0]}).alt[38:])
    fc1: 50.0 % of 4 are exactly zero; from -1 to 3, median 0.
    """
    check_count(list(weights), "histograms")
    numbers = {label: array(value, label).ravel() for label, value in weights.items()}
    columns = min(3, len(numbers))
    rows = -(-len(numbers) // columns)
    figure, panels = blank(columns, rows, width=max(4.0, 2.4 * columns), height=2.6 * rows)
    edges = np.histogram_bin_edges(np.concatenate(list(numbers.values())), bins=40)
    for panel, (label, values) in zip(panels, numbers.items(), strict=False):
        panel.hist(values[values != 0], bins=edges, color=COLOURS[0])
        panel.axvline(0, color=COLOURS[1], linestyle="--", linewidth=1)
        panel.set_title(f"{label}\n{_zeros(values)} are exactly 0", size=10)
        panel.set(xlabel=xlabel, ylabel="weights per bin")
        format_axis(panel.yaxis)
    for panel in panels[len(numbers) :]:
        panel.set_axis_off()
    figure.suptitle(title)
    sentences = [_sentence(label, values) for label, values in numbers.items()]
    figure.alt = f"Histograms of {xlabel}, zeros left out. {' '.join(sentences)}"
    return figure


def mask_map(
    masks: Mapping[str, Tensor], pixels: tuple[int, int] | None = None, title: str = ""
) -> Figure:
    """Draw which weights stay: a matrix per tensor, and the first one's inputs as an image.

    A row of the matrix is an output unit, a column one of its inputs. Where the matrix is larger
    than the picture, a point is the share kept of the block behind it. The colours run from none
    kept to all kept, whatever the masks, so that two maps can be compared; as the root of the
    share, so that few weights can still be seen.

    Args:
        masks: name -> mask (`True` = keep) or weights (not zero = keep), [out, in, …]; at most 3.
        pixels: height and width of the input image; adds a panel that counts, for each pixel, the
            weights of the first tensor that stay.
        title: a heading, or nothing.

    Returns:
        A figure whose `alt` says what is kept, and how many rows and columns are empty.

    Raises:
        ValueError: no tensor, more than 3, one without rows and columns, or another number of
            inputs than pixels.

    >>> import torch
    >>> mask_map({"fc1.weight": torch.tensor([[True, False], [False, False]])}).alt
    'Map of the weights kept. fc1.weight: 25.0 % of 2 × 2; 1 row and 1 column empty.'
    """
    if not 1 <= len(masks) <= 3:
        raise ValueError(f"there are {len(masks)} masks; expected 1 to 3: pass the layers to show")
    kept = {name: matrix(name, mask) for name, mask in masks.items()}
    columns = len(kept) + (pixels is not None)
    figure, panels = blank(columns, width=0.8 + 3.2 * columns, height=3.4)
    sentences = [
        draw_matrix(panel, name, mask)
        for panel, (name, mask) in zip(panels, kept.items(), strict=False)
    ]
    if pixels is not None:
        sentences.append(_draw_pixels(panels[-1], *next(iter(kept.items())), pixels))
    figure.suptitle(title)
    figure.alt = f"Map of the weights kept. {' '.join(sentences)}"
    return figure


def _zeros(values: np.ndarray) -> str:
    return words(np.mean(values == 0), percent=True)


def _sentence(label: str, values: np.ndarray) -> str:
    low, middle, high = (words(part) for part in (values.min(), np.median(values), values.max()))
    return (
        f"{label}: {_zeros(values)} of {values.size:,} are exactly zero; "
        f"from {low} to {high}, median {middle}."
    )


def matrix(name: str, mask: Tensor) -> np.ndarray:
    """Return what a mask or a weight keeps as [out, in · …], or raise and name it."""
    if mask.ndim < 2 or mask.numel() == 0:
        raise ValueError(f"{name} has shape {list(mask.shape)}; expected [out, in, …], not empty")
    return (mask.detach() != 0).flatten(1).cpu().numpy()


def draw_matrix(panel: Axes, name: str, mask: np.ndarray) -> str:
    """Draw a mask [rows, columns] on one panel and return the text alternative."""
    rows, columns = mask.shape
    where = {"extent": (0, columns, rows, 0), "aspect": "auto", "interpolation": "nearest"}
    drawn = panel.imshow(_shares(mask), cmap="Greys", norm=_none_to(1), **where)
    if max(mask.shape) > _FINEST:
        bar = panel.figure.colorbar(drawn, ax=panel, label="share kept behind a point")
        format_axis(bar.ax.yaxis, percent=True)
    share = words(mask.mean(), percent=True)
    panel.locator_params(integer=True)
    panel.set(xlabel="input", ylabel="output unit")
    panel.set_title(f"{name}: {share} kept", size=10)
    no_row, no_column = rows - mask.any(1).sum(), columns - mask.any(0).sum()
    empty = f"{_count(no_row, 'row')} and {_count(no_column, 'column')} empty"
    return f"{name}: {share} of {rows} × {columns}; {empty}."


def _none_to(most: int) -> Normalize:
    from matplotlib.colors import PowerNorm

    return PowerNorm(0.5, vmin=0, vmax=most)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _shares(mask: np.ndarray) -> np.ndarray:
    shares = mask.astype(float)
    for axis, size in enumerate(mask.shape):
        starts = np.linspace(0, size, min(size, _FINEST), endpoint=False).astype(int)
        widths = np.diff(starts, append=size)
        shares = np.add.reduceat(shares, starts, axis) / np.expand_dims(widths, 1 - axis)
    return shares


def _draw_pixels(panel: Axes, name: str, mask: np.ndarray, pixels: tuple[int, int]) -> str:
    height, width = pixels
    if mask.shape[1] != height * width:
        raise ValueError(
            f"{name} has {mask.shape[1]} inputs and pixels is {pixels}, "
            f"so {height * width} of them; expected the same number"
        )
    counts = mask.sum(0).reshape(height, width)
    look = {"cmap": "viridis", "interpolation": "nearest"}
    drawn = panel.imshow(counts, norm=_none_to(len(mask)), **look)
    panel.figure.colorbar(drawn, ax=panel, label="weights kept per pixel")
    panel.set(xlabel="pixel column", ylabel="pixel row")
    panel.set_title(f"inputs of {name}", size=10)
    row, column = np.unravel_index(counts.argmax(), counts.shape)
    return (
        f"As an image of {height} × {width}: {_count((counts == 0).sum(), 'pixel')} cut off; "
        f"the one in row {row}, column {column} keeps most weights, {counts.max()}."
    )
