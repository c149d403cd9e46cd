"""The smallest files: distil, prune by worth per bit, freeze on a coarse grid, code.

Each stage is a call of `fit` on the same pool of images with the same teacher's logits.
"""

from dataclasses import astuple, dataclass, replace
from functools import partial
from itertools import count
from math import log2
from pathlib import Path

import torch
from torch import nn

import pruneedu as pe
from benchmarks.records.networks import network, resized, without_dead_units
from benchmarks.records.pruning import EVERY, masked, plain, selecting
from benchmarks.records.stages import cached
from benchmarks.records.teacher import Pool, taught_pool
from pruneedu.data import Dataset, Split
from pruneedu.distillation import distillation
from pruneedu.quantization import Plan, QParams, freeze_incrementally, to_integers
from pruneedu.storage import Quantized, contents_of, eighth_power, encode, sort_units
from pruneedu.tensors import prunable
from pruneedu.training import cosine

FRACTIONS = [0, 0.3, 0.5, 0.65, 0.77, 0.86, 0.92, 0.95, 0.97, 0.98, 0.99, 0.995, 0.998, 1]
BATCH = 256


@dataclass(frozen=True)
class Recipe:
    """How a file is made.

    name: of the row. network: which is compressed. pool: what it learns from. widths: of its
    hidden layers where training starts; other units stay 0. dense, pruning, freezing: passes over
    the pool before pruning, while pruning, and for each of the 14 rounds of freezing; a quarter of
    a pass sees one copy of the images, and the next round another. weights: how many are kept;
    start: the fraction kept when pruning begins. cost_power: γ of the worth per bit. step: of the
    grid, in root mean squares of the weights of a layer; biases have half of it.
    """

    name: str
    network: str
    pool: Pool
    widths: tuple[int, ...]
    dense: int
    pruning: int
    freezing: float
    weights: int
    start: float
    cost_power: float
    step: float


TAUGHT = Pool(60_000, copies=3, teachers=2)
LENET_300_100 = Recipe(
    "at most 2,400 bytes",
    "lenet_300_100",
    TAUGHT,
    widths=(300, 100),
    dense=2,
    pruning=14,
    freezing=2,
    weights=3100,
    start=0.3,
    cost_power=1.0,
    step=0.6,
)
LENET5 = Recipe(
    "at most 2,300 bytes",
    "lenet5",
    TAUGHT,
    widths=(8, 14, 50),
    dense=1,
    pruning=8,
    freezing=0.5,
    weights=3350,
    start=1.0,
    cost_power=1.0,
    step=0.5,
)
RECIPES = (
    LENET_300_100,
    replace(
        LENET_300_100,
        name="at most 2,000 bytes",
        pruning=28,
        freezing=3,
        weights=2500,
        cost_power=1.5,
    ),
    LENET5,
    replace(LENET5, name="at most 1,500 bytes", freezing=1, weights=1900),
)
QUICK = Recipe(
    "small",
    "lenet_300_100",
    Pool(10_000, copies=3, teachers=1),
    widths=(100, 50),
    dense=2,
    pruning=4,
    freezing=1,
    weights=5000,
    start=0.3,
    cost_power=1.0,
    step=0.5,
)


def make(recipe: Recipe, seed: int, mnist: Dataset, cache: Path) -> tuple[bytes, float]:
    """Return the file of a row, and the minutes that it takes with all that it is made of.

    Stages that the cache has are not computed again.

    Args:
        recipe: how it is made.
        seed: of the first weights, of shuffling.
        mnist: its training split is learned from; nothing else is looked at.
        cache: the folder of the stages.
    """
    torch.set_num_threads(1)  # A second thread doubles the processor's time and saves little.
    pool, minutes = taught_pool(recipe.pool, mnist.train, cache)
    made_of = (*astuple(replace(recipe, name="", freezing=0, step=0)), seed, len(mnist.train.y))
    stage = f"{recipe.network}-{seed}"
    pruned = cached(
        cache, f"{stage}-pruned", made_of, lambda: prune(recipe, seed, pool).state_dict()
    )
    small = _like(recipe.network, pruned.tensors)
    plan = grids(small, recipe.step)
    frozen = cached(
        cache,
        f"{stage}-frozen",
        (made_of, recipe.freezing, recipe.step),
        lambda: freeze(recipe, seed, small, pool).state_dict(),
    )
    data = file_of(recipe.network, _like(recipe.network, frozen.tensors), plan)
    return data, minutes + pruned.minutes + frozen.minutes


