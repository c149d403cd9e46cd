"""Figures of units: how often a unit says what, and where a criterion that ranks units leads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pruneedu.plotting.lines import draw_curves
from pruneedu.plotting.style import COLOURS, array, blank, check_count, words

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def unit_histograms(values: Mapping[str, object], bins: int, notes: Mapping[str, str]) -> Figure:
    """Draw one histogram for each unit, over the unit's own range.

    Args:
        values: label -> [examples] what the unit says of each; at most 7.
        bins: of equal width, as many for each unit.
        notes: label -> a line below it, such as the unit's entropy.

    Returns:
        A figure whose `alt` says each unit's note, its range, and its fullest bin.

    Raises:
        ValueError: no unit, more than 7, no example, a number that is not finite.

    >>> unit_histograms({"unit 3": [0.0, 0.0, 0.0, 2.0]}, 4, {"unit 3": "0.56 nats"}).alt
    'unit 3, 0.56 nats: 4 bins from 0 to 2, and 75.0 % of the examples in the fullest.'
    """
    check_count(list(values), "units")
    figure, panels = blank(columns=len(values), width=3.4 * len(values), height=3.2)
    sentences = []
    for panel, (label, said) in zip(panels, values.items(), strict=True):
        sentences.append(f"{label}, {notes[label]}: {_draw_histogram(panel, said, bins)}")
        panel.set_title(f"{label}\n{notes[label]}", size=10)
    figure.alt = " ".join(sentences)
    return figure


def unit_explorer(
    said: object,
    bins: int,
    ranking: tuple[object, object, int],
    labels: tuple[str, str],
    series: Mapping[str, tuple],
) -> Figure:
    """Draw a criterion for units: what one unit says, its place in the ranking, and the cut.

    Args:
        said: [examples] what the unit says of each.
        bins: of its histogram.
        ranking: scores [units] by the criterion, scores [units] to compare with, the unit's number.
        labels: what the two scores are.
        series: label -> (shares of the units that went, accuracies), as for :func:`curves`.

    Returns:
        A figure with three panels, whose `alt` says all three.

    Raises:
        ValueError: nothing to draw, or a number that is not finite; as for :func:`curves`.

    >>> ranking, lines = ([0.5, 0.1], [0.2, 0.0], 0), {"entropy": ([0.0, 0.5], [0.9, 0.8])}
    >>> figure = unit_explorer([0.0, 2.0], 4, ranking, ("entropy", "ablation"), lines)
    >>> figure.alt.split(" Scatter")[0]
    'Unit 0: 4 bins from 0 to 2, and 50.0 % of the examples in the fullest.'
    """
    figure, (left, middle, right) = blank(columns=3, width=10.2, height=3.3)
    histogram = _draw_histogram(left, said, bins)
    left.set_title(f"unit {ranking[2]}", size=10)
    points = _draw_ranking(middle, *ranking, labels)
    axes = ("share of the units that went", "validation accuracy")
    lines = draw_curves(right, series, *axes, percent="xy")
    figure.alt = f"Unit {ranking[2]}: {histogram} {points} {lines}"
    return figure


def _draw_histogram(panel: Axes, said: object, bins: int) -> str:
    numbers = array(said, "what the unit says")
    counts, _, _ = panel.hist(numbers, bins=bins, color=COLOURS[0])
    panel.set(xlabel="what the unit says", ylabel="examples per bin")
    ends = f"from {words(numbers.min())} to {words(numbers.max())}"
    most = words(counts.max() / len(numbers), percent=True)
    return f"{bins} bins {ends}, and {most} of the examples in the fullest."


def _draw_ranking(
    panel: Axes, scores: object, others: object, unit: int, labels: tuple[str, str]
) -> str:
    x, y = (array(values, label) for values, label in zip((scores, others), labels, strict=True))
    panel.scatter(x, y, s=14, color=COLOURS[0])
    panel.scatter(x[unit], y[unit], s=90, facecolor="none", edgecolor=COLOURS[1], linewidth=2)
    panel.set(xlabel=labels[0], ylabel=labels[1])
    panel.grid(alpha=0.3)
    return (
        f"Scatter plot of {len(x)} units, {labels[1]} against {labels[0]}; unit {unit} is at "
        f"{words(x[unit])} and {words(y[unit])}."
    )
