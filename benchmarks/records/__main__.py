"""LeNets on MNIST as files: Deep Compression as its paper has it, and the fewest bytes we know.

    PRUNEEDU_DATA=FOLDER python -m benchmarks.records [--quick] [--write] [--cache FOLDER]

Three seeds a recipe. Bytes are those of the file on the disk. A fresh process decodes the file
alone into a full-size network and measures its error. All choices were made on the validation
split; the test split is read once for each file, when all of them are there. A file that is made
lies in the cache, so a run that was killed goes on with the next.
"""

import argparse
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from statistics import mean

import torch

import pruneedu as pe
from benchmarks.common import CACHE, machine, publish, table
from benchmarks.han import NAMES, SEEDS
from benchmarks.records import classic, smallest
from benchmarks.records.rows import Row, cached_row, dense_network, error
from pruneedu.data import Dataset
from pruneedu.storage import inspect
from pruneedu.storage.inspecting import Sizes

WAYS = (classic, smallest)
# Network, paper, bytes, error of the network before and after; "" where the paper does not say.
PUBLISHED = (
    ("lenet_300_100", "Han 2016, Deep Compression", "27 KB", "40", "1.64", "1.58"),
    ("lenet_300_100", "Ullrich 2017, soft weight sharing", "", "64", "1.89", "1.94"),
    ("lenet_300_100", "Evci 2020, RigL+ (mean)", "16,113", "", "", "1.69"),
    ("lenet5", "Han 2016, Deep Compression", "44 KB", "39", "0.80", "0.74"),
    ("lenet5", "Ullrich 2017, soft weight sharing", "", "162", "0.88", "0.97"),
    ("lenet5", "Louizos 2017, Bayesian compression", "2.3 kB", "771", "", "1.0"),
    ("lenet5", "Havasi 2018, MIRACLE", "3.03 kB", "", "", "0.69"),
    ("lenet5", "Havasi 2018, MIRACLE", "1.52 kB", "1110", "", "0.96"),
)


def quick_look(mnist: Dataset, cache: Path) -> str:
    """Make a small file in each way, and report on validation."""
    rows = {way.QUICK: [cached_row(way.make, way.QUICK, SEEDS[0], mnist, cache)] for way in WAYS}
    errors = {recipe: [error(row, "validation") for row in found] for recipe, found in rows.items()}
    return report(rows, errors, {}, "validation")


def full_run(mnist: Dataset, cache: Path) -> str:
    """Make what the cache lacks, telling the validation errors, then report on test."""
    rows, dense = {}, {}
    for way in WAYS:
        for recipe, seed in product(way.RECIPES, SEEDS):
            model = dense_network(recipe.network, seed, mnist, cache)
            row = cached_row(way.make, recipe, seed, mnist, cache)
            print(_look(row, 100 * (1 - pe.evaluate(model, mnist.validation))), flush=True)
            rows.setdefault(recipe, []).append(row)
            dense[recipe.network, seed] = model
    errors = {recipe: [error(row, "test") for row in found] for recipe, found in rows.items()}
    baselines = {key: 100 * (1 - pe.evaluate(model, mnist.test)) for key, model in dense.items()}
    return report(rows, errors, baselines, "test")


def report(
    rows: dict[object, list[Row]],
    errors: dict[object, list[float]],
    dense: dict[tuple[str, int], float],
    split: str,
) -> str:
    """Say in two tables what the files are, and what takes their bytes."""
    header = ["network", "recipe", "non-zero weights", "bytes", "ratio", f"{split} error, %"]
    header += ["dense, %", "processor minutes"]
    lines = []
    for name, words in NAMES.items():
        mine = [recipe for recipe in rows if recipe.network == name]
        lines += [_line(rows[recipe], errors[recipe], dense) for recipe in mine]
        lines += [[words, *_published(one)] for one in PUBLISHED if one[0] == name and mine]
    seeds = max(map(len, rows.values()))
    return (
        f"{table(header, lines)}\n\n"
        f'Mean (range) over {seeds} seed{"s" * (seeds > 1)}. "Ratio": 4 bytes for each weight and '
        "bias of the dense network / bytes of the file. Lines with a year are the papers' own "
        'figures. "Dense": networks of the same seeds in the table of Han 2015. Minutes are those '
        f"of a file with all that it is made of, teachers too. {machine()}.\n\n{_components(rows)}"
    )


def _line(found: list[Row], errors: list[float], dense: dict[tuple[str, int], float]) -> list[str]:
    recipe = found[0].recipe
    data = [row.path.read_bytes() for row in found]
    nonzeros = [sum(r.nonzeros for r in inspect(d).rows if len(r.shape) > 1) for d in data]
    parameters = sum(p.numel() for p in pe.models.build(recipe.network).parameters())
    sizes = [len(d) for d in data]
    before = [dense[key] for row in found if (key := (recipe.network, row.seed)) in dense]
    return [
        NAMES[recipe.network],
        f"**{recipe.name}**",
        f"{mean(nonzeros):,.0f}",
        _range(sizes, ",.0f"),
        f"{4 * parameters / mean(sizes):.1f}",
        _range(errors, ".2f"),
        _range(before, ".2f") if before else "",
        f"{mean(row.measured()['minutes'] for row in found):.1f}",
    ]


def _published(one: tuple[str, ...]) -> list[str]:
    _, paper, size, ratio, before, after = one
    return [paper, "", size, ratio, after, before, ""]


def _components(rows: dict[object, list[Row]]) -> str:
    """Return the table of the mean bytes by component."""
    lines = []
    for recipe, found in rows.items():
        sizes = zip(*(inspect(row.path.read_bytes()).sizes for row in found), strict=True)
        lines.append([NAMES[recipe.network], recipe.name, *(f"{mean(s):,.0f}" for s in sizes)])
    return table(["mean bytes", "recipe", *Sizes._fields], lines)


def _look(row: Row, dense: float) -> str:
    return (
        f"{NAMES[row.recipe.network]}, {row.recipe.name}, seed {row.seed}: "
        f"{row.path.stat().st_size:,} bytes, {row.measured()['minutes']:.1f} minutes, "
        f"validation error {dense:.2f} → {error(row, 'validation'):.2f} %"
    )


def _range(values: Sequence[float], form: str) -> str:
    """Write the mean and the range.

    >>> _range([1000, 2000, 3000], ",.0f")
    '2,000 (1,000–3,000)'
    """
    low, high = (format(end, form) for end in (min(values), max(values)))
    return f"{mean(values):{form}} ({low}–{high})" if len(values) > 1 else low


def main(arguments: list[str] | None = None) -> None:
    """Make the files, print the tables, and write them into the README if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a first look, on validation")
    parser.add_argument("--write", action="store_true", help="write the tables into the README")
    words = "folder of the files; the rows of benchmarks.han lie beside it"
    parser.add_argument("--cache", type=Path, default=CACHE / "records", help=words)
    options = parser.parse_args(arguments)
    if options.quick and options.write:
        parser.error("the README shows the full run: leave out --quick or --write")
    torch.set_num_threads(1)  # A second thread doubles the processor's time and saves little.
    text = (quick_look if options.quick else full_run)(pe.load("mnist"), options.cache)
    print(f"\n{text}")
    if options.write:
        publish("records", text)


if __name__ == "__main__":
    main()
