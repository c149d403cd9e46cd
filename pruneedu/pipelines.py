"""A pipeline: named steps from network to network, a report after each, and a folder to go on from.

The steps are a plain list, so their order is the caller's to change.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from torch import Tensor, nn

from pruneedu.checkpoints import describe
from pruneedu.measuring import measure
from pruneedu.storage import DamagedFile, contents_of, decode, encode, network

if TYPE_CHECKING:
    from pruneedu.data import Split
    from pruneedu.reports import Report

Step = tuple[str, Callable[[nn.Module], nn.Module]]


class Done(NamedTuple):
    """A step that is done: its name, the network that it made, and what that costs."""

    name: str
    model: nn.Module
    report: Report


def pipeline(
    model: nn.Module,
    steps: list[Step],
    example: Tensor,
    data: Split | None = None,
    folder: str | Path | None = None,
) -> Iterator[Done]:
    """Apply one step after the other, and measure the network after each.

    network_i = step_i(network_{i-1}); an arrow of statistic → plan → rewrite is one such step.

    Args:
        model: where the steps begin; no step may change its input.
        steps: pairs of a name and a function, network -> new network. Bind what a function needs
            with `partial`: its arguments then tell one run from another. Of a function that holds
            them in itself, such as a lambda, only the name is known.
        example: a batch [N, …] on the model's device, for `measure`.
        data: the split on which the reports read accuracy: validation, as long as you choose.
        folder: keeps the network of each finished step. The same call goes on from there after a
            kill. Its parent exists.

    Returns:
        An iterator, which takes a step each time it is asked for one; `list` takes them all.

    Raises:
        ValueError: a folder of another run, a file there that is damaged, or a step whose network
            cannot be kept, as it is none that `models.build` makes again from its `architecture`.

    >>> import torch
    >>> from pruneedu.models import mlp
    >>> from pruneedu.pruning import apply_masks, keep_top, magnitude
    >>> def prune(model):
    ...     return apply_masks(model, keep_top(magnitude(model), sparsity=0.75))
    >>> [
    ...     (name, report.nonzeros)
    ...     for name, _, report in pipeline(mlp(4, 2), [("prune", prune)], torch.ones(8, 4))
    ... ]
    [('prune', 4)]
    """
    if folder is not None:
        _claim(Path(folder), model, steps)
    return _steps_taken(model, steps, example, data, folder)


def _steps_taken(model, steps, example, data, folder) -> Iterator[Done]:
    for i, (name, step) in enumerate(steps, 1):
        if folder is None:
            model = step(model)
        else:
            path = Path(folder, f"step-{i}.pe")
            if not path.exists():
                _write(path, _kept(name, step(model)))
            # Read in any case, so that a run that goes on meets what one without a stop does.
            model = _read(path).to(example.device)
        yield Done(name, model, measure(model, example, data, name=name))


def _claim(folder: Path, model: nn.Module, steps: list[Step]) -> None:
    """Write down whose folder this is, or raise where it is another run's."""
    lines = [f"model: {describe(model)}", *(f"{name}: {describe(step)}" for name, step in steps)]
    folder.mkdir(exist_ok=True)
    path = folder / "run.txt"
    if not path.exists():
        _write(path, "\n".join(lines).encode())
    theirs = path.read_text(errors="replace").split("\n")
    for their, ours in zip_longest(theirs, lines, fillvalue="nothing more"):
        if their != ours:
            raise ValueError(
                f"{folder} is the folder of another run: it has [{their}] where this run has "
                f"[{ours}]; name another folder, or delete it"
            )


def _kept(name: str, model: nn.Module) -> bytes:
    """Return a network as the bytes of a file from which it can be made again, or raise."""
    contents = contents_of(model)
    try:
        same = _looks(network(contents)) == _looks(model)
    except ValueError:
        same = False
    if not same:
        raise ValueError(
            f"the network of step {name!r} cannot be kept in a folder: `models.build` does not "
            "make it from its `architecture`; run without a folder, or take this step afterwards"
        )
    return encode(contents, coder="huffman")  # ten times faster; the folder need not be small


def _looks(model: nn.Module) -> tuple:
    """Return what must agree besides the weights: the layers, as printed, and the dtypes."""
    return str(model), [tensor.dtype for tensor in model.state_dict().values()]


def _read(path: Path) -> nn.Module:
    try:
        return network(decode(path.read_bytes()))
    except DamagedFile as error:
        raise ValueError(
            f"{path} cannot be read: {error}; delete it and the steps after it, to take them again"
        ) from error


def _write(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    scratch = path.with_suffix(".tmp")
    scratch.write_bytes(content)
    os.replace(scratch, path)
