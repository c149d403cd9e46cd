"""The teachers: convolutional networks, and the pool of images that they speak of."""

from collections import OrderedDict
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

import pruneedu as pe
from benchmarks.records.stages import Tensors, cached
from pruneedu.data import Split
from pruneedu.data.augmentation import augmented, warp
from pruneedu.distillation import teach
from pruneedu.training import cosine


class Pool(NamedTuple):
    """What students learn from.

    Attributes:
        images: how many of the training set; all where there are fewer.
        copies: changed copies of each, beside the image itself.
        teachers: networks whose logits are averaged.
    """

    images: int
    copies: int
    teachers: int


class Ensemble(nn.Module):
    """The mean of the logits of several networks."""

    def __init__(self, members: list[nn.Module]):
        """Take the networks in."""
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, x: Tensor) -> Tensor:
        """Return the mean logits."""
        return torch.stack([member(x) for member in self.members]).mean(0)


def taught_pool(pool: Pool, train: Split, cache: Path) -> tuple[Split, float]:
    """Return the images and their changed copies, beside each label the teachers' mean logits.

    The second value is the minutes of the processor that the teachers and their answers took.
    """
    train = Split(train.x[: pool.images], train.y[: pool.images])
    images = augmented(train, pool.copies)
    teachers = [trained_teacher(seed, train, cache) for seed in range(pool.teachers)]
    ensemble = Ensemble([teacher for teacher, _ in teachers])
    logits, minutes = cached(
        cache, "pool", (pool, len(train.y)), lambda: {"y": teach(ensemble, images).y}
    )
    return Split(images.x, logits["y"]), minutes + sum(minutes for _, minutes in teachers)


def trained_teacher(
    seed: int, train: Split, cache: Path, passes: int = 8
) -> tuple[nn.Module, float]:
    """Return a network that saw each image once as it is and `passes` - 1 times changed.

    The second value is the minutes of the processor that its training took.
    """

    def make() -> Tensors:
        pe.seed_everything(seed)
        # Other changes than those that the students see, and others for each teacher.
        images = augmented(train, passes - 1, lambda x, copy: warp(x, 100 * (1 + seed) + copy))
        optimizer = partial(torch.optim.AdamW, lr=4e-3, weight_decay=1e-2)
        fitted = pe.fit(
            convolutional(), images, 1, optimizer=optimizer, schedule=one_cycle, seed=seed
        )
        return fitted.model.state_dict()

    teacher = convolutional()
    state, minutes = cached(cache, "teacher", (seed, len(train.y), passes), make)
    teacher.load_state_dict(state)
    return teacher.eval(), minutes


def convolutional() -> nn.Module:
    """Return an untrained teacher for images [N, 1, 28, 28]."""
    layers, before = [], 1
    for i, (channels, size, stride) in enumerate([(24, 5, 2), (48, 3, 2), (64, 3, 1)], 1):
        layers += [
            (f"conv{i}", nn.Conv2d(before, channels, size, stride, size // 2, bias=False)),
            (f"bn{i}", nn.BatchNorm2d(channels)),
            (f"relu{i}", nn.ReLU()),
        ]
        before = channels
    layers += [("pool", nn.MaxPool2d(2)), ("flatten", nn.Flatten()), ("dropout", nn.Dropout(0.3))]
    layers += [("fc", nn.Linear(9 * before, 10))]
    # On a CPU, convolutions are fastest with the channels last.
    return nn.Sequential(OrderedDict(layers)).to(memory_format=torch.channels_last)


def one_cycle(progress: float) -> float:
    """Raise the rate from nearly 0 for the first quarter, then lower it to 0.

    Source: Smith and Topin, "Super-convergence", 2018.

    >>> one_cycle(0.125), one_cycle(0.25), one_cycle(1.0)
    (0.52, 1.0, 0.0)
    """
    if progress < 0.25:
        return 0.04 + 0.96 * progress / 0.25
    return cosine((progress - 0.25) / 0.75)
