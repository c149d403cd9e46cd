"""int8 in ONNX Runtime: what it costs in accuracy, and how much faster it is.

    PRUNEEDU_DATA=FOLDER python -m benchmarks.integer [--quick] [--write] [--cache FOLDER]

LeNet-300-100 and LeNet-5 are the dense networks of `benchmarks.han`; the CNN, in the manner of VGG,
is three blocks of 64, 128 and 256 channels, trained on fashion-mini. Each is exported and quantized
with 512 training images to lay the grids by: three seeds tell what that costs. The network of the
first is timed on one thread, in turn with its fp32 graph in the same runtime and with PyTorch: as
it comes, and at its best (normalisation folded, channels last). The test split is read once, after
the training.
"""

import argparse
import copy
import platform
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import mean
from time import perf_counter

import torch
from torch import Tensor, nn

import pruneedu as pe
from benchmarks import han
from benchmarks.common import CACHE, machine, publish, spread, table
from pruneedu.data import Split
from pruneedu.evaluation import accuracy
from pruneedu.quantization import fold_batchnorm
from pruneedu.storage import export_onnx, onnx_function, quantize_onnx
from pruneedu.training import cosine, sgd

BATCHES = (1, 64)
EXAMPLES = 512  # to lay the grids by
SHORTEST = 2e-3  # seconds that one timing lasts
Run = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Network:
    """One network: its name in the table, its data set, and how many epochs the CNN is trained."""

    name: str
    data: str
    epochs: int = 0


NETWORKS = (
    Network("LeNet-300-100", "mnist"),
    Network("LeNet-5", "mnist"),
    Network("CNN, 64-128-256", "fashion-mini", epochs=6),
)


def trained(network: Network, seed: int, data: pe.data.Dataset, cache: Path) -> nn.Module:
    """Return the trained network of a seed, from the cache where it is there."""
    for recipe in han.RECIPES:
        if han.NAMES[recipe.network] == network.name:
            return han.cached_row(recipe, seed, data.train, cache.parent / "han")["dense"]
    pe.seed_everything(seed)
    model = pe.models.small_cnn((64, 128, 256))
    path = cache / f"cnn-{network.epochs}-{len(data.train.y)}-{seed}.pt"
    if not path.exists():
        fitted = pe.fit(
            model,
            data.train,
            network.epochs,
            optimizer=partial(sgd, lr=0.05),
            schedule=cosine,
            seed=seed,
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save(fitted.model.state_dict(), path.with_suffix(".tmp"))
        path.with_suffix(".tmp").replace(path)
    model.load_state_dict(torch.load(path, weights_only=True))
    return model.eval()


def ways(model: nn.Module, train: Split) -> dict[str, Run]:
    """Return the same network as four functions, the one in int8 first."""
    graph = export_onnx(model, train.x[:2])
    best = fold_batchnorm(model).to(memory_format=torch.channels_last)
    plain = copy.deepcopy(model).to(memory_format=torch.contiguous_format).eval()
    return {
        "int8": onnx_function(quantize_onnx(graph, train.x[:EXAMPLES])),
        "fp32": onnx_function(graph),
        "PyTorch": plain,
        "PyTorch at its best": best,
    }


def seconds(runs: dict[str, Run], x: Tensor, repeats: int) -> dict[str, list[float]]:
    """Return the seconds of a pass, `repeats` of each function, taken in turn."""
    with torch.no_grad():
        passes = {name: _passes(run, x) for name, run in runs.items()}
        found = {name: [] for name in runs}
        for _ in range(repeats):
            for name, run in runs.items():
                found[name].append(_seconds(run, x, passes[name]))
    return found


def _passes(run: Run, x: Tensor) -> int:
    for _ in range(5):
        run(x)
    return max(1, round(SHORTEST / _seconds(run, x, 1)))


def _seconds(run: Run, x: Tensor, passes: int) -> float:
    started = perf_counter()
    for _ in range(passes):
        run(x)
    return (perf_counter() - started) / passes


def right(run: Run, split: Split) -> float:
    """Return the accuracy in per cent."""
    with torch.no_grad():
        logits = torch.cat([run(x) for x in split.x.split(500)])
    return 100 * accuracy(logits, split.y)


def accuracies(network: Network, seeds: list[dict[str, Run]], split: Split) -> list[str]:
    """Return the accuracies in fp32 and in int8, and their difference, over the seeds."""
    full, integer = ([right(runs[way], split) for runs in seeds] for way in ("fp32", "int8"))
    change = [after - before for after, before in zip(integer, full, strict=True)]
    ends = f" ({min(change):+.2f} to {max(change):+.2f})" if len(seeds) > 1 else ""
    means = [f"{mean(full):.2f}", f"{mean(integer):.2f}", f"{mean(change):+.2f}{ends}"]
    return [network.name, network.data, *means]


def report(
    found: dict[Network, list[dict[str, Run]]], splits: dict[str, Split], repeats: int
) -> str:
    """Measure, and say it in two tables."""
    costs, speeds = [], []
    for network, (runs, *others) in found.items():
        split = splits[network.data]
        costs.append(accuracies(network, [runs, *others], split))
        for batch in BATCHES:
            taken = seconds(runs, split.x[:batch].contiguous(), repeats)
            mine, *theirs = taken.values()
            ratios = [
                spread([other / own for other, own in zip(one, mine, strict=True)], "×", 1)
                for one in theirs
            ]
            took = spread([1000 * one for one in mine], "ms", 3)
            speeds.append([network.name, str(batch), took, *ratios])
    names = list(runs)[1:]
    header = ["network", "batch", "int8", *(f"faster than {name}" for name in names)]
    return (
        f"{table(['network', 'data', 'fp32, %', 'int8, %', 'change'], costs)}\n\n"
        f"Accuracy: mean (range) over {1 + len(others)} seeds.\n\n{table(header, speeds)}\n\n"
        f"Median (quartiles) of {repeats} timings each, in turn; fp32: in ONNX Runtime as well; "
        "PyTorch at its best: eager, normalisation folded, channels last. "
        f"{instructions()} {machine()}."
    )


def instructions() -> str:
    """Say whether the processor multiplies 8-bit integers in one step, where Linux tells."""
    path = Path("/proc/cpuinfo")
    if platform.system() != "Linux" or not path.exists():
        return "Whether the processor has VNNI is not known."
    has = "vnni" in path.read_text(encoding="utf-8")
    return "The processor has VNNI." if has else "The processor lacks VNNI, so int8 gains little."


def main(arguments: list[str] | None = None) -> None:
    """Train what the cache lacks, measure, and write the tables into the README if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few timings; on validation")
    parser.add_argument("--write", action="store_true", help="write the tables into the README")
    folder = CACHE / "integer"
    parser.add_argument("--cache", type=Path, default=folder, help="folder of trained networks")
    options = parser.parse_args(arguments)
    if options.quick and options.write:
        parser.error("the README shows the full run: leave out --quick or --write")
    torch.set_num_threads(1)
    sets = {name: pe.load(name) for name in dict.fromkeys(network.data for network in NETWORKS)}
    seeds = han.SEEDS[:1] if options.quick else han.SEEDS
    found = {
        one: [
            ways(trained(one, seed, sets[one.data], options.cache), sets[one.data].train)
            for seed in seeds
        ]
        for one in NETWORKS
    }
    side = "validation" if options.quick else "test"
    splits = {name: getattr(data, side) for name, data in sets.items()}
    text = report(found, splits, 5 if options.quick else 31)
    print(text)
    if options.write:
        publish("integer", text)


if __name__ == "__main__":
    main()
