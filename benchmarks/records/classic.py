"""Deep Compression as its paper has it: prune, share the weights, write Huffman codes.

The pruned networks are those of `benchmarks.han`; LeNet-5 is cut once more. Each weight that is
left becomes a label; the numbers in the codebooks are trained; gaps and labels are written in
Huffman codes. LeNet-300-100 gets labels of 5 bits where the paper has 6.
Source: Han, Mao and Dally, "Deep Compression", 2016.
"""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from time import process_time

import torch
from torch import nn

import pruneedu as pe
from benchmarks import han
from pruneedu.data import Dataset, Split
from pruneedu.sharing import Codebook, codebooks, finetune_codebooks, linear_start, lloyd
from pruneedu.storage import Shared, contents_of, encode
from pruneedu.training import cosine, sgd


@dataclass(frozen=True)
class Recipe:
    """How a file is made.

    name: of the row; pruned: the recipe of the network it starts from; ratio: weights / nonzero
    weights after the last cut; retraining: epochs after that; conv, linear: bits of a label in
    convolutions and in Linear layers, label 0 being that of the pruned weights; tuning: epochs for
    the codebooks; rate: Adam's learning rate there.
    """

    name: str
    pruned: han.Recipe
    ratio: int
    retraining: int
    conv: int
    linear: int
    tuning: int
    rate: float

    @property
    def network(self) -> str:
        """Name the network."""
        return self.pruned.network


LENET_300_100, LENET5 = han.RECIPES
RECIPES = (
    Recipe("Deep Compression", LENET_300_100, 12, 0, conv=8, linear=5, tuning=3, rate=1e-4),
    Recipe("Deep Compression", LENET5, 14, 4, conv=8, linear=5, tuning=2, rate=1e-4),
)
_SHORT = replace(LENET_300_100, epochs=2, rounds=2, retraining=1)
QUICK = Recipe("Deep Compression, short", _SHORT, 12, 0, conv=8, linear=5, tuning=1, rate=1e-4)


def make(recipe: Recipe, seed: int, mnist: Dataset, cache: Path) -> tuple[bytes, float]:
    """Return the file of a row, and the minutes that it takes with the network it starts from.

    Args:
        recipe: how it is made.
        seed: of the row of `benchmarks.han` that it starts from, and of shuffling.
        mnist: its training split is learned from; nothing else is looked at.
        cache: the folder of the records; the rows of `benchmarks.han` lie beside it.
    """
    row = han.cached_row(recipe.pruned, seed, mnist.train, cache.parent / "han")
    started = process_time()
    pruned = cut(recipe, row["pruned"], seed, mnist.train)
    data = file_of(*shared(recipe, pruned, seed, mnist.train))
    return data, row["minutes"] + (process_time() - started) / 60


def cut(recipe: Recipe, model: nn.Module, seed: int, train: Split) -> nn.Module:
    """Cut the smallest weights once more, and train what is left as before."""
    before = recipe.pruned

    def finetune(cut: nn.Module, after_step) -> nn.Module:
        return pe.fit(
            cut,
            train,
            recipe.retraining,
            optimizer=partial(sgd, lr=before.rate, weight_decay=before.decay),
            schedule=cosine,
            batch_size=before.batch,
            after_step=after_step,
            seed=seed,
        ).model

    sparsities = [1 - 1 / recipe.ratio]
    return pe.prune_iteratively(model, pe.magnitude, sparsities, finetune, before.scope)[0]


def shared(
    recipe: Recipe, model: nn.Module, seed: int, train: Split
) -> tuple[nn.Module, dict[str, Codebook]]:
    """Give the weights of each layer a codebook, and train the numbers in it."""
    clusters = {
        name: 2 ** (recipe.conv if weight.ndim > 2 else recipe.linear) - 1
        for name, weight in pe.prunable(model).items()
    }
    finetune = partial(
        pe.fit,
        train=train,
        epochs=recipe.tuning,
        optimizer=partial(torch.optim.Adam, lr=recipe.rate),
        schedule=cosine,
        batch_size=recipe.pruned.batch,
        seed=seed,
    )
    plan = codebooks(model, clusters, partial(lloyd, start=linear_start))
    return finetune_codebooks(model, plan, lambda tied: finetune(tied).model)


def file_of(model: nn.Module, plan: dict[str, Codebook]) -> bytes:
    """Write labels and codebooks; biases are stored as they are."""
    parts = {name: Shared(book.labels, book.values) for name, book in plan.items()}
    return encode(contents_of(model, parts), coder="huffman")
