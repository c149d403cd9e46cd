"""A stage of a row that is computed once: what is in the cache is read, what is not is made."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from time import process_time
from typing import NamedTuple

import torch

Tensors = dict[str, torch.Tensor]


class Stage(NamedTuple):
    """The tensors of a stage, and the minutes of the processor that it took to make them."""

    tensors: Tensors
    minutes: float


def cached(cache: Path, stage: str, made_of: object, make: Callable[[], Tensors]) -> Stage:
    """Return a stage from the cache, or make it and keep it.

    Args:
        cache: the folder.
        stage: what the file is called.
        made_of: all that the result depends on; its `repr` tells one result from another.
        make: makes the tensors by name.
    """
    key = hashlib.sha256(repr(made_of).encode()).hexdigest()[:8]
    path = cache / f"{stage}-{key}.pt"
    if not path.exists():
        started = process_time()
        made = Stage(make(), (process_time() - started) / 60)
        cache.mkdir(parents=True, exist_ok=True)
        torch.save(made._asdict(), path.with_suffix(".tmp"))
        path.with_suffix(".tmp").replace(path)
    return Stage(**torch.load(path, weights_only=True))
