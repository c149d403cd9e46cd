"""Where `pruneedu compress` begins, a network that fits the data, and ends, a file that runs."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from pruneedu import models
from pruneedu.data import Dataset, Split, load
from pruneedu.evaluation import evaluate
from pruneedu.storage import decode, network


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
        ValueError: no state dict, or one with other names or shapes. Nothing in it is run.
    """
    try:
        state = _read(path)
        shapes = {name: tensor.shape for name, tensor in state.items()}
    except OSError:
        raise
    except Exception as error:
        raise ValueError(
            f"{path} is no state dict that can be read ({type(error).__name__}): save one with "
            "torch.save(model.state_dict(), path)"
        ) from error
    expected = {name: tensor.shape for name, tensor in model.state_dict().items()}
    if wrong := [name for name in shapes | expected if shapes.get(name) != expected.get(name)]:
        raise ValueError(
            f"{path} does not fit this network at {wrong[0]!r}: it has "
            f"{shapes.get(wrong[0])}, expected {expected.get(wrong[0])}"
        )
    return state


def _read(path: Path) -> dict[str, Tensor]:
    from safetensors.torch import load_file

    if path.suffix == ".pe":
        return network(decode(path.read_bytes())).state_dict()
    if path.suffix == ".safetensors":
        return load_file(path)
    return torch.load(path, map_location="cpu", weights_only=True)


def run(file: Path, data: str | None = None) -> str:
    """Make a network from a file alone, and tell what it does on a test split.

    Args:
        file: as from `compress`, or any of `storage.encode`.
        data: the name of a data set; None takes the one that the file names.

    Returns:
        A line with accuracy, bytes and parameters that are not zero.

    Raises:
        DamagedFile: a file that cannot be read. ValueError: no data set, or one that does not fit.
    """
    written = file.read_bytes()
    contents = decode(written)
    name = contents.plan.get("data") if data is None else data
    if not isinstance(name, str):
        raise ValueError(f"{file} names no data set: say which with --data, such as --data digits")
    model, test = network(contents), load(name).test
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
