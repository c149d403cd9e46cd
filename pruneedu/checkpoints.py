"""Save the state of a run so that it can go on after a kill, and refuse that of another run."""

from __future__ import annotations

import dis
import hashlib
import inspect
import io
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from itertools import takewhile
from numbers import Number
from pathlib import Path
from types import CodeType
from typing import Any

import torch
from torch import Tensor, nn


def save_checkpoint(path: str | Path, run: dict[str, str], state: dict[str, Any]) -> None:
    """Write a checkpoint; at any moment the file holds either the old state or the new one.

    Args:
        path: the file; its folder exists.
        run: what identifies the run, one short description per name.
        state: plain data, tensors and dicts of them.
    """
    content = io.BytesIO()
    torch.save({"run": run, "state": state}, content)
    write_whole(Path(path), content.getvalue())


def write_whole(path: Path, content: bytes) -> None:
    """Write a file; at any moment it holds either all of the old bytes or all of the new ones.

    Raises:
        OSError: it cannot be written, as on a full disk.
    """
    scratch = path.with_name(f"{path.name}.tmp")
    try:
        with scratch.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(scratch, path)
    except OSError as error:
        raise OSError(f"{path} cannot be written: {error.strerror}") from error
    finally:
        with suppress(OSError):  # It is there only when something went wrong.
            scratch.unlink()


def load_checkpoint(path: str | Path, run: dict[str, str]) -> dict[str, Any] | None:
    """Read the state that the same run left behind; nothing but plain data is unpickled.

    Args:
        path: the file; it need not exist.
        run: what identifies the run, as it was given to :func:`save_checkpoint`.

    Returns:
        The state with its tensors on the CPU, or None where there is no file.

    Raises:
        ValueError: the file is no checkpoint, or one of another run.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "run.pt")
    ...     save_checkpoint(path, {"seed": "0"}, {"epoch": 3})
    ...     print(load_checkpoint(path, {"seed": "0"}), load_checkpoint(Path(folder, "no"), {}))
    {'epoch': 3} None
    """
    if not Path(path).exists():
        return None
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        saved, state = content["run"], content["state"]
    except Exception as error:
        raise ValueError(
            f"{path} is not a checkpoint that can be read ({type(error).__name__}); "
            "delete it, or name another file"
        ) from error
    for name, value in run.items():
        if saved.get(name) != value:
            theirs, ours = _difference(str(saved.get(name)), value)
            raise ValueError(
                f"{path} is the checkpoint of another run: its {name} is {theirs}, "
                f"this run's is {ours}; delete it, or name another file"
            )
    return state


def identify(arguments: dict[str, Any]) -> dict[str, str]:
    """Describe the arguments of a run that could change its result.

    >>> identify({"epochs": 5, "seed": 0, "progress": False, "checkpoint": "run.pt"})
    {'epochs': '5', 'seed': '0'}
    """
    without = ("checkpoint", "progress")
    return {name: describe(value) for name, value in arguments.items() if name not in without}


def describe(value: Any) -> str:
    """Describe a setting of a run in a line that is the same in every process of one Python.

    Tensors are known by a digest, bound arguments by their values, a function by its name, a
    digest of its code, its defaults, and the numbers and texts around it that it reads and never
    sets. What the functions that it calls do is not known.

    >>> describe(partial(torch.optim.SGD, lr=0.1))
    'SGD(lr=0.1)'
    >>> describe(lambda model, sparsity=0.5: model)  # doctest: +ELLIPSIS
    '<lambda>(code ..., sparsity=0.5)'
    >>> describe({"fc1": torch.zeros(2)})
    '{fc1: float32[2] af5570f5a181}'
    """
    if isinstance(value, partial):
        bound = [describe(argument) for argument in value.args]
        bound += [f"{name}={describe(argument)}" for name, argument in value.keywords.items()]
        return f"{describe(value.func)}({', '.join(bound)})"
    if isinstance(value, nn.Module):
        layers = " ".join(str(value).split())
        return f"{layers} with weights {_digest(*value.parameters(), *value.buffers())}"
    if isinstance(value, torch.optim.Optimizer):
        groups = [{k: v for k, v in g.items() if k != "params"} for g in value.param_groups]
        return f"{type(value).__name__} {describe(groups)}"
    if isinstance(value, Tensor):
        return f"{str(value.dtype).removeprefix('torch.')}{list(value.shape)} {_digest(value)}"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{name}: {describe(item)}' for name, item in value.items())}}}"
    if isinstance(value, list | tuple):
        return f"({', '.join(describe(item) for item in value)})"
    if value is None or isinstance(value, Number | str):
        return str(value)
    name = getattr(value, "__qualname__", type(value).__qualname__)
    function = inspect.unwrap(value)  # A decorator such as no_grad has one code for all.
    if inspect.isfunction(function) or inspect.ismethod(function):
        known = [f"{key}={describe(setting)}" for key, setting in _settings(function).items()]
        return f"{name}({', '.join([f'code {digest_of(*_does(function))}', *known])})"
    return name


def digest_of(*texts: str) -> str:
    """Return twelve letters that stand for some texts."""
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:12]


def _codes(code: CodeType) -> list[CodeType]:
    """Return the code of a function, and that of the functions within it."""
    inner = [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    return [code, *(deeper for each in inner for deeper in _codes(each))]


def _does(function: Callable) -> list[str]:
    """Return what a function does, without its place: no file and no line numbers."""
    texts = []
    for code in _codes(function.__code__):
        texts += [code.co_code.hex(), *code.co_names, *code.co_freevars]
        for constant in code.co_consts:
            if isinstance(constant, frozenset):  # Its order is another one in each process.
                texts += sorted(map(repr, constant))
            elif not isinstance(constant, CodeType):  # It would tell its line and address.
                texts.append(repr(constant))
    return texts


def _settings(function: Callable) -> dict[str, Any]:
    """Return the defaults of a function, and the numbers and texts that it reads from around it."""
    parameters = inspect.signature(function).parameters.values()
    defaults = {p.name: p.default for p in parameters if p.default is not p.empty}
    codes = _codes(function.__code__)
    read = {name for code in codes for name in (*code.co_names, *code.co_freevars)}
    # What it sets, such as a count of its calls, is no setting.
    sets = ("STORE_GLOBAL", "STORE_DEREF")
    read -= {op.argval for code in codes for op in dis.get_instructions(code) if op.opname in sets}
    around = {**function.__globals__, **inspect.getclosurevars(function).nonlocals}
    found = {name: around[name] for name in sorted(read & set(around))}
    return defaults | {name: v for name, v in found.items() if isinstance(v, Number | str)}


def _digest(*tensors: Tensor) -> str:
    digest = hashlib.sha256()
    for tensor in tensors:
        content = tensor.detach().cpu().contiguous().flatten().view(torch.uint8)
        digest.update(content.numpy())
    return digest.hexdigest()[:12]


def _difference(one: str, other: str, width: int = 80) -> tuple[str, str]:
    """Cut two long texts down to the part where they begin to differ."""
    same = (a == b for a, b in zip(one, other, strict=False))
    start = max(0, sum(takewhile(bool, same)) - width // 2)
    cut = slice(start, start + width)
    return tuple(text if len(text) <= width else f"…{text[cut]}…" for text in (one, other))
