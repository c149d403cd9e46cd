"""A map of masks beside a curve: the picture of a widget that explores criteria."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from torch import Tensor

from pruneedu.plotting.lines import draw_curves
from pruneedu.plotting.style import COLOURS, blank, words
from pruneedu.plotting.weights import draw_matrix, matrix

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def mask_beside_curves(
    masks: Mapping[str, Tensor],
    series: Mapping[str, tuple],
    sparsity: float,
    ylabel: str,
    title: str = "",
    *,
    places: Mapping[str, int] | None = None,
) -> Figure:
    """Draw which weights of one tensor stay, beside what the network keeps at each sparsity.

    Args:
        masks: name -> mask or weights, as in :func:`mask_map`; one.
        series: label -> (sparsities [points], y [points] or [seeds, points]); at most 7.
        sparsity: where the masks stand, marked in the right panel.
        ylabel: what y is: a fraction, shown as a percentage.
        title: a heading, or nothing.
        places: label -> its place in the palette, as for :func:`curves`.

    Returns:
        A figure with two panels, the right one from 0 on, whose `alt` says both.

    Raises:
        ValueError: another number of masks; as for :func:`curves`.

    >>> import torch
    >>> kept = {"fc1.weight": torch.tensor([[True, False]])}
    >>> figure = mask_beside_curves(kept, {"a": ([0, 0.9], [0.9, 0.5])}, 0.5, "accuracy")
    >>> figure.alt[:68]
    'fc1.weight at sparsity 50.0 %: 50.0 % of 1 × 2; 0 rows and 1 column '
    """
    if len(masks) != 1:
        raise ValueError(f"there are {len(masks)} masks; expected one: pass the layer to show")
    ((name, mask),) = masks.items()
    figure, (left, right) = blank(columns=2, width=8.4, height=3.6)
    said = draw_matrix(left, name, matrix(name, mask)).removeprefix(f"{name}: ")
    lines = draw_curves(right, series, "sparsity", ylabel, "xy", places)
    right.set_ylim(bottom=0)  # so that the axis stays where it is when a control moves
    right.axvline(sparsity, color=COLOURS[4], linestyle="--", linewidth=1)
    figure.suptitle(title)
    figure.alt = f"{name} at sparsity {words(sparsity, percent=True)}: {said} {lines}"
    return figure
