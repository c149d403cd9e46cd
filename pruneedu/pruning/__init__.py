"""Pruning: score (criteria), choose (selection), set to zero (masks), once or often (schedules)."""

from pruneedu.pruning.criteria import (
    batchnorm_scale,
    gradient,
    magnitude,
    random,
    record_gradients_,
)
from pruneedu.pruning.masks import apply_masks, apply_masks_
from pruneedu.pruning.schedules import cubic, iterative, one_shot, prune_iteratively
from pruneedu.pruning.selection import keep_top

__all__ = [
    "apply_masks",
    "apply_masks_",
    "batchnorm_scale",
    "cubic",
    "gradient",
    "iterative",
    "keep_top",
    "magnitude",
    "one_shot",
    "prune_iteratively",
    "random",
    "record_gradients_",
]
