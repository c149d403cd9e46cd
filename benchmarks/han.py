"""LeNet-300-100 and LeNet-5 on MNIST with a twelfth of their weights (Han et al. 2015).

    PRUNEEDU_DATA=FOLDER python -m benchmarks.han [--quick] [--write] [--cache FOLDER]

For each network and three seeds: train it, then cut the smallest weights in rounds, training again
after each cut. The pruned network is compared with the one it came from, and with the same put
through the same rounds with nothing cut, so trained for as long. All choices were made on the
validation split with seed 0; the test split is read once, when all six rows are trained. A row that
is trained lies in the cache, so a run that was killed goes on with the next row.
"""

import argparse
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path
from statistics import mean
from time import process_time

import torch
from torch import nn

import pruneedu as pe
from benchmarks.common import CACHE, machine, publish, table
from pruneedu.training import cosine, sgd

RATIO = 12
SEEDS = (0, 1, 2)
STAGES = ("dense", "longer", "pruned")
HAN = {"lenet_300_100": "1.64 → 1.59", "lenet5": "0.80 → 0.77"}
NAMES = {"lenet_300_100": "LeNet-300-100", "lenet5": "LeNet-5"}


@dataclass(frozen=True)
class Recipe:
    """How one network is trained and pruned.

    epochs: of the dense training; rounds: cuts; retraining: epochs after each cut; rate, decay,
    batch: SGD's learning rate, which falls to 0 along a cosine in each training, its weight decay
    and its batch size; scope: of the ranking.
    """

    network: str
    epochs: int
    rounds: int
    retraining: int
    rate: float
    decay: float
    batch: int
    scope: str


RECIPES = (
    Recipe(
        "lenet_300_100", 10, rounds=5, retraining=3, rate=0.1, decay=5e-4, batch=128, scope="layer"
    ),
    Recipe("lenet5", 4, rounds=3, retraining=2, rate=0.03, decay=5e-4, batch=64, scope="global"),
)


def train_row(recipe: Recipe, seed: int, train: pe.data.Split) -> dict[str, nn.Module]:
    """Return the dense network, the same trained on, and the same pruned in as many epochs."""
    optimizer = partial(sgd, lr=recipe.rate, weight_decay=recipe.decay)
    trained = partial(
        pe.fit,
        train=train,
        optimizer=optimizer,
        schedule=cosine,
        batch_size=recipe.batch,
        seed=seed,
    )

    def finetune(model: nn.Module, after_step) -> nn.Module:
        return trained(model, epochs=recipe.retraining, after_step=after_step).model

    pe.seed_everything(seed)
    dense = trained(fresh(recipe.network), epochs=recipe.epochs).model
    found = {"dense": dense}
    cuts = {"longer": [0.0] * recipe.rounds, "pruned": pe.cubic(1 - 1 / RATIO, recipe.rounds)}
    for stage, sparsities in cuts.items():
        found[stage], _ = pe.prune_iteratively(
            dense, pe.magnitude, sparsities, finetune, recipe.scope
        )
    return found


def fresh(network: str) -> nn.Module:
    """Build a network; on a CPU, convolutions are fastest with the channels last."""
    return pe.models.build(network).to(memory_format=torch.channels_last)


def ratio(model: nn.Module) -> float:
    """Return weights / nonzero weights; biases are not counted.

    >>> model = pe.models.mlp(4, 1)
    >>> _ = model.fc1.weight.data.copy_(torch.tensor([0.0, 1.0, 0.0, 0.0]))
    >>> ratio(model)
    4.0
    """
    weights = pe.prunable(model).values()
    return sum(w.numel() for w in weights) / sum(int(w.count_nonzero()) for w in weights)


def cached_row(recipe: Recipe, seed: int, train: pe.data.Split, cache: Path) -> dict:
    """Return a row from the cache, or train it and keep it: the networks and the minutes."""
    key = hashlib.sha256(f"{recipe}{seed}{len(train.y)}".encode()).hexdigest()[:8]
    path = cache / f"{recipe.network}-{seed}-{key}.pt"
    if not path.exists():
        started = process_time()
        found = train_row(recipe, seed, train)
        row = {stage: model.state_dict() for stage, model in found.items()}
        cache.mkdir(parents=True, exist_ok=True)
        torch.save(row | {"minutes": (process_time() - started) / 60}, path.with_suffix(".tmp"))
        path.with_suffix(".tmp").replace(path)
    row = torch.load(path, weights_only=True)
    for stage in STAGES:
        weights, row[stage] = row[stage], fresh(recipe.network)
        row[stage].load_state_dict(weights)
    return row


