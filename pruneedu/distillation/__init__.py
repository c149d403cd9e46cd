"""Distillation: a student learns from what a teacher says and sees."""

from pruneedu.distillation.features import (
    attention,
    attention_map,
    feature_distillation,
    hint,
    relational,
)
from pruneedu.distillation.targets import born_again, distillation, soft_targets, teach
from pruneedu.distillation.watching import Watched

__all__ = [
    "Watched",
    "attention",
    "attention_map",
    "born_again",
    "distillation",
    "feature_distillation",
    "hint",
    "relational",
    "soft_targets",
    "teach",
]
