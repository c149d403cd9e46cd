"""Scatter plots: one point per weight, where two numbers and a third meet."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pruneedu.plotting.style import array, blank, words

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def scatter(
    x: object, y: object, value: object, labels: tuple[str, str, str], title: str = ""
) -> Figure:
    """Draw one point per entry, all three numbers on logarithmic scales; dark is low, bright high.

    Args:
        x: positive numbers [points].
        y: positive numbers [points].
        value: positive numbers [points], shown as colour.
        labels: what x, y and value are, with their units.
        title: a heading, or nothing.

    Returns:
        A figure whose `alt` says the median of value in the four corners: where x and y are in
        their lowest or highest third.

    Raises:
        ValueError: no point, different lengths, a number that is not finite or not positive.

    >>> size, pull, harm = [1.0, 1.0, 4.0], [1.0, 1.0, 4.0], [1.0, 2.0, 8.0]
    >>> scatter(size, pull, harm, ("size", "pull", "harm")).alt[-63:]
    'Median of harm: low size, low pull 1.5; high size, high pull 8.'
    """
    numbers = [array(v, label).ravel() for v, label in zip((x, y, value), labels, strict=True)]
    for label, values in zip(labels, numbers, strict=True):
        if len(values) != len(numbers[0]):
            raise ValueError(
                f"{labels[0]} has {len(numbers[0])} points and {label} has {len(values)}: "
                "give as many of each"
            )
        if values.min() <= 0:
            raise ValueError(
                f"{label} holds {values.min():g}, which has no place on a logarithmic scale: "
                "leave that point out"
            )
    from matplotlib.colors import LogNorm

    figure, (panel,) = blank(width=6.4, height=4.2)
    # A few values near 0 would otherwise take most of the scale.
    norm = LogNorm(np.quantile(numbers[2], 0.02), numbers[2].max())
    look = {"s": 14, "linewidths": 0, "norm": norm, "cmap": "viridis"}
    drawn = panel.scatter(numbers[0], numbers[1], c=numbers[2], **look)
    panel.set(xscale="log", yscale="log", xlabel=labels[0], ylabel=labels[1], title=title)
    figure.colorbar(drawn, ax=panel, label=labels[2])
    figure.alt = (
        f"Scatter plot of {len(numbers[0]):,} points: {labels[1]} against {labels[0]}, both "
        f"logarithmic, coloured by {labels[2]}. {_corners(*numbers, labels)}"
    )
    return figure


def _corners(x: np.ndarray, y: np.ndarray, value: np.ndarray, labels: tuple[str, ...]) -> str:
    """Say the median of the values in each corner that has a point."""
    ends = {
        "low": lambda numbers: numbers <= np.quantile(numbers, 1 / 3),
        "high": lambda numbers: numbers >= np.quantile(numbers, 2 / 3),
    }
    corners = {
        f"{left} {labels[0]}, {down} {labels[1]}": value[ends[left](x) & ends[down](y)]
        for left in ends
        for down in ends
    }
    said = [f"{name} {words(np.median(found))}" for name, found in corners.items() if len(found)]
    return f"Median of {labels[2]}: {'; '.join(said)}."
