"""pruneedu: a course you run, and the small library that it teaches.

statistic → plan → rewrite → report, and every arrow is a value that can be printed:

>>> import pruneedu as pe
>>> model = pe.models.mlp(64, 32, 10)
>>> scores = pe.magnitude(model)
>>> masks = pe.keep_top(scores, sparsity=0.8)
>>> round(pe.sparsity(masks), 3)
0.8
>>> sparse = pe.apply_masks(model, masks)
"""

from pruneedu import data, models, plotting, regularization
from pruneedu.data import load
from pruneedu.evaluation import accuracy, evaluate, macro_f1
from pruneedu.measuring import measure
from pruneedu.pruning import (
    ablation,
    apoz,
    apply_masks,
    apply_masks_,
    batchnorm_scale,
    cubic,
    entropy,
    fisher,
    gradient,
    grasp,
    input_masks,
    iterative,
    keep_top,
    magnitude,
    mutual_information,
    mutual_information_of_inputs,
    one_shot,
    output_entropy,
    overlap,
    per_input,
    prune_iteratively,
    random,
    rank_correlation,
    record_gradients_,
    sensitivity,
    snip,
    svm_weight,
    synflow,
    taylor,
    taylor_units,
    tree_importance,
    wanda,
)
from pruneedu.seeds import seed_everything
from pruneedu.tensors import Masks, Scores, per_layer, per_unit, prunable, sparsity
from pruneedu.training import fit

__version__ = "0.1.0"

__all__ = [
    "Masks",
    "Scores",
    "ablation",
    "accuracy",
    "apoz",
    "apply_masks",
    "apply_masks_",
    "batchnorm_scale",
    "cubic",
    "data",
    "entropy",
    "evaluate",
    "fisher",
    "fit",
    "gradient",
    "grasp",
    "input_masks",
    "iterative",
    "keep_top",
    "load",
    "macro_f1",
    "magnitude",
    "measure",
    "models",
    "mutual_information",
    "mutual_information_of_inputs",
    "one_shot",
    "output_entropy",
    "overlap",
    "per_input",
    "per_layer",
    "per_unit",
    "plotting",
    "prunable",
    "prune_iteratively",
    "random",
    "rank_correlation",
    "record_gradients_",
    "regularization",
    "seed_everything",
    "sensitivity",
    "snip",
    "sparsity",
    "svm_weight",
    "synflow",
    "taylor",
    "taylor_units",
    "tree_importance",
    "wanda",
]
