"""Figures for the lessons: pure functions of data, each with a text alternative."""

from pruneedu.plotting.bars import bars
from pruneedu.plotting.explorer import mask_beside_curves
from pruneedu.plotting.lines import curves, sensitivity
from pruneedu.plotting.notebook import show
from pruneedu.plotting.pictures import images
from pruneedu.plotting.points import scatter
from pruneedu.plotting.units import unit_explorer, unit_histograms
from pruneedu.plotting.weights import histograms, mask_map

__all__ = [
    "bars",
    "curves",
    "histograms",
    "images",
    "mask_beside_curves",
    "mask_map",
    "scatter",
    "sensitivity",
    "show",
    "unit_explorer",
    "unit_histograms",
]
