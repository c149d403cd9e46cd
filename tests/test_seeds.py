import random

import numpy as np
import torch

from pruneedu.seeds import seed_epoch, seed_everything


def test_seed_everything_repeats_all_generators():
    draws = []
    for seed in (3, 3, 4):
        seed_everything(seed)
        draws.append((random.random(), np.random.rand(), torch.rand(()).item()))  # noqa: NPY002
    assert draws[0] == draws[1]
    assert all(one != other for one, other in zip(draws[1], draws[2], strict=True))


def test_each_seed_and_epoch_has_its_own_numbers():
    cpu, draws = torch.device("cpu"), set()
    with torch.random.fork_rng(devices=[]):
        for seed in range(4):
            for epoch in range(4):
                shuffle = seed_epoch(seed, epoch, cpu)
                draws |= {torch.rand(()).item(), torch.rand((), generator=shuffle).item()}
    assert len(draws) == 32
