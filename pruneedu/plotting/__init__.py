"""Figures for the lessons: pure functions of data, each with a text alternative."""

from pruneedu.plotting.bars import bars
from pruneedu.plotting.lines import curves, sensitivity
from pruneedu.plotting.notebook import show
from pruneedu.plotting.pictures import images
from pruneedu.plotting.weights import histograms, mask_map

__all__ = ["bars", "curves", "histograms", "images", "mask_map", "sensitivity", "show"]
