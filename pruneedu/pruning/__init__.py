"""Pruning: score (criteria), choose (selection), set to zero (masks), once or often (schedules)."""

from pruneedu.pruning.ablation import ablation
from pruneedu.pruning.agreement import overlap, rank_correlation
from pruneedu.pruning.criteria import (
    apoz,
    batchnorm_scale,
    entropy,
    fisher,
    gradient,
    grasp,
    magnitude,
    mutual_information,
    output_entropy,
    random,
    record_gradients_,
    sensitivity,
    snip,
    synflow,
    taylor,
    taylor_units,
    wanda,
)
from pruneedu.pruning.features import (
    mutual_information_of_inputs,
    svm_weight,
    tree_importance,
)
from pruneedu.pruning.inputs import input_masks, per_input
from pruneedu.pruning.masks import apply_masks, apply_masks_
from pruneedu.pruning.schedules import cubic, iterative, one_shot, prune_iteratively
from pruneedu.pruning.selection import keep_top

__all__ = [
    "ablation",
    "apoz",
    "apply_masks",
    "apply_masks_",
    "batchnorm_scale",
    "cubic",
    "entropy",
    "fisher",
    "gradient",
    "grasp",
    "input_masks",
    "iterative",
    "keep_top",
    "magnitude",
    "mutual_information",
    "mutual_information_of_inputs",
    "one_shot",
    "output_entropy",
    "overlap",
    "per_input",
    "prune_iteratively",
    "random",
    "rank_correlation",
    "record_gradients_",
    "sensitivity",
    "snip",
    "svm_weight",
    "synflow",
    "taylor",
    "taylor_units",
    "tree_importance",
    "wanda",
]
