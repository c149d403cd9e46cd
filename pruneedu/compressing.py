"""Compress a network in one call: train, prune, quantize, code.

`steps` is the list to read and to change: each step is a function of this file, which trains with
`fit` on the training split. What is printed on the way is read on validation, the end on test.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import count
from math import ceil, log2
from pathlib import Path

import torch
from torch import nn

from pruneedu.checkpoints import write_whole
from pruneedu.data import Split, load
from pruneedu.pipelines import Done, Step, pipeline
from pruneedu.pruning import cubic, magnitude, prune_iteratively
from pruneedu.quantization import Plan, QParams, freeze_incrementally
from pruneedu.quantization.schemes import check_bits
from pruneedu.running import check_out, file_of, fresh, run, state_from
from pruneedu.seeds import seed_everything
from pruneedu.storage import eighth_power
from pruneedu.tensors import prunable
from pruneedu.training import cosine, fit

_FRACTIONS = [0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 1]


@dataclass(frozen=True)
class Recipe:
    """What is compressed, and how far.

    Attributes:
        network: the name of a function of `pruneedu.models`.
        data: the name of a data set.
        sparsity: the fraction of the weights that goes.
        bits: of each weight and bias, 2 to 8.
        epochs: passes over the training split in training, as many in pruning, and about as many,
            at least 8, in quantizing. None: 200,000 examples, in at least 10 passes and at most 60.
        seed: of the first weights and of shuffling.
    """

    network: str
    data: str
    sparsity: float = 0.9
    bits: int = 4
    epochs: int | None = None
    seed: int = 0


def compress(recipe: Recipe, out: Path, start: Path | None = None) -> Iterator[str]:
    """Write a network as a compressed file, and tell how it goes.

    Args:
        recipe: what is compressed, and how far.
        out: the file; one that is there is replaced only where it is a compressed file. The folder
            beside it, with `.steps` after its name, keeps what is done: the same call goes on from
            there.
        start: trained weights to begin with: a compressed file (.pe), such as `step-1.pe` of
            another run, or a state dict, as safetensors or as `torch.save` writes it.

    Returns:
        A line after each step, on validation; the last tells of the file, on test.

    Raises:
        ValueError: options out of their range, a network that does not take these data, a start
            that does not fit, a folder of another run, or an `out` that is none. All are said
            before training. OSError: a file that cannot be read or written.

    Source: for the order of the steps, Han et al., "Deep Compression", 2016.
    """
    check_out(out)
    data = load(recipe.data)
    todo = steps(recipe, data.train)
    seed_everything(recipe.seed)
    model = fresh(recipe.network, data)
    _check_some_are_left(recipe.sparsity, model)
    if start is not None:
        model.load_state_dict(state_from(start, model))
        todo = todo[1:]
    done = []
    example, folder = data.train.x[:64], steps_folder(out)
    for step in pipeline(model.eval(), todo, example, data.validation, folder):
        yield _line(step)
        done.append(step.model)
    pruned, quantized = done[-2:]
    write_whole(out, file_of(quantized, grids(pruned, recipe.bits), recipe.data))
    yield run(out)


def steps_folder(out: Path) -> Path:
    """Return the folder that keeps what is done of a file.

    >>> steps_folder(Path("nets", "small.pe")).name
    'small.pe.steps'
    """
    return out.with_name(f"{out.name}.steps")


def steps(recipe: Recipe, split: Split) -> list[Step]:
    """Return the steps of a recipe, in their order.

    >>> import torch
    >>> split = Split(torch.ones(20_000, 4), torch.zeros(20_000, dtype=torch.int64))
    >>> [(name, step.keywords["epochs"]) for name, step in steps(Recipe("mlp", "digits"), split)]
    [('train', 10), ('prune', 10), ('quantize', 10)]
    """
    epochs = recipe.epochs
    if epochs is None:
        epochs = min(60, max(10, 200_000 // len(split.y)))
    if epochs < 1:
        raise ValueError(f"epochs is {epochs}: give a whole number of at least 1")
    if not 0 <= recipe.seed < 2**32:
        raise ValueError(f"seed is {recipe.seed}: give a whole number from 0 to 2**32 - 1")
    cubic(recipe.sparsity, epochs)  # Refuses a sparsity out of range now, not after training.
    bound = {"epochs": epochs, "seed": recipe.seed, "split": split}
    return [
        ("train", partial(train, **bound)),
        ("prune", partial(prune, sparsity=recipe.sparsity, **bound)),
        ("quantize", partial(quantize, bits=check_bits(recipe.bits), **bound)),
    ]


def train(model: nn.Module, epochs: int, seed: int, split: Split) -> nn.Module:
    """Train with Adam, its rate falling along half a cosine."""
    adam = partial(torch.optim.Adam, lr=2e-3)
    return fit(
        model, split, epochs, optimizer=adam, schedule=cosine, seed=seed, progress=False
    ).model


def prune(model: nn.Module, sparsity: float, epochs: int, seed: int, split: Split) -> nn.Module:
    """Drop the smallest weights, more after each pass in the first half of the passes."""
    half = ceil(epochs / 2)
    sparsities = cubic(sparsity, half) + [sparsity] * (epochs - half)
    finetune = _passes(epochs, 2e-3, seed, split)
    return prune_iteratively(model, magnitude, sparsities, finetune)[0]


def quantize(model: nn.Module, bits: int, epochs: int, seed: int, split: Split) -> nn.Module:
    """Put the weights and biases on their grids, those nearest to it first."""
    masks = {name: weight != 0 for name, weight in prunable(model).items()}  # 0 stays 0
    rounds = len(_FRACTIONS)
    finetune = _passes(rounds, 1e-3, seed, split, epochs=max(1, round(epochs / rounds)))
    return freeze_incrementally(model, grids(model, bits), _FRACTIONS, finetune, masks=masks)


def grids(model: nn.Module, bits: int) -> Plan:
    """Lay a symmetric grid for each weight and bias; its step is 2^(k/8), a byte in the file.

    k is the least for which the grid reaches as far as the largest entry, but for a millionth.

    >>> layer = nn.Linear(1, 2)
    >>> layer.weight.data = torch.tensor([[0.3], [-2.9]])
    >>> grid = grids(layer, bits=3)["weight"]
    >>> grid.scale.item(), grid.highest
    (1.0, 3)
    """
    most, plan = 2 ** (bits - 1) - 1, {}
    biases = {name.removesuffix("weight") + "bias" for name in prunable(model)}
    for name, tensor in model.named_parameters():
        if name in prunable(model) or name in biases:
            reach = float(tensor.detach().abs().max()) or 1.0  # Zeros fit any grid.
            # A logarithm is not exact; a reach that lies on a grid already is to keep that grid.
            step = eighth_power(ceil(8 * log2(reach / most) - 1e-5))
            zero = torch.tensor(0, dtype=torch.int32)
            plan[name] = QParams(torch.tensor(step), zero, -most, most)
    return plan


def _check_some_are_left(sparsity: float, model: nn.Module) -> None:
    weights = sum(weight.numel() for weight in prunable(model).values())
    if round(sparsity * weights) == weights:
        raise ValueError(f"sparsity is {sparsity}: of {weights:,} weights none is left; give less")


def _passes(rounds: int, rate: float, seed: int, split: Split, epochs: int = 1) -> Callable:
    """Return a `finetune` whose rate falls from round to round, to a tenth of itself."""
    taken = count()

    def finetune(model: nn.Module, after_step: Callable | tuple = ()) -> nn.Module:
        i = next(taken)
        adam = partial(torch.optim.Adam, lr=rate * (1 - 0.9 * i / rounds))
        return fit(
            model,
            split,
            epochs,
            optimizer=adam,
            after_step=after_step,
            seed=seed + i,
            progress=False,
        ).model

    return finetune


def _line(step: Done) -> str:
    report = step.report
    return (
        f"{step.name}: {report.accuracy:.2%} on validation, {report.nonzeros:,} of "
        f"{report.parameters:,} parameters not zero, {report.deflated_bytes:,} bytes deflated"
    )
