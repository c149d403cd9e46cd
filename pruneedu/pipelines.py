"""A pipeline: named steps from network to network, a report after each, and a folder to go on from.

The steps are a plain list, so their order is the caller's to change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from torch import Tensor, nn

from pruneedu.checkpoints import describe, digest_of, write_whole
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
        steps: pairs of a name and a function, network -> new network. A function's code and the
            arguments that `partial` binds tell one run from another; what the functions that it
            calls do does not.
        example: a batch [N, …] on the model's device, for `measure`.
        data: the split on which the reports read accuracy: validation, as long as you choose.
        folder: keeps the network of each finished step. The same call goes on from there after a
            kill, and one with more steps at the end from the last that they share. Its parent
            exists.

    Returns:
        An iterator, which takes a step each time it is asked for one; `list` takes them all.

    Raises:
        ValueError: steps that are no list of pairs, an example or data that the network does not
            take, a step that changes its input or returns no network, a folder of another run, a
            file there that is damaged or of another step, or a step whose network cannot be kept,
            as it is none that `models.build` makes again from its `architecture`.
        OSError: a folder that cannot be made, or a file that cannot be written.

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
    _check(model, steps, example, data)
    if folder is None:
        return _taken(model, steps, example, data)
    lines = [f"{name}: {describe(step)}" for name, step in steps]
    _claim(Path(folder), f"model: {describe(model)}", *lines)
    return _kept(model, steps, example, data, Path(folder), lines)


def _check(model: nn.Module, steps: list[Step], example: Tensor, data: Split | None) -> None:
    """Refuse now what would fail after the first step, which may take hours."""
    if not isinstance(steps, list | tuple):
        raise ValueError(f"the steps are a {type(steps).__name__}: give a list of pairs")
    for i, step in enumerate(steps, 1):
        pair = isinstance(step, tuple | list) and len(step) == 2
        if not pair or not isinstance(step[0], str) or not callable(step[1]):
            raise ValueError(
                f"step {i} is {describe(step)}: expected a pair of a name and a function, such as "
                "('prune', prune)"
            )
    _measured("the given network", model, example, data, repeats=4)


def _taken(model, steps, example, data) -> Iterator[Done]:
    for name, step in steps:
        model = _take(name, step, model)
        yield _done(name, model, example, data)


def _kept(model, steps, example, data, folder: Path, lines: list[str]) -> Iterator[Done]:
    for i, ((name, step), line) in enumerate(zip(steps, lines, strict=True), 1):
        path = folder / f"step-{i}.pe"
        origin = {"step": name, "made of": digest_of(describe(model), line)}
        if not path.exists():
            write_whole(path, _file(name, _take(name, step, model), origin))
        # Read in any case, so that a run that goes on meets what one without a stop does.
        model = _read(path, origin).to(example.device)
        yield _done(name, model, example, data)


def _take(name: str, step: Callable, model: nn.Module) -> nn.Module:
    before = describe(model)
    after = step(model)
    if describe(model) != before:
        raise ValueError(
            f"step {name!r} changes the network that it is given: let it change and return a copy, "
            "as from copy.deepcopy(model)"
        )
    if not isinstance(after, nn.Module):
        raise ValueError(f"step {name!r} returns {describe(after)}: expected the new network")
    return after


def _done(name: str, model: nn.Module, example: Tensor, data: Split | None) -> Done:
    report = _measured(f"the network of step {name!r}", model, example, data, name=name)
    return Done(name, model, report)


def _measured(what: str, model, example, data, **options) -> Report:
    try:
        return measure(model, example, data, **options)
    except RuntimeError as error:
        shapes = f"example {list(example.shape)}"
        if data is not None:
            shapes += f" or the data {list(data.x.shape)}"
        why = str(error).partition("\n")[0]
        raise ValueError(f"{what} does not take the {shapes}: {why}") from error


def _claim(folder: Path, *lines: str) -> None:
    """Write down whose folder this is, or raise where it is another run's."""
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise OSError(
            f"the folder {folder} cannot be made: {error.strerror}; name one that can"
        ) from error
    path, ours = folder / "run.txt", "\n".join(lines).split("\n")
    theirs = path.read_text(errors="replace").split("\n") if path.exists() else []
    for their, our in zip(theirs, ours, strict=False):
        if their != our:
            raise ValueError(
                f"{folder} is the folder of another run: it has [{their}] where this run has "
                f"[{our}]; name another folder, or delete it"
            )
    if len(theirs) < len(ours):
        write_whole(path, "\n".join(ours).encode())


def _file(name: str, model: nn.Module, origin: dict[str, str]) -> bytes:
    """Return a network as the bytes of a file from which it can be made again, or raise."""
    try:
        contents = contents_of(model, plan=origin)
    except ValueError as error:
        raise ValueError(f"the network of step {name!r} cannot be kept: {error}") from error
    try:
        same = _looks(network(contents)) == _looks(model)
    except ValueError:
        same = False
    if not same:
        raise ValueError(
            f"the network of step {name!r} cannot be kept in a folder: what `models.build` "
            "makes from its `architecture` has other layers or dtypes, or trains other parameters; "
            "run without a folder, or take this step afterwards"
        )
    return encode(contents, coder="huffman")  # ten times faster; the folder need not be small


def _looks(model: nn.Module) -> tuple:
    """Return what must agree besides the weights: layers, as printed, dtypes, and what trains."""
    dtypes = [tensor.dtype for tensor in model.state_dict().values()]
    return str(model), dtypes, [parameter.requires_grad for parameter in model.parameters()]


def _read(path: Path, origin: dict[str, str]) -> nn.Module:
    again = "delete it and the steps after it, to take them again"
    try:
        contents = decode(path.read_bytes())
    except (DamagedFile, OSError) as error:
        raise ValueError(f"{path} cannot be read: {error}; {again}") from error
    if contents.plan != origin:
        raise ValueError(
            f"{path} is not what step {origin['step']!r} of this run makes of the network before "
            f"it, but a file of {contents.plan.get('step', 'no step')!r}: {again}"
        )
    return network(contents)
