"""Low rank: a layer as a product of two or three thinner ones."""

from pruneedu.lowrank.factors import (
    by_channel,
    by_input,
    by_space,
    spatial_svd,
    truncated_svd,
    tucker2,
)
from pruneedu.lowrank.ranks import (
    break_even,
    matrices,
    ranks_by_budget,
    ranks_by_energy,
    ranks_by_score,
)
from pruneedu.lowrank.rewriting import factorize

__all__ = [
    "break_even",
    "by_channel",
    "by_input",
    "by_space",
    "factorize",
    "matrices",
    "ranks_by_budget",
    "ranks_by_energy",
    "ranks_by_score",
    "spatial_svd",
    "truncated_svd",
    "tucker2",
]
