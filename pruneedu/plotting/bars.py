"""Bar charts: one number per label, or its mean over seeds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from pruneedu.plotting.style import COLOURS, array, blank, format_axis, words

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def bars(
    values: Mapping[str, object], xlabel: str, title: str = "", *, percent: bool = False
) -> Figure:
    """Draw one horizontal bar per label, from zero; of several seeds, the mean and the range.

    Where there are seeds, numbers are rounded to the first digit in which they typically differ.

    Args:
        values: label -> a number, or [seeds].
        xlabel: what the numbers are, with their unit.
        title: a heading, or nothing.
        percent: whether fractions are shown as percentages.

    Returns:
        A figure whose `alt` says each bar's number.

    Raises:
        ValueError: no bar, an empty list, a number that is not finite.

    >>> bars({"dense": 0.97, "sparse": [0.94, 0.96]}, "accuracy", percent=True).alt
    'Bar chart of accuracy. dense: 97 %. sparse: 95 %, mean of 2 seeds (94 % to 96 %).'
    """
    if not values:
        raise ValueError("values is empty; expected at least one label with its number")
    figure, (panel,) = blank(height=1.2 + 0.4 * len(values))
    figure.alt = draw_bars(panel, values, xlabel, percent=percent)
    panel.set_title(title)
    return figure


def draw_bars(
    panel: Axes,
    values: Mapping[str, object],
    xlabel: str,
    colours: Sequence[str] = COLOURS[:1],
    percent: bool = False,
) -> str:
    """Draw the bars on one panel, the first at the top; return the text alternative."""
    seeds = {label: np.atleast_1d(array(value, label)) for label, value in values.items()}
    means = [value.mean() for value in seeds.values()]
    digits = _digits(seeds.values(), percent)
    panel.barh(list(seeds), means, color=colours, height=0.7)
    for row, (value, mean) in enumerate(zip(seeds.values(), means, strict=True)):
        if len(value) > 1:
            panel.plot([value.min(), value.max()], [row, row], "|-", color="black")
        end = max(0.0, value.max())
        said = words(mean, percent, digits)
        panel.annotate(said, (end, row), (6, 0), textcoords="offset points", va="center")
    panel.invert_yaxis()
    panel.margins(x=0.2)
    panel.locator_params(axis="x", nbins=5)
    panel.set_xlabel(xlabel)
    format_axis(panel.xaxis, percent)
    return f"Bar chart of {xlabel}. " + " ".join(
        f"{label}: {_said(value, percent, digits)}." for label, value in seeds.items()
    )


def _digits(seeds: Iterable[np.ndarray], percent: bool) -> int | None:
    """The decimals that the median spread over seeds supports; None where nothing spreads.

    >>> _digits([np.array([0.57, 0.62])], percent=False)
    2
    >>> _digits([np.array([0.57, 0.62])], percent=True)
    0
    """
    spreads = [spread for value in seeds if (spread := np.ptp(value)) > 0]
    if not spreads:
        return None
    first = np.floor(np.log10(np.median(spreads) * (100 if percent else 1)))
    return max(0, -int(first))


def _said(value: np.ndarray, percent: bool, digits: int | None) -> str:
    numbers = (value.mean(), value.min(), value.max())
    mean, low, high = (words(number, percent, digits) for number in numbers)
    return mean if len(value) == 1 else f"{mean}, mean of {len(value)} seeds ({low} to {high})"
