"""A stage of a row that is computed once: what is in the cache is read, what is not is made."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import torch

Tensors = dict[str, torch.Tensor]


def cached(cache: Path, stage: str, made_of: object, make: Callable[[], Tensors]) -> Tensors:
    """Return the tensors of a stage, from the cache or newly made and then kept.

    Args:
        cache: the folder.
        stage: what the file is called.
        made_of: all that the result depends on; its `repr` tells one result from another.
        make: makes the tensors by name.
    """
    key = hashlib.sha256(repr(made_of).encode()).hexdigest()[:8]
    path = cache / f"{stage}-{key}.pt"
    if not path.exists():
        tensors = make()
        cache.mkdir(parents=True, exist_ok=True)
        torch.save(tensors, path.with_suffix(".tmp"))
        path.with_suffix(".tmp").replace(path)
    return torch.load(path, weights_only=True)
