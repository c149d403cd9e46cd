"""MNIST-1D, made on this machine by its authors' program and kept in the user's cache."""

import hashlib
import os
import random
import warnings
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

from pruneedu.data import folders

_DIGEST_BYTES = 32


def mnist1d() -> dict[str, Tensor]:
    """Return "x" [4000, 40], "y" [4000], "x_test" [1000, 40] and "y_test" [1000].

    Generating them takes seconds, so they are kept in `mnist1d_path()`. A damaged file is made
    again, with a warning.

    Greydanus and Kobak (2024), "Scaling down deep learning with MNIST-1D".
    """
    from safetensors.torch import load, save

    path = mnist1d_path()
    content = path.read_bytes() if path.is_file() else b""
    digest, payload = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
    if hashlib.sha256(payload).digest() == digest:
        return load(payload)
    if path.is_file():
        warnings.warn(f"{path} is damaged and is made again.", stacklevel=4)
    tensors = _generate()
    payload = save(tensors)
    _keep(hashlib.sha256(payload).digest() + payload, path)
    return tensors


def mnist1d_path() -> Path:
    """Return the file in the cache: the SHA-256 of what follows, then a safetensors file."""
    return folders.cache() / f"mnist1d-{version('mnist1d')}.bin"


def _generate() -> dict[str, Tensor]:
    import numpy as np
    from mnist1d.data import get_dataset_args, make_dataset

    # The generator seeds the global random states; the caller's random numbers must not change.
    python_state, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        made = make_dataset(get_dataset_args())
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)  # noqa: NPY002
    floats = {name: torch.tensor(made[name], dtype=torch.float32) for name in ("x", "x_test")}
    return floats | {name: torch.tensor(made[name]) for name in ("y", "y_test")}


def _keep(content: bytes, path: Path) -> None:
    """Write in one step, so that another process never reads half a file."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=path.parent) as scratch:
            file = Path(scratch) / path.name
            file.write_bytes(content)
            os.replace(file, path)
    except OSError as error:
        warnings.warn(f"MNIST-1D is generated anew each time: {error}.", stacklevel=5)
