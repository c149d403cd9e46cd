"""pruneedu: a course you run, and the small library that it teaches.

statistic → plan → rewrite → report, and every arrow is a value that can be printed:

>>> import pruneedu as pe
>>> model = pe.models.mlp(64, 32, 10)
>>> scores = pe.magnitude(model)
>>> masks = pe.keep_top(scores, sparsity=0.8)
>>> round(pe.sparsity(masks), 3)
0.8
>>> sparse = pe.apply_masks(model, masks)

A name is imported when it is first asked for, so that `pruneedu --help` needs no PyTorch.
"""

from importlib import import_module

__version__ = "0.1.0"

_HOMES = {
    "pruneedu.data": ("load",),
    "pruneedu.evaluation": (
        "accuracy",
        "evaluate",
        "macro_f1",
    ),
    "pruneedu.measuring": ("measure",),
    "pruneedu.pipelines": ("pipeline",),
    "pruneedu.pruning": (
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
    ),
    "pruneedu.seeds": ("seed_everything",),
    "pruneedu.tensors": (
        "Masks",
        "Scores",
        "per_layer",
        "per_unit",
        "prunable",
        "sparsity",
    ),
    "pruneedu.training": ("fit",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}
_MODULES = (
    *("data", "distillation", "lowrank", "models", "plotting", "quantization", "regularization"),
    *("sharing", "storage"),
)

__all__ = sorted((*_HOME_OF, *_MODULES))


def __getattr__(name: str):
    """Import a public name and keep it."""
    if name in _HOME_OF:
        value = getattr(import_module(_HOME_OF[name]), name)
    elif name in _MODULES:
        value = import_module(f"{__name__}.{name}")
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Name what completion offers."""
    return [*__all__, "__version__"]
