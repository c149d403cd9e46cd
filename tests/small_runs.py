"""The small data and the small model on which training and its checkpoints are tested."""

from functools import partial

import pytest
import torch
from torch import nn

from pruneedu.data import Split

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")


def make_data(rows=70, seed=0, device="cpu"):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(rows, 6, generator=generator)
    return Split(x.to(device), (x[:, 0] > 0).long().to(device))


def make_model(seed=0, dropout=0.4, device="cpu"):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layers = nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(dropout), nn.Linear(8, 2)
        return nn.Sequential(*layers).to(device)


def same(one, other):
    theirs = other.state_dict()
    return all(torch.equal(tensor, theirs[name]) for name, tensor in one.state_dict().items())


TRAIN, VALIDATION = make_data(), make_data(30, seed=1)
adam = partial(torch.optim.Adam, lr=1e-2)
