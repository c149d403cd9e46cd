"""Line plots: the mean over seeds, with a band from the least to the greatest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from pruneedu.plotting.bars import draw_bars
from pruneedu.plotting.style import (
    COLOURS,
    DASHES,
    MARKERS,
    array,
    blank,
    check_count,
    format_axis,
    words,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def curves(
    series: Mapping[str, tuple],
    xlabel: str,
    ylabel: str,
    title: str = "",
    *,
    percent: str = "",
    places: Mapping[str, int] | None = None,
) -> Figure:
    """Draw one line per series; where there are several seeds, their mean and min–max band.

    Args:
        series: label -> (x [points], y [points] or [seeds, points]); at most 7.
        xlabel: what x is, with its unit.
        ylabel: what y is, with its unit.
        title: a heading, or nothing.
        percent: the axes whose fractions are shown as percentages: "", "x", "y" or "xy".
        places: label -> its place in the palette, so that it looks alike in several figures: from
            7 on the colours come again, dashed, and from 14 on dotted. By default the order.

    Returns:
        A figure whose `alt` says each series' ends, its highest point and its widest band.

    Raises:
        ValueError: no series, more than 7, lengths that do not fit, numbers that are not finite,
            a place outside 0 … 20.

    >>> figure = curves({"a": ([0, 0.5], [0.9, 0.8])}, "sparsity", "accuracy", percent="y")
    >>> print(figure.alt)  # doctest: +ELLIPSIS
    Line plot of accuracy against sparsity (from 0 to 0.5). a: 90.0 % at 0, 80.0 % at 0.5; ...
    """
    figure, (panel,) = blank()
    figure.alt = draw_curves(panel, series, xlabel, ylabel, percent, places)
    panel.set_title(title)
    return figure


def sensitivity(
    series: Mapping[str, tuple],
    sizes: Mapping[str, int],
    xlabel: str = "sparsity of this layer alone",
    ylabel: str = "accuracy",
    title: str = "",
) -> Figure:
    """Draw how much each layer alone matters, beside how much of the network it is.

    Args:
        series: layer -> (sparsities [points], accuracies [points] or [seeds, points]); at most 7.
        sizes: layer -> its number of weights, the same layers.
        xlabel: what was dropped.
        ylabel: the quality that was kept.
        title: a heading, or nothing.

    Returns:
        A figure with two panels, a layer in the same colour in both.

    Raises:
        ValueError: other layers in `sizes` than in `series`; as for :func:`curves`.

    >>> figure = sensitivity({"fc1": ([0, 0.9], [0.97, 0.95])}, {"fc1": 235_200})
    >>> print(figure.alt[-48:])
    Bar chart of weights in the layer. fc1: 235,200.
    """
    if set(series) != set(sizes):
        raise ValueError(
            f"series has the layers {', '.join(series)} and sizes has {', '.join(sizes)}; "
            "expected the same layers in both"
        )
    figure, (left, right) = blank(columns=2, width=8.0)
    lines = draw_curves(left, series, xlabel, ylabel, percent="xy")
    counts = {layer: sizes[layer] for layer in series}
    figure.alt = f"{lines} {draw_bars(right, counts, 'weights in the layer', COLOURS)}"
    figure.suptitle(title)
    return figure


def draw_curves(
    panel: Axes,
    series: Mapping[str, tuple],
    xlabel: str,
    ylabel: str,
    percent: str,
    places: Mapping[str, int] | None = None,
) -> str:
    """Draw `series` on one panel and return the text alternative."""
    if percent not in ("", "x", "y", "xy"):
        raise ValueError(f'percent is {percent!r}; expected "", "x", "y" or "xy"')
    check_count(list(series), "series")
    points = {label: _points(label, x, y) for label, (x, y) in series.items()}
    for order, (label, (x, y)) in enumerate(points.items()):
        look = _look(order if places is None else places[label])
        panel.plot(x, y.mean(0), markevery=max(1, len(x) // 10), label=label, **look)
        if len(y) > 1:
            panel.fill_between(x, y.min(0), y.max(0), color=look["color"], alpha=0.2, linewidth=0)
    panel.set(xlabel=xlabel, ylabel=ylabel)
    panel.grid(alpha=0.3)
    format_axis(panel.xaxis, "x" in percent)
    format_axis(panel.yaxis, "y" in percent)
    if len(series) > 1:
        panel.legend(frameon=False)
    start, end = min(x.min() for x, _ in points.values()), max(x.max() for x, _ in points.values())
    span = f"from {words(start, 'x' in percent)} to {words(end, 'x' in percent)}"
    sentences = [_sentence(label, x, y, percent) for label, (x, y) in points.items()]
    return f"Line plot of {ylabel} against {xlabel} ({span}). {' '.join(sentences)}"


def _look(place: int) -> dict[str, object]:
    """A colour with its marker; where the colours come again, the line and the marker differ."""
    turn, number = divmod(place, len(COLOURS))
    if not 0 <= turn < len(DASHES):
        raise ValueError(
            f"place is {place}; expected 0 to {len(COLOURS) * len(DASHES) - 1}, "
            f"as many as colours and dashes"
        )
    marker = MARKERS[(number + turn) % len(MARKERS)]
    look = {"color": COLOURS[number], "marker": marker, "markersize": 5}
    return look | {"linestyle": DASHES[turn]}


def _points(label: str, x: object, y: object) -> tuple[np.ndarray, np.ndarray]:
    x, y = array(x, f"x of {label}"), np.atleast_2d(array(y, f"y of {label}"))
    if x.ndim != 1 or y.ndim != 2 or y.shape[1] != len(x):
        raise ValueError(
            f"{label} has x of shape {list(x.shape)} and y of shape {list(y.shape)}; "
            f"expected [points] and [points] or [seeds, points]"
        )
    return x, y


def _sentence(label: str, x: np.ndarray, y: np.ndarray, percent: str) -> str:
    mean, span = y.mean(0), np.ptp(y, 0)

    def at(point: int) -> str:
        return f"{words(mean[point], 'y' in percent)} at {words(x[point], 'x' in percent)}"

    text = f"{label}: {at(0)}, {at(-1)}; highest {at(mean.argmax())}, lowest {at(mean.argmin())}"
    if len(y) == 1:
        return f"{text}."
    widest = span.argmax()
    low, high = (words(bound, "y" in percent) for bound in (y[:, widest].min(), y[:, widest].max()))
    where = words(x[widest], "x" in percent)
    return f"{text}; means of {len(y)} seeds, which differ most at {where} ({low} to {high})."
