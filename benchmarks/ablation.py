"""Ablate the hidden neurons of LeNet-300-100 together, and one masked network at a time.

    PRUNEEDU_DATA=FOLDER python -m benchmarks.ablation [--quick] [--write]

Both measure the share of the accuracy on MNIST's validation images that is lost without each of the
400 hidden neurons. The loop masks one neuron after the other with `apply_masks`, and calls
`evaluate`. `ablation` takes out the ten classes as well, and its time is counted whole.
"""

import argparse
from collections.abc import Callable
from functools import partial
from time import perf_counter

import torch
from torch import nn

import pruneedu as pe
from benchmarks.common import machine, publish, spread, table
from pruneedu.data import Dataset, Split
from pruneedu.tensors import Scores, prunable_layers

TRAINED_ON = 10_000  # images, for two epochs: what is timed does not depend on the accuracy


def together(model: nn.Module, data: Split) -> Scores:
    """Return the scores of the hidden neurons by `ablation`."""
    scores = pe.ablation(model, data)
    return {name: scores[name] for name in list(scores)[:-1]}


def one_by_one(model: nn.Module, data: Split) -> Scores:
    """Return the scores of the hidden neurons by a loop over masked networks."""
    whole = pe.evaluate(model, data)
    scores = {}
    for name, layer in list(prunable_layers(model).items())[:-1]:
        units = len(layer.weight)
        masks = [{name: torch.arange(units) != unit} for unit in range(units)]
        left = [pe.evaluate(pe.apply_masks(model, mask), data) for mask in masks]
        scores[name] = torch.tensor([(whole - one) / whole for one in left])
    return scores


def compare(model: nn.Module, data: Split, runs: int) -> list[tuple[float, float, float]]:
    """Return, for each run, the seconds together and one by one, and the largest difference."""
    return [_pair(model, data) for _ in range(runs)]


def report(pairs: list[tuple[float, float, float]], model: nn.Module, data: Split) -> str:
    """Say in a table what was measured."""
    ours, loop, differences = zip(*pairs, strict=True)
    ratios = [slow / fast for fast, slow, _ in pairs]
    neurons = sum(len(layer.weight) for layer in list(prunable_layers(model).values())[:-1])
    rows = [
        ["`ablation`", spread(ours, "s")],
        ["`apply_masks` and `evaluate`, one by one", spread(loop, "s")],
        ["times faster, pair by pair", spread(ratios, digits=1)],
    ]
    return (
        f"{table([f'{neurons} neurons, {len(data.y):,} images', 'median (quartiles)'], rows)}\n\n"
        f"{len(pairs)} runs each, in turn. Largest difference of two scores: "
        f"{max(differences):.0e}. {machine()}."
    )


def trained(mnist: Dataset) -> nn.Module:
    """Return LeNet-300-100 after a short training."""
    pe.seed_everything(0)
    train = Split(mnist.train.x[:TRAINED_ON], mnist.train.y[:TRAINED_ON])
    return pe.fit(pe.models.lenet_300_100(), train, epochs=2).model


def main(arguments: list[str] | None = None) -> None:
    """Measure, print, and write the table into the README if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="3 runs on 1,000 images, not 5 on all")
    parser.add_argument("--write", action="store_true", help="write the table into the README")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)  # Threads that share a core with other programs wait for each other.
    mnist = pe.load("mnist")
    model, data = trained(mnist), mnist.validation
    if options.quick:
        data = Split(data.x[:1000], data.y[:1000])
    text = report(compare(model, data, 3 if options.quick else 5), model, data)
    print(text)
    if options.write:
        publish("ablation", text)


def _pair(model: nn.Module, data: Split) -> tuple[float, float, float]:
    (fast, ours), (slow, loop) = (_timed(partial(f, model, data)) for f in (together, one_by_one))
    return fast, slow, max((ours[name] - loop[name]).abs().max().item() for name in loop)


def _timed(function: Callable[[], Scores]) -> tuple[float, Scores]:
    started = perf_counter()
    scores = function()
    return perf_counter() - started, scores


if __name__ == "__main__":
    main()
