"""Criteria: how much does each weight, unit or layer matter? Functions from a model to scores."""

from pruneedu.pruning.criteria.activations import apoz, wanda
from pruneedu.pruning.criteria.before_training import (
    grasp,
    snip,
    synflow,
)
from pruneedu.pruning.criteria.gradients import (
    gradient,
    record_gradients_,
    sensitivity,
)
from pruneedu.pruning.criteria.information import (
    entropy,
    mutual_information,
    output_entropy,
)
from pruneedu.pruning.criteria.loss_change import (
    fisher,
    taylor,
    taylor_units,
)
from pruneedu.pruning.criteria.weights import batchnorm_scale, magnitude, random

__all__ = [
    "apoz",
    "batchnorm_scale",
    "entropy",
    "fisher",
    "gradient",
    "grasp",
    "magnitude",
    "mutual_information",
    "output_entropy",
    "random",
    "record_gradients_",
    "sensitivity",
    "snip",
    "synflow",
    "taylor",
    "taylor_units",
    "wanda",
]
