"""Figures for the lessons: pure functions of data, each with a text alternative."""

from pruneedu.plotting.lines import curves
from pruneedu.plotting.notebook import show

__all__ = ["curves", "show"]
