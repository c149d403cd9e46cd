"""The data sets of the course, split once into train, validation and test."""

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from pruneedu.data import generated, originals
from pruneedu.data.folders import locate

__all__ = ["Dataset", "Split", "found", "load"]


class Split(NamedTuple):
    """Examples `x` [N, …] (float32) and their class numbers `y` [N] (int64)."""

    x: Tensor
    y: Tensor


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
    """Three disjoint splits. Every choice is made on validation; test is read once."""

    name: str
    train: Split
    validation: Split
    test: Split
    classes: tuple[str, ...]
    description: str

    def __repr__(self) -> str:
        """Sizes instead of thousands of numbers."""
        splits = (self.train, self.validation, self.test)
        sizes = " + ".join(f"{len(split.y):,}" for split in splits)
        shape = list(self.train.x.shape[1:])
        return f"Dataset({self.name}: {sizes} examples {shape}, {len(self.classes)} classes)"


def load(name: str, device: str | torch.device = "cpu") -> Dataset:
    """Return the data set `name`, as tensors on `device`.

    Images are [N, channels, height, width] with pixels in [0, 1], dark to bright, and are not
    standardised: what a network sees is what `imshow` shows. MNIST-1D is [N, 40], with mean 0 and
    standard deviation 1 as its authors publish it. The splits are the same on every machine.

    =============  =======================  ======  ==========  ======
    name           x                         train  validation    test
    =============  =======================  ======  ==========  ======
    digits         [N, 1, 8, 8]              1,197         300     300
    mnist1d        [N, 40]                   3,200         800   1,000
    fashion-mini   [N, 1, 28, 28]           10,000       2,000   2,000
    mnist          [N, 1, 28, 28]           55,000       5,000  10,000
    fashion-mnist  [N, 1, 28, 28]           55,000       5,000  10,000
    cifar10        [N, 3, 32, 32]           45,000       5,000  10,000
    =============  =======================  ======  ==========  ======

    `digits`, `mnist1d` and `fashion-mini` need no network. The others are read from the folder that
    the environment variable PRUNEEDU_DATA names (never written), else from the user's cache, and
    are downloaded into that cache when both lack them.

    Raises:
        ValueError: the name is unknown, or a file is not the original (its MD5 sum differs).
        FileNotFoundError: PRUNEEDU_DATA is no folder, or a file is missing and no mirror gives it.

    >>> data = load("digits")
    >>> data
    Dataset(digits: 1,197 + 300 + 300 examples [1, 8, 8], 10 classes)
    >>> data.train.x.dtype, data.train.y.dtype
    (torch.float32, torch.int64)
    """
    if name not in _SETS:
        raise ValueError(f"There is no data set {name!r}: choose one of {', '.join(_SETS)}.")
    read, classes, description = _SETS[name]
    splits = (_on_device(split, device) for split in read())
    return Dataset(name, *splits, classes, description)


def found() -> dict[str, str]:
    """Return the data sets that load here without a download, and where each lies.

    Only the presence of the files is checked; `load` checks their content.

    Raises:
        FileNotFoundError: PRUNEEDU_DATA names something that is not a folder.

    >>> found()["digits"]
    'scikit-learn'
    """
    signals = generated.mnist1d_path()
    places = {
        "digits": "scikit-learn",
        "mnist1d": str(signals) if signals.is_file() else "generated when first loaded",
    }
    for name, files in originals.FILES.items():
        paths = [locate(file) for file in files]
        if all(paths):
            places[name] = str(paths[0].parent)
    return places


def _on_device(split: Split, device: str | torch.device) -> Split:
    x = split.x.to(device)
    if x.dtype == torch.uint8:
        x = x.float().div_(255)
    return Split(x, split.y.to(device, torch.int64))


def _digits() -> tuple[Split, Split, Split]:
    from sklearn.datasets import load_digits

    x, y = map(torch.from_numpy, load_digits(return_X_y=True))
    order = torch.randperm(len(y), generator=torch.Generator().manual_seed(0))
    x, y = x[order].float().view(-1, 1, 8, 8) / 16, y[order]
    # The rank of each image within its class makes the split stratified.
    rank = torch.nn.functional.one_hot(y).cumsum(0).gather(1, y[:, None]).squeeze(1) - 1
    parts = (rank >= 60, (rank >= 30) & (rank < 60), rank < 30)
    return tuple(Split(x[part], y[part]) for part in parts)


def _mnist1d() -> tuple[Split, Split, Split]:
    made = generated.mnist1d()
    x, y = made["x"], made["y"]
    return (
        Split(x[:-800], y[:-800]),
        Split(x[-800:], y[-800:]),
        Split(made["x_test"], made["y_test"]),
    )


def _original(name: str, validation: int) -> tuple[Split, Split, Split]:
    """Hold out the last `validation` images of the original training set."""
    (x, y), test = originals.read(name)
    return (
        Split(x[:-validation], y[:-validation]),
        Split(x[-validation:], y[-validation:]),
        Split(*test),
    )


_NUMERALS = tuple("0123456789")
_CLOTHES = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)
_CIFAR = (
    *("airplane", "automobile", "bird", "cat", "deer"),
    *("dog", "frog", "horse", "ship", "truck"),
)
_Reader = Callable[[], tuple[Split, Split, Split]]
_SETS: dict[str, tuple[_Reader, tuple[str, ...], str]] = {
    "digits": (
        _digits,
        _NUMERALS,
        "1,797 handwritten digits, 8x8 pixels, from scikit-learn (UCI, Alpaydin and Kaynak 1998).",
    ),
    "mnist1d": (
        _mnist1d,
        _NUMERALS,
        "5,000 generated signals of 40 numbers, ten shapes of digits (Greydanus and Kobak 2024).",
    ),
    "fashion-mini": (
        partial(_original, "fashion-mini", 2_000),
        _CLOTHES,
        "14,000 of the 70,000 photographs of clothes in Fashion-MNIST, 28x28 pixels.",
    ),
    "mnist": (
        partial(_original, "mnist", 5_000),
        _NUMERALS,
        "70,000 handwritten digits, 28x28 pixels (LeCun, Cortes and Burges 1998).",
    ),
    "fashion-mnist": (
        partial(_original, "fashion-mnist", 5_000),
        _CLOTHES,
        "70,000 photographs of clothes, 28x28 pixels (Xiao, Rasul and Vollgraf 2017).",
    ),
    "cifar10": (
        partial(_original, "cifar10", 5_000),
        _CIFAR,
        "60,000 colour photographs of things and animals, 32x32 pixels (Krizhevsky 2009).",
    ),
}
