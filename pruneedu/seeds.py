"""Seeds: where the random numbers of a run come from."""

from __future__ import annotations

import random

import numpy as np
import torch


def seed_everything(seed: int) -> None:
    """Seed the global generators of Python, NumPy and PyTorch, on the CPU and on every GPU.

    Args:
        seed: an integer from 0 to 2**32 - 1.

    >>> seed_everything(7)
    >>> first = (random.random(), np.random.rand(), torch.rand(()).item())
    >>> seed_everything(7)
    >>> first == (random.random(), np.random.rand(), torch.rand(()).item())
    True
    """
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 (libraries that draw from the global state need it)
    torch.manual_seed(seed)


def seed_epoch(seed: int, epoch: int, device: torch.device) -> torch.Generator:
    """Seed what draws at random in an epoch (dropout); return a generator for shuffling.

    Seeds that depend on the epoch alone leave no generator's state to be saved and restored.
    """
    shuffle, rest = (int(s) for s in np.random.SeedSequence((seed, epoch)).generate_state(2))
    torch.default_generator.manual_seed(rest)
    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(rest)
    return torch.Generator().manual_seed(shuffle)
