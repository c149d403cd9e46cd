"""Criteria: how much does each weight, unit or layer matter? Functions from a model to scores."""

from pruneedu.pruning.criteria.weights import magnitude, random

__all__ = ["magnitude", "random"]
