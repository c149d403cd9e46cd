"""Every criterion on one stage: against ablation, and by the accuracy that its choice leaves.

    PRUNEEDU_DATA=FOLDER python -m benchmarks.criteria [--quick] [--write] [--cache FOLDER]

For each network and five seeds: train it, score it with every criterion on 1,000 training examples,
and compare the ranking of the hidden units with the loss and the accuracy that are lost when each
is taken out (ablation, on the validation split). Then prune by each criterion, within each layer,
to five sparsities: units by all criteria, single weights by those that score weights. Accuracy is
read on the test split, at once and after a short fine-tuning. Nothing is chosen by these figures.
Every row that is measured lies in the cache, so a run that was killed goes on with the next.
"""

import argparse
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import mean, stdev
from time import perf_counter

import torch
from torch import Tensor, nn

import pruneedu as pe
from benchmarks.common import CACHE, README, machine, publish, table
from pruneedu import plotting, pruning
from pruneedu.data import Dataset, Split
from pruneedu.plotting.notebook import png
from pruneedu.tensors import Scores, level
from pruneedu.training import cosine, sgd

SPARSITIES = (0.5, 0.8, 0.9, 0.95, 0.98)
SEEDS = range(5)
EXAMPLES = 1_000  # that a criterion sees
TUNING = 5_000  # examples of the one epoch after pruning
WHEN = ("before", "after")
DRAWN = ("magnitude", "taylor", "fisher", "snip", "wanda", "ablation", "random")


@dataclass(frozen=True)
class Stage:
    """A network, its data, and how it is trained: epochs, and SGD's learning rate at the start."""

    name: str
    network: str
    data: str
    epochs: int
    rate: float


STAGES = (
    Stage("LeNet-300-100", "lenet_300_100", "mnist", epochs=6, rate=0.1),
    Stage("LeNet-5", "lenet5", "mnist", epochs=3, rate=0.03),
    Stage("CNN", "small_cnn", "fashion-mini", epochs=12, rate=0.05),
)
QUICK = Stage("CNN", "small_cnn", "fashion-mini", epochs=2, rate=0.05)


def criteria(data: Split, recorded: Scores, model: nn.Module) -> dict[str, Callable]:
    """Name every criterion that can score this model, each a function of the model alone."""
    reads = {
        name: partial(getattr(pruning, name), data=data)
        for name in (
            *("gradient", "sensitivity", "taylor", "taylor_units", "fisher", "snip", "grasp"),
            *("entropy", "output_entropy", "mutual_information", "apoz", "wanda", "ablation"),
        )
    }
    alone = {"magnitude": pruning.magnitude, "random": pruning.random}
    alone["gradient, recorded"] = lambda model: recorded
    reads["ablation (loss)"] = partial(pruning.ablation, data=data, metric=log_likelihood)
    alone["synflow"] = partial(pruning.synflow, shape=data.x.shape[1:])
    if any(isinstance(module, nn.BatchNorm2d) for module in model.modules()):
        alone["batchnorm_scale"] = pruning.batchnorm_scale
    return alone | reads


def hidden_units(scores: Scores, model: nn.Module) -> Scores:
    """Return one score for each unit; those of the last layer, the classes, are left out."""
    units = pe.per_unit(scores, model) if level(scores, model) == "weight" else scores
    *_, last = pe.per_unit(pruning.magnitude(model), model)
    return {name: score for name, score in units.items() if name != last}


def trained(stage: Stage, seed: int, data: Dataset, cache: Path) -> tuple[nn.Module, Scores]:
    """Return the dense network of a seed, from the cache if it is there, and what its training saw.

    The latter are the summed squares of the gradients of all its steps.
    """
    path = cache / f"{stage.network}-{stage.epochs}-{seed}.pt"
    model, totals = pe.models.build(stage.network), {}
    if not path.exists():
        pe.seed_everything(seed)
        watch = partial(pruning.record_gradients_, totals=totals)
        model = pe.models.build(stage.network)
        model = tuned(stage, seed, data.train, stage.epochs)(model, watch)
        cache.mkdir(parents=True, exist_ok=True)
        torch.save({"model": model.state_dict(), "totals": totals}, path.with_suffix(".tmp"))
        path.with_suffix(".tmp").replace(path)
    saved = torch.load(path, weights_only=True)
    model.load_state_dict(saved["model"])
    return model.eval(), saved["totals"]


