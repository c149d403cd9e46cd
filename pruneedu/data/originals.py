"""Published files: whether they are the originals, and what they hold."""

import gzip
import hashlib
import io
import pickle
import struct
import tarfile
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from pruneedu.data.download import download
from pruneedu.data.folders import locate

_IDX = (
    *("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"),
    *("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"),
)


def _idx_files(folder: str, *sums: str) -> dict[str, str]:
    return {f"{folder}/{file}": md5 for file, md5 in zip(_IDX, sums, strict=True)}


# torchvision's folders and MD5 sums, written here because importing torchvision takes seconds.
FILES = {
    "fashion-mini": _idx_files(
        "fashion-mini",
        "efc6f79be416987fba2749cbde6545cc",
        "407f4d582987fd7a91ec2422f770d15c",
        "78635d9e03d33b0d81e096561d4b0c6a",
        "452ef96a7a0c203cf1428496e2ad76b0",
    ),
    "mnist": _idx_files(
        "MNIST/raw",
        "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "d53e105ee54ea40749a09fcbcd1e9432",
        "9fb629c4189551a2d022fa330f9573f3",
        "ec29112dd5afa0611ce80d1b7f02629c",
    ),
    "fashion-mnist": _idx_files(
        "FashionMNIST/raw",
        "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "25c81989df183df01b3e8a0aad5dffbe",
        "bef4ecab320f06d8554ea6380940ec79",
        "bb300cfdad3c16e7a12a480ee83cd310",
    ),
    "cifar10": {"cifar-10-python.tar.gz": "c58f30108f718f92721af3b95e74349a"},
}
Examples = tuple[Tensor, Tensor]


def read(name: str) -> tuple[Examples, Examples]:
    """Return the training set and the test set of `name`, each as (x [N, C, H, W], y [N]), uint8.

    Raises:
        ValueError: a file is not the original.
        FileNotFoundError: a file is missing and cannot be downloaded.
    """
    files = FILES[name]
    missing = {file: md5 for file, md5 in files.items() if locate(file) is None}
    if missing and name == "fashion-mini":
        raise FileNotFoundError(f"pruneedu lacks its own {', '.join(missing)}: install it again.")
    if missing:
        download(name, missing)
    contents = [_checked(locate(file), md5) for file, md5 in files.items()]
    return _cifar(*contents) if name == "cifar10" else _mnist(contents)


def idx(content: bytes) -> Tensor:
    """Return the uint8 tensor in an IDX file: two zeros, the type 8, the rank, sizes, entries.

    >>> idx(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 8, 9]))
    tensor([7, 8, 9], dtype=torch.uint8)
    """
    start = 4 + 4 * content[3]
    shape = struct.unpack(f">{content[3]}I", content[4:start])
    return torch.frombuffer(bytearray(content), dtype=torch.uint8, offset=start).view(shape)


def _checked(path: Path, md5: str) -> bytes:
    content = path.read_bytes()
    actual = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if actual != md5:
        raise ValueError(
            f"{path} is damaged ({len(content):,} bytes with MD5 sum {actual}, expected {md5}): "
            "replace it with the original, or delete it and load again."
        )
    return content


def _mnist(contents: Sequence[bytes]) -> tuple[Examples, Examples]:
    x, y, test_x, test_y = (idx(gzip.decompress(content)) for content in contents)
    return (x[:, None], y), (test_x[:, None], test_y)


def _cifar(archive: bytes) -> tuple[Examples, Examples]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        batches = [
            _ArraysOnly(tar.extractfile(f"cifar-10-batches-py/{batch}"), encoding="latin1").load()
            for batch in (*(f"data_batch_{n}" for n in range(1, 6)), "test_batch")
        ]
    xs = [torch.from_numpy(batch["data"]).view(-1, 3, 32, 32) for batch in batches]
    ys = [torch.tensor(batch["labels"], dtype=torch.uint8) for batch in batches]
    return (torch.cat(xs[:5]), torch.cat(ys[:5])), (xs[5], ys[5])


class _ArraysOnly(pickle.Unpickler):
    """CIFAR-10 is published as pickles, which could name any function: only arrays are made."""

    def find_class(self, module: str, name: str) -> object:
        """Return NumPy's own constructors, and refuse any other name."""
        import numpy as np

        rebuild = np.empty(0).__reduce__()[0]
        known = {
            ("numpy.core.multiarray", "_reconstruct"): rebuild,
            ("numpy", "ndarray"): np.ndarray,
            ("numpy", "dtype"): np.dtype,
        }
        if (module, name) not in known:
            raise ValueError(f"CIFAR-10 needs arrays alone, and found {module}.{name}.")
        return known[module, name]
