"""Which tensors a file holds: those of a network that everybody can build, or names and shapes."""

from __future__ import annotations

from functools import lru_cache
from math import isqrt, prod
from typing import Any, NamedTuple

import numpy as np
import torch

from pruneedu import models
from pruneedu.storage.errors import DamagedFile
from pruneedu.storage.plain_data import (
    Reader,
    number_bytes,
    plain_bytes,
    read_plain,
    read_text,
    text_bytes,
)

Shapes = dict[str, tuple[int, ...]]
Architecture = tuple[str, dict[str, Any]]

# Part of the format: a file names a network by its place here, and leaves out what it has as here.
# New networks come last, and nothing that stands here changes.
NETWORKS: dict[str, dict[str, Any]] = {
    "mlp": {"sizes": ()},
    "lenet_300_100": {"inputs": 784, "classes": 10},
    "lenet5": {"classes": 10},
    "small_cnn": {"channels": (16, 32, 64), "classes": 10, "inputs": 1},
    "mnist1d_mlp": {"hidden": 100, "classes": 10},
    "mnist1d_cnn": {"channels": 25, "classes": 10},
}
_MOST_LAYERS, _WIDEST, _MOST_DIMENSIONS = 64, 1 << 24, 8


class Surroundings(NamedTuple):
    """What the reader of a tensor knows of its neighbourhood already.

    Attributes:
        rows, columns: the tensor as a matrix: a row for each unit.
        width: of the image or kernel that a row shows; 1 where it shows none.
        hints: [columns], 1 where the layer before has something for this column.
    """

    rows: int
    columns: int
    width: int
    hints: np.ndarray


def surroundings(shape: tuple[int, ...], live: np.ndarray | None) -> Surroundings:
    """Return how to see a tensor, given which units of the layer before have any weight.

    A dense layer that sees several inputs of each unit before, such as the 16 positions of a
    channel, sees a small square image of each; the first one sees the image itself.

    Args:
        shape: of the tensor.
        live: [units] truth values for the layer before; None for the first.

    >>> seen = surroundings((300, 784), live=None)
    >>> seen.rows, seen.columns, seen.width, int(seen.hints.sum())
    (300, 784, 28, 0)
    >>> surroundings((500, 800), live=np.ones(50, dtype=bool)).width
    4
    """
    rows, columns = (shape[0], prod(shape[1:])) if len(shape) > 1 else (1, prod(shape))
    units = 1 if live is None else len(live)
    inputs = columns // units if units and columns % units == 0 else 0
    fits = live is not None and inputs
    hints = np.repeat(live, inputs).astype(int) if fits else np.zeros(columns, dtype=int)
    width = 1
    if len(shape) == 4:
        width = shape[3]
    elif len(shape) == 2 and isqrt(inputs) ** 2 == inputs:
        width = isqrt(inputs)
    return Surroundings(rows, columns, max(1, width), hints)


def architecture_bytes(architecture: Architecture) -> bytes:
    """Return the name and the configuration of a network as bytes: LeNet-300-100 takes two.

    Raises:
        ValueError: a network that `models.build` does not make, or another configuration.

    >>> architecture_bytes(("lenet_300_100", {"inputs": 784, "classes": 10})).hex()
    '0100'
    """
    name, config = architecture
    known, sensible = NETWORKS.get(name), all(map(_sensible, config.values()))
    if known is None or set(config) != set(known) or not sensible:
        raise ValueError(
            f"the architecture is {name!r} with {config}: a file knows {', '.join(NETWORKS)}, as "
            "`model.architecture` has them; give None for another network"
        )
    given = [config[key] != default for key, default in known.items()]
    written = number_bytes(list(NETWORKS).index(name))
    written += number_bytes(sum(flag << place for place, flag in enumerate(given)))
    values = [config[key] for key, flag in zip(known, given, strict=True) if flag]
    return written + b"".join(map(plain_bytes, values))


def read_architecture(read: Reader) -> Architecture:
    """Read what `architecture_bytes` has written, or raise DamagedFile."""
    place, given = read.number(), read.number()
    if place >= len(NETWORKS):
        raise DamagedFile(f"the file is of network {place}, which this version does not know")
    name = list(NETWORKS)[place]
    config = dict(NETWORKS[name])
    for i, key in enumerate(config):
        if given >> i & 1:
            config[key] = read_plain(read)
    if given >> len(config) or not all(map(_sensible, config.values())):
        raise DamagedFile(f"the configuration of {name} is {config}")
    return name, config


@lru_cache(maxsize=8)
def _shapes(name: str, config: tuple[tuple[str, Any], ...]) -> Shapes:
    with torch.device("meta"):
        model = models.build(name, **dict(config))
    return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}


def shapes_of(architecture: Architecture) -> Shapes:
    """Return the names and shapes of a network's state dict; no weight is made.

    Raises:
        DamagedFile: a configuration of which no network can be built.

    >>> shapes_of(("mlp", {"sizes": (4, 2)}))
    {'fc1.weight': (2, 4), 'fc1.bias': (2,)}
    """
    name, config = architecture
    try:
        return _shapes(name, tuple(config.items()))
    except (ValueError, TypeError, RuntimeError) as error:
        raise DamagedFile(f"no {name} can be built with {config}: {error}") from error


def shapes_bytes(shapes: Shapes) -> bytes:
    """Return names and shapes as bytes."""
    written = number_bytes(len(shapes))
    for name, shape in shapes.items():
        written += text_bytes(name) + b"".join(map(number_bytes, (len(shape), *shape)))
    return written


def read_shapes(read: Reader) -> Shapes:
    """Read what `shapes_bytes` has written, or raise DamagedFile."""
    shapes: Shapes = {}
    for _ in range(read.number()):
        name, dimensions = read_text(read), read.number()
        if name in shapes or dimensions > _MOST_DIMENSIONS:
            raise DamagedFile(f"{name!r} comes twice, or has {dimensions} dimensions")
        shapes[name] = tuple(read.number() for _ in range(dimensions))
    return shapes


def _sensible(value: Any) -> bool:
    """Tell whether a value of a configuration is a size, or a few of them."""
    if isinstance(value, tuple):
        return len(value) <= _MOST_LAYERS and all(map(_sensible, value))
    return type(value) is int and 0 < value < _WIDEST