def tuned(stage: Stage, seed: int, train: Split, epochs: int) -> Callable:
    """Return a function of a model and of what to do after each step: the trained model."""

    def fit(model: nn.Module, after_step: Callable) -> nn.Module:
        settings = {"schedule": cosine, "optimizer": partial(sgd, lr=stage.rate), "seed": seed}
        return pe.fit(model, train, epochs, after_step=after_step, **settings).model

    return fit


def log_likelihood(logits: Tensor, y: Tensor) -> float:
    """Return the loss as a metric, higher where the network is better."""
    return -float(nn.functional.cross_entropy(logits, y))


TRUTHS = {"accuracy": pe.accuracy, "loss": log_likelihood}


def measure_row(
    model: nn.Module, criterion: Callable, truths: dict[str, Scores], data: Dataset, finetune
) -> dict:
    """Return what one criterion makes of one network.

    Returns:
        "seconds" of scoring; "accuracy" and "loss", the agreement with what is lost of them;
        "units" and "weights", each the accuracy at every sparsity "before" and "after"
        fine-tuning. A criterion of units has no "weights".
    """
    started = perf_counter()
    scores = criterion(model)
    row = {"seconds": perf_counter() - started}
    units = hidden_units(scores, model)
    row |= {name: agreement(units, truth) for name, truth in truths.items()}
    row["units"] = curve(model, units, data.test, finetune)
    if level(scores, model) == "weight":
        row["weights"] = curve(model, scores, data.test, finetune)
    return row


def agreement(units: Scores, truth: Scores) -> float:
    """Return Spearman's rank correlation with the truth, the mean over the layers.

    >>> scores = {"fc1": torch.tensor([1.0, 2.0, 3.0]), "fc2": torch.tensor([1.0, 1.0])}
    >>> agreement(scores, {"fc1": torch.tensor([0.1, 0.2, 0.9]), "fc2": torch.tensor([1.0, 2.0])})
    1.0
    """
    # Scores that are all equal rank nothing, as APoZ does where no activation follows.
    ranked = [n for n in units if len(units[n].unique()) > 1 and len(truth[n].unique()) > 1]
    return mean(pe.rank_correlation({n: units[n]}, {n: truth[n]}).spearman for n in ranked)


def curve(model: nn.Module, scores: Scores, test: Split, finetune: Callable) -> dict[str, list]:
    """Return the accuracy at each sparsity, before and after fine-tuning."""
    found = {"before": [], "after": []}
    for sparsity in SPARSITIES:
        masks = pe.keep_top(scores, sparsity, scope="layer")
        pruned = pe.apply_masks(model, masks)
        again = finetune(pruned, partial(pe.apply_masks_, masks=masks))
        found["before"].append(pe.evaluate(pruned, test))
        found["after"].append(pe.evaluate(again, test))
    return found


def rows(stage: Stage, seeds: range, cache: Path) -> Iterator[tuple[str, int, dict]]:
    """Yield (criterion, seed, row) for a network, from the cache or measured now."""
    data = pe.load(stage.data)
    seen = Split(data.train.x[:EXAMPLES], data.train.y[:EXAMPLES])
    short = Split(data.train.x[:TUNING], data.train.y[:TUNING])
    for seed in seeds:
        model, recorded = trained(stage, seed, data, cache)
        truths: dict[str, Scores] = {}
        finetune = tuned(stage, seed, short, epochs=1)
        for name, criterion in criteria(seen, recorded, model).items():
            path = cache / f"{stage.network}-{stage.epochs}-{seed}-{name}.json"
            if not path.exists():
                truths = truths or {
                    n: pruning.ablation(model, data.validation, m) for n, m in TRUTHS.items()
                }
                row = measure_row(model, criterion, truths, data, finetune)
                path.with_suffix(".tmp").write_text(json.dumps(row))
                path.with_suffix(".tmp").replace(path)
                print(f"{stage.name}, seed {seed}, {name}: {row['loss']:+.2f}", flush=True)
            yield name, seed, json.loads(path.read_text())


def gathered(found: Iterator[tuple[str, int, dict]]) -> dict[str, list[dict]]:
    """Return the rows of every seed by criterion, best agreement with the loss lost first."""
    by_name: dict[str, list[dict]] = {}
    for name, _, row in found:
        by_name.setdefault(name, []).append(row)
    return dict(sorted(by_name.items(), key=lambda item: -mean(_column(item[1], "loss"))))


