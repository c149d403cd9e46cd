"""Prune a ResNet-18 by global magnitude: this library against `torch.nn.utils.prune`.

    python -m benchmarks.pruning_speed [--quick] [--write]

Both see the same random weights and drop 90 % of them. Ours is `magnitude`, `keep_top` and
`apply_masks`; the copy of the model that `apply_masks` makes is counted. PyTorch's
`global_unstructured` changes its model, so each run gets a copy of its own, which is not counted.
"""

import argparse
import copy
from collections.abc import Callable
from time import perf_counter

import torch
from torch import nn
from torch.nn.utils import prune

from benchmarks.common import machine, publish, spread, table
from pruneedu.pruning import apply_masks, keep_top, magnitude
from pruneedu.tensors import Masks, prunable_layers

SPARSITY = 0.9


def ours(model: nn.Module) -> Masks:
    """Prune a copy of the model; return the masks."""
    masks = keep_top(magnitude(model), SPARSITY)
    apply_masks(model, masks)
    return masks


def theirs(model: nn.Module) -> Masks:
    """Prune the model itself; return the masks."""
    layers = prunable_layers(model)
    weights = [(layer, "weight") for layer in layers.values()]
    prune.global_unstructured(weights, prune.L1Unstructured, amount=SPARSITY)
    return {f"{name}.weight": layer.weight_mask.bool() for name, layer in layers.items()}


def compare(model: nn.Module, runs: int) -> tuple[list[float], list[float]]:
    """Return the seconds of each run, ours and theirs, taken in turn."""
    times = [], []
    for _ in range(runs):
        for function, seconds in zip((ours, theirs), times, strict=True):
            seconds.append(_time(function, copy.deepcopy(model)))
    return times


def kept_differently(model: nn.Module) -> tuple[int, int]:
    """Count the weights that only one of the two keeps: at the threshold's ties, and elsewhere."""
    mine, other = ours(model), theirs(copy.deepcopy(model))
    scores = magnitude(model)
    threshold = min(scores[name][mask].min() for name, mask in mine.items() if mask.any())
    ties = elsewhere = 0
    for name, score in scores.items():
        tied = score[mine[name] != other[name]] == threshold
        ties, elsewhere = ties + int(tied.sum()), elsewhere + int((~tied).sum())
    return ties, elsewhere


def report(model: nn.Module, times: tuple[list[float], list[float]]) -> str:
    """Say in a table what was measured."""
    mine, other = times
    ratios = [theirs / ours for ours, theirs in zip(mine, other, strict=True)]
    weights = sum(layer.weight.numel() for layer in prunable_layers(model).values())
    ties, elsewhere = kept_differently(model)
    rows = [
        ["`magnitude`, `keep_top`, `apply_masks`", spread(mine, "s")],
        ["`torch.nn.utils.prune.global_unstructured`", spread(other, "s")],
        ["times faster, pair by pair", spread(ratios, digits=1)],
    ]
    return (
        f"{table(['ResNet-18 at 90 %', 'median (quartiles)'], rows)}\n\n"
        f"{weights:,} weights; {len(mine)} runs each, in turn; our copy of the model is counted. "
        f"Weights that only one of the two keeps: {ties} that equal the threshold, "
        f"{elsewhere} others. {machine()}."
    )


def main(arguments: list[str] | None = None) -> None:
    """Measure, print, and write the table into the README if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="3 runs instead of 11")
    parser.add_argument("--write", action="store_true", help="write the table into the README")
    options = parser.parse_args(arguments)
    from torchvision.models import resnet18

    torch.set_num_threads(1)  # Threads that share a core with other programs wait for each other.
    torch.manual_seed(0)
    model = resnet18()
    compare(model, 1)
    text = report(model, compare(model, 3 if options.quick else 11))
    print(text)
    if options.write:
        publish("pruning_speed", text)


def _time(function: Callable, model: nn.Module) -> float:
    started = perf_counter()
    function(model)
    return perf_counter() - started


if __name__ == "__main__":
    main()
