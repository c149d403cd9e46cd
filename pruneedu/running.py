"""Where `pruneedu compress` begins, a network that fits the data, and ends, a file that runs."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pruneedu import models
from pruneedu.data import Dataset, Split, load
from pruneedu.evaluation import evaluate
from pruneedu.quantization import Plan, to_integers
from pruneedu.storage import (
    DamagedFile,
    Quantized,
    contents_of,
    decode,
    encode,
    network,
    sort_units,
)


def fresh(name: str, data: Dataset) -> nn.Module:
    """Return a fresh network with the inputs and the classes of a data set.

    Raises:
        ValueError: a name that `models` does not have, or a network for other examples.

    >>> fresh("mlp", load("digits")).architecture
    ('mlp', {'sizes': (64, 64, 10)})
    """
    x, classes = data.train.x, len(data.classes)
    configs = {
        "mlp": {"sizes": (x[0].numel(), 64, classes)},
        "lenet_300_100": {"inputs": x[0].numel(), "classes": classes},
        "small_cnn": {"inputs": x.shape[1], "classes": classes},
    }
    model = models.build(name, **configs.get(name, {"classes": classes}))
    _check_takes(model, data.name, data.train)
    return model


def state_from(path: Path, model: nn.Module) -> dict[str, Tensor]:
    """Read a state dict that fits a model.

    Args:
        path: `.pe` for a compressed file, `.safetensors`, else as `torch.save` writes it.
        model: what it has to fit; it is not changed.

    Raises:
        ValueError: no state dict, one with other names or shapes, or NaN or infinity in it. Nothing
            in it is run. OSError: a file that cannot be opened.
    """
    with naming(path):
        state = _read(path)
        if not isinstance(state, dict):
            raise ValueError(f"it holds {type(state).__name__}, no dict of tensors; {_SAVE}")
        for name, tensor in state.items():
            if not isinstance(tensor, Tensor):
                found = type(tensor).__name__
                raise ValueError(f"{name!r} in it is {found}, no tensor; {_SAVE}")
            odd = tensor.layout != torch.strided or tensor.is_meta or tensor.is_quantized
            if odd or tensor.is_complex():
                raise ValueError(
                    f"{name!r} in it is {tensor.dtype}, {tensor.layout} on {tensor.device}, "
                    "expected a dense tensor of real numbers; save one such as tensor.to_dense()"
                )
            if not tensor.isfinite().all():
                raise ValueError(f"{name!r} in it holds NaN or infinity; begin with another file")
    shapes = {name: tensor.shape for name, tensor in state.items()}
    expected = {name: tensor.shape for name, tensor in model.state_dict().items()}
    if wrong := [name for name in shapes | expected if shapes.get(name) != expected.get(name)]:
        raise ValueError(
            f"{path} does not fit this network at {wrong[0]!r}: it has "
            f"{shapes.get(wrong[0])}, expected {expected.get(wrong[0])}"
        )
    return state


_SAVE = "save one with torch.save(model.state_dict(), path)"


def _read(path: Path) -> Any:
    from safetensors.torch import load

    content = path.read_bytes()
    if path.suffix == ".pe":
        return {name: part.dense() for name, part in decode(content).tensors.items()}
    try:
        if path.suffix == ".safetensors":
            return load(content)
        return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # A damaged file makes them raise anything.
        if isinstance(error, pickle.UnpicklingError) and zipfile.is_zipfile(io.BytesIO(content)):
            why = "it holds more than tensors, such as a whole network, which would run code"
        else:
            why = "it is damaged, or no file of weights"
        raise ValueError(f"{why}; {_SAVE}") from error


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Name the file in what goes wrong while it is read.

    >>> with naming(Path("small.pe")):
    ...     decode(b"")
    Traceback (most recent call last):
    ValueError: small.pe cannot be read: this is no compressed network: it starts with b''
    """
    try:
        yield
    except OSError as error:
        raise OSError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ValueError(f"{path} cannot be read: {error}") from error


def check_out(out: Path) -> None:
    """Raise unless a compressed file can be written here; another file is not overwritten."""
    if out.is_dir() or not out.name:
        raise ValueError(f"{out} is a folder: name a file in it, such as {out / 'small.pe'}")
    if not out.parent.is_dir():
        raise ValueError(f"there is no folder {out.parent} for {out}: make it, or name another")
    for path in (out.parent, out):
        if path.exists() and not os.access(path, os.W_OK):
            raise ValueError(f"{path} cannot be written: name another place than {out}")
    if out.exists() and not (out.is_file() and _is_compressed(out)):
        raise ValueError(f"{out} is there, and is no compressed file: name another file")


def _is_compressed(file: Path) -> bool:
    try:
        decode(file.read_bytes())
    except DamagedFile:
        return False
    return True


def file_of(model: nn.Module, plan: Plan, data: str) -> bytes:
    """Return the file: integers for what has a grid, everything else as it is."""
    model = sort_units(model)
    state = model.state_dict()
    parts = {
        name: Quantized(to_integers(state[name], grid), grid.scale, grid.zero_point)
        for name, grid in plan.items()
    }
    return encode(contents_of(model, parts, {"data": data}))


def run(file: Path, data: str | None = None) -> str:
    """Make a network from a file alone, and tell what it does on a test split.

    Args:
        file: as from `compress`, or any of `storage.encode`.
        data: the name of a data set; None takes the one that the file names.

    Returns:
        A line with accuracy, bytes and parameters that are not zero.

    Raises:
        ValueError: a file that is damaged, no data set, or one that does not fit. OSError: a file
            that cannot be opened.
    """
    with naming(file):
        written = file.read_bytes()
        contents = decode(written)
        if contents.architecture is None:
            raise ValueError("it names no network; `pruneedu inspect` tells what it holds")
        model = network(contents)
    name = contents.plan.get("data") if data is None else data
    if not isinstance(name, str):
        raise ValueError(f"{file} names no data set: say which with --data, such as --data digits")
    test = load(name).test
    _check_takes(model, name, test)
    nonzeros = sum(int(parameter.count_nonzero()) for parameter in model.parameters())
    return (
        f"{file}: {evaluate(model, test):.2%} on the {len(test.y):,} test examples of {name}, "
        f"{len(written):,} bytes, {nonzeros:,} parameters not zero"
    )


def _check_takes(model: nn.Module, name: str, split: Split) -> None:
    try:
        with torch.no_grad():
            model(split.x[:2])
    except RuntimeError as error:
        shape = list(split.x.shape[1:])
        raise ValueError(
            f"the network does not take the examples of {name}, which are {shape}: choose another "
            "network or data set"
        ) from error