def report(stage: Stage, found: dict[str, list[dict]]) -> str:
    """Say in two tables what was measured for one network: units, and single weights."""
    ends = [f"{100 * sparsity:.0f} %" for sparsity in SPARSITIES]
    header = ["criterion", "agreement: loss", "accuracy", "seconds", *ends]
    parts = [f"**{stage.name}** on {stage.data}, units (accuracy before → after fine-tuning, %)"]
    parts.append(table(header, [_line(name, rows, "units") for name, rows in found.items()]))
    weights = {name: rows for name, rows in found.items() if "weights" in rows[0]}
    parts.append(f"**{stage.name}** on {stage.data}, single weights")
    parts.append(table(header, [_line(name, rows, "weights") for name, rows in weights.items()]))
    return "\n\n".join(parts)


def _line(name: str, rows: list[dict], part: str) -> list[str]:
    before, after = (zip(*(row[part][when] for row in rows), strict=True) for when in WHEN)
    ends = [
        f"{_spread(b, 100, 1)} → {_spread(a, 100, 1)}" for b, a in zip(before, after, strict=True)
    ]
    figures = [_spread(_column(rows, key)) for key in ("loss", "accuracy", "seconds")]
    return [name, *figures, *ends]


def _column(rows: list[dict], key: str) -> list[float]:
    return [row[key] for row in rows]


def _spread(values: list[float], times: float = 1, digits: int = 2) -> str:
    """Write the mean ± the standard deviation.

    >>> _spread([0.5, 0.7], times=100, digits=1)
    '60.0 ± 14.1'
    """
    values = [times * value for value in values]
    off = f" ± {stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{mean(values):.{digits}f}{off}"


def draw(found: dict[str, list[dict]], title: str, folder: Path) -> str:
    """Draw the accuracy of seven criteria against the sparsity of units; return the Markdown."""
    parts = []
    for when in WHEN:
        series = {
            name: (SPARSITIES, [row["units"][when] for row in found[name]])
            for name in DRAWN
            if name in found
        }
        heading = f"{title}, {when} fine-tuning"
        figure = plotting.curves(
            series,
            "sparsity of the hidden units",
            "accuracy on test",
            heading,
            percent="xy",
        )
        path = folder / f"criteria_{when}.png"
        path.write_bytes(png(figure))
        parts.append(f"![{heading}. {figure.alt}]({folder.name}/{path.name})")
    return "\n".join(parts)


def quick_look(cache: Path) -> str:
    """Measure one seed of the small network, and train it for two epochs only."""
    return report(QUICK, gathered(rows(QUICK, SEEDS[:1], cache)))


def full_run(cache: Path) -> str:
    """Measure what the cache lacks, then say it in tables and two figures."""
    found = {stage: gathered(rows(stage, SEEDS, cache)) for stage in STAGES}
    first = STAGES[0]
    return "\n\n".join(
        (
            draw(found[first], first.name, README.parent / "docs"),
            "<details>\n<summary>All criteria on all three networks, as tables</summary>",
            *(report(stage, rows) for stage, rows in found.items()),
            "</details>",
            f"Mean ± standard deviation over {len(SEEDS)} seeds. Agreement: Spearman's rank "
            "correlation with the loss or the accuracy that is lost on validation without each "
            "unit, the mean over the hidden layers. "
            f"Scores from {EXAMPLES:,} training examples; fine-tuning is one epoch of "
            f"{TUNING:,}; each layer is pruned to the same sparsity. {machine()}.",
        )
    )


def main(arguments: list[str] | None = None) -> None:
    """Measure, print the tables, and write them into the README if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a first look, at one seed")
    parser.add_argument("--write", action="store_true", help="write the tables into the README")
    parser.add_argument("--cache", type=Path, default=CACHE / "criteria", help="folder of rows")
    options = parser.parse_args(arguments)
    if options.quick and options.write:
        parser.error("the README shows the full run: leave out --quick or --write")
    torch.set_num_threads(1)  # A second thread doubles the processor's time and saves little.
    text = (quick_look if options.quick else full_run)(options.cache)
    print(f"\n{text}")
    if options.write:
        publish("criteria", text)


if __name__ == "__main__":
    main()