def prune(recipe: Recipe, seed: int, pool: Split) -> nn.Module:
    """Train a dense student, then prune it while it goes on learning."""
    student = partial(
        pe.fit,
        train=pool,
        optimizer=partial(torch.optim.Adam, lr=2e-3),
        loss=partial(distillation, temperature=2.0, alpha=0.7),
        batch_size=BATCH,
        seed=seed,
    )
    pe.seed_everything(seed)
    model = student(network(recipe.network, recipe.widths), epochs=recipe.dense).model
    after_step = selecting(sparsities(recipe, model, len(pool.y)), recipe.cost_power)
    model = student(
        masked(model), epochs=recipe.pruning, schedule=late_fall, after_step=after_step
    ).model
    return without_dead_units(plain(model), recipe.network)


def sparsities(recipe: Recipe, model: nn.Module, images: int) -> list[float]:
    """Return the sparsity of each selection in the first 80 % of the steps."""
    steps = recipe.pruning * -(-images // BATCH)
    last = 1 - recipe.weights / sum(w.numel() for w in prunable(model).values())
    return pe.cubic(last, int(0.8 * steps) // EVERY, start=1 - recipe.start)


def late_fall(progress: float) -> float:
    """Keep the rate for 40 % of the steps, then lower it in a line to 0.3 of itself.

    >>> late_fall(0.2), round(late_fall(0.7), 3), round(late_fall(1.0), 3)
    (1.0, 0.65, 0.3)
    """
    return min(1.0, 1 - 0.7 * (progress - 0.4) / 0.6)


def freeze(recipe: Recipe, seed: int, model: nn.Module, pool: Split) -> nn.Module:
    """Put the weights and biases on their grids, those nearest to it first."""
    rounds = count()

    def finetune(held: nn.Module) -> nn.Module:
        i = next(rounds)
        return pe.fit(
            held,
            _part(pool, i, recipe.freezing),
            epochs=1,
            optimizer=partial(torch.optim.Adam, lr=7e-4 * (1 - 0.8 * i / len(FRACTIONS))),
            schedule=cosine,
            loss=partial(distillation, temperature=2.0, alpha=0.7),
            batch_size=BATCH,
            seed=seed,
        ).model

    masks = {name: weight != 0 for name, weight in prunable(model).items()}
    return freeze_incrementally(model, grids(model, recipe.step), FRACTIONS, finetune, masks=masks)


def _part(pool: Split, i: int, share: float) -> Split:
    """Return the i-th share of the pool, counted round and round."""
    size = round(share * len(pool.y))
    rows = torch.arange(i * size, (i + 1) * size) % len(pool.y)
    return Split(pool.x[rows], pool.y[rows])


def grids(model: nn.Module, step: float) -> Plan:
    """Lay a grid for each weight and bias, with a step of 2^(k/8): a byte in the file."""
    plan = {}
    for name, weight in prunable(model).items():
        size = float(weight[weight != 0].detach().square().mean().sqrt())
        k = round(8 * log2(step * size))
        plan[name] = _grid(k)
        plan[name.replace("weight", "bias")] = _grid(k - 8)
    return plan


def _grid(k: int) -> QParams:
    """Return the grid of the multiples of 2^(k/8)."""
    return QParams(torch.tensor(eighth_power(k)), torch.tensor(0, dtype=torch.int32), -127, 127)


def file_of(name: str, model: nn.Module, plan: Plan) -> bytes:
    """Return the file of the full network that computes what the small one does."""
    full = resized(sort_units(model), pe.models.build(name))
    parts = {
        tensor: Quantized(to_integers(full.state_dict()[tensor], grid), grid.scale, grid.zero_point)
        for tensor, grid in plan.items()
    }
    return encode(contents_of(full, parts))


def _like(name: str, state: dict[str, torch.Tensor]) -> nn.Module:
    """Return a network with these tensors; its widths are theirs."""
    *hidden, _ = (len(tensor) for key, tensor in state.items() if key.endswith("bias"))
    model = network(name, tuple(hidden))
    model.load_state_dict(state)
    return model.eval()
