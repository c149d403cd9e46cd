"""Make the files of fashion-mini, the part of Fashion-MNIST that the package ships.

    PRUNEEDU_DATA=folder python scripts/make_fashion_mini.py

Each class gives 1,000 images of the full set's training split, 200 of its validation split and 200
of its test split, chosen by a seeded permutation. So no split of the small set meets another split
of the full set. The MD5 sums that are printed belong into pruneedu/data/originals.py.
"""

import gzip
import hashlib
from pathlib import Path

import torch
from torch import Tensor

import pruneedu.data
from pruneedu.data import Split

FOLDER = Path(pruneedu.data.__file__).parent / "fashion-mini"


def balanced(split: Split, per_class: int, generator: torch.Generator) -> Split:
    """Return `per_class` images of each class in a random order, as uint8."""
    order = torch.randperm(len(split.y), generator=generator)
    rank = torch.nn.functional.one_hot(split.y[order]).cumsum(0)
    position = rank.gather(1, split.y[order, None]).squeeze(1)
    chosen = order[position <= per_class]
    return Split((split.x[chosen] * 255).round().to(torch.uint8), split.y[chosen].to(torch.uint8))


def write_idx(name: str, tensor: Tensor) -> None:
    """Write a uint8 tensor as a compressed IDX file without a time in it."""
    sizes = b"".join(size.to_bytes(4, "big") for size in tensor.shape)
    header = bytes([0, 0, 8, tensor.dim()]) + sizes
    content = gzip.compress(header + tensor.numpy().tobytes(), compresslevel=9, mtime=0)
    (FOLDER / name).write_bytes(content)
    print(name, f"{len(content):,}", hashlib.md5(content, usedforsecurity=False).hexdigest())


def main() -> None:
    """Choose, write and print."""
    full = pruneedu.data.load("fashion-mnist")
    generator = torch.Generator().manual_seed(0)
    train = balanced(full.train, 1_000, generator)
    validation = balanced(full.validation, 200, generator)
    test = balanced(full.test, 200, generator)
    write_idx("train-images-idx3-ubyte.gz", torch.cat([train.x, validation.x]).squeeze(1))
    write_idx("train-labels-idx1-ubyte.gz", torch.cat([train.y, validation.y]))
    write_idx("t10k-images-idx3-ubyte.gz", test.x.squeeze(1))
    write_idx("t10k-labels-idx1-ubyte.gz", test.y)


if __name__ == "__main__":
    main()