def quick_look(mnist: pe.data.Dataset, cache: Path) -> str:
    """Train each network for a few epochs on 10,000 images, and report on validation."""
    train = pe.data.Split(mnist.train.x[:10_000], mnist.train.y[:10_000])
    rows = {}
    for recipe in RECIPES:
        short = replace(recipe, epochs=2, rounds=2, retraining=2)
        rows[short] = [cached_row(short, SEEDS[0], train, cache)]
    return report(rows, mnist.validation, "validation")


def full_run(mnist: pe.data.Dataset, cache: Path) -> str:
    """Train what the cache lacks, telling the validation errors, then report on test."""
    rows = {}
    for recipe, seed in product(RECIPES, SEEDS):
        row = cached_row(recipe, seed, mnist.train, cache)
        said = ", ".join(f"{s} {e:.2f} %" for s, e in errors(row, mnist.validation).items())
        print(f"{NAMES[recipe.network]}, seed {seed}, validation error: {said}", flush=True)
        rows.setdefault(recipe, []).append(row)
    return report(rows, mnist.test, "test")


def errors(row: dict, split: pe.data.Split) -> dict[str, float]:
    """Return the error of each stage, in per cent."""
    return {stage: 100 * (1 - pe.evaluate(row[stage], split)) for stage in STAGES}


def report(rows: dict[Recipe, list[dict]], split: pe.data.Split, name: str) -> str:
    """Say in a table, a line for each network, what was measured: the mean and range over seeds."""
    header = [f"{name} error, %", "dense", "pruned", "change", "dense, trained on", "change"]
    header += ["weights / nonzero", "processor minutes", "Han 2015"]
    lines = [_line(recipe, found, split) for recipe, found in rows.items()]
    seeds = max(map(len, rows.values()))
    recipes = "; ".join(
        f"{NAMES[one.network]}: {one.epochs} epochs, "
        f"then {one.rounds} cuts with {one.retraining} epochs after each"
        for one in rows
    )
    return (
        f"{table(header, lines)}\n\n"
        f'Mean (range) over {seeds} seed{"s" * (seeds > 1)}. "Trained on": through the epochs of '
        f"pruning with nothing cut, so for as long as the pruned network. {recipes}. {machine()}."
    )


def _line(recipe: Recipe, found: list[dict], split: pe.data.Split) -> list[str]:
    dense, longer, pruned = zip(*(errors(row, split).values() for row in found), strict=True)
    return [
        NAMES[recipe.network],
        _range(dense),
        _range(pruned),
        _range([after - before for before, after in zip(dense, pruned, strict=True)], sign="+"),
        _range(longer),
        _range([after - before for before, after in zip(longer, pruned, strict=True)], sign="+"),
        f"{min(ratio(row['pruned']) for row in found):.2f}",
        f"{mean(row['minutes'] for row in found):.1f}",
        HAN[recipe.network],
    ]


def _range(values: Sequence[float], sign: str = "") -> str:
    """Write the mean and the range.

    >>> _range([1.0, 1.5, 2.0])
    '1.50 (1.00–2.00)'
    """
    low, high = (f"{end:{sign}.2f}" for end in (min(values), max(values)))
    return f"{mean(values):{sign}.2f} ({low}–{high})" if len(values) > 1 else low


def main(arguments: list[str] | None = None) -> None:
    """Train, print the table, and write it into the README if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a first look, on validation")
    parser.add_argument("--write", action="store_true", help="write the table into the README")
    parser.add_argument("--cache", type=Path, default=CACHE / "han", help="folder of trained rows")
    options = parser.parse_args(arguments)
    if options.quick and options.write:
        parser.error("the README shows the full run: leave out --quick or --write")
    torch.set_num_threads(1)  # A second thread doubles the processor's time and saves little.
    text = (quick_look if options.quick else full_run)(pe.load("mnist"), options.cache)
    print(f"\n{text}")
    if options.write:
        publish("han", text)


if __name__ == "__main__":
    main()
