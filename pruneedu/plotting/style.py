"""What the figures share: colours, markers, an empty figure, and numbers in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000", "#E69F00", "#56B4E9")
"""Okabe and Ito's palette without its yellow, too pale for a line on white.

Okabe, Ito: Color Universal Design, 2008.
"""

MARKERS = ("o", "s", "^", "D", "v", "P", "X")
DASHES = ("-", "--", ":")


def blank(
    columns: int = 1, rows: int = 1, width: float = 6.0, height: float = 3.6
) -> tuple[Figure, list[Axes]]:
    """Return an empty figure of `rows` × `columns` panels, row by row; sizes in inches.

    >>> figure, panels = blank(columns=2)
    >>> len(panels)
    2
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=100, layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel().tolist()
    for panel in panels:
        panel.spines[["top", "right"]].set_visible(False)
    return figure, panels


def array(values: object, name: str) -> np.ndarray:
    """Return finite numbers as a float array; tensors and lists are welcome.

    Raises ValueError, naming `name`, when there are none or one is not finite.

    >>> array([1, 2], "loss")
    array([1., 2.])
    """
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu().numpy()
    numbers = np.asarray(values, dtype=float)
    if numbers.size == 0:
        raise ValueError(f"{name} is empty; expected at least one number to draw")
    if not np.isfinite(numbers).all():
        bad = numbers[~np.isfinite(numbers)][0]
        raise ValueError(f"{name} holds {bad}; expected finite numbers: leave that point out")
    return numbers


def check_count(labels: Sequence[str], kind: str) -> None:
    """Refuse none, and more than the palette can tell apart.

    >>> check_count([], "series")
    Traceback (most recent call last):
        ...
    ValueError: there are 0 series; expected 1 to 7, as many as colours: split the figure
    """
    if not 1 <= len(labels) <= len(COLOURS):
        raise ValueError(
            f"there are {len(labels)} {kind}; expected 1 to {len(COLOURS)}, "
            f"as many as colours: split the figure"
        )


def format_axis(axis: Axis, percent: bool = False) -> None:
    """Show an axis's fractions as percentages, or its numbers with thousands set apart."""
    from matplotlib.ticker import PercentFormatter, StrMethodFormatter

    if percent:
        axis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
    else:
        axis.set_major_formatter(StrMethodFormatter("{x:,.10g}"))


def words(value: float, percent: bool = False, digits: int | None = None) -> str:
    """Return a number as the text alternatives say it, with `digits` decimals where they are given.

    >>> words(0.9731, percent=True), words(266610), words(0.00012345), words(-0.0)
    ('97.3 %', '266,610', '0.0001234', '0')
    >>> words(0.8567, digits=2), words(0.8567, percent=True, digits=0)
    ('0.86', '86 %')
    """
    if percent:
        return f"{100 * value:.{1 if digits is None else digits}f} %"
    if digits is not None:
        return f"{round(value, digits) or 0:,.{digits}f}"
    if abs(value) >= 1000 or float(value).is_integer():
        return f"{value or 0:,.0f}"  # pruned negative weights are -0.0
    return f"{value:.4g}"
