"""Published files: where they lie, whether they are the originals, and what they hold."""

import gzip
import hashlib
import os
import struct
from pathlib import Path

import torch
from torch import Tensor

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
}


def folders() -> list[Path]:
    """Return the folders that are searched: PRUNEEDU_DATA, the user's cache, the package.

    Raises:
        FileNotFoundError: PRUNEEDU_DATA names something that is not a folder.
    """
    given = os.environ.get("PRUNEEDU_DATA")
    if given and not Path(given).expanduser().is_dir():
        raise FileNotFoundError(
            f"PRUNEEDU_DATA is {given!r}, which is not a folder: "
            "correct the variable, or unset it to use the cache alone."
        )
    return [*([Path(given).expanduser()] if given else []), cache(), Path(__file__).parent]


def cache() -> Path:
    """Return the user's cache folder of data, which may not exist yet."""
    from platformdirs import user_cache_path

    return user_cache_path("pruneedu", appauthor=False) / "data"


def locate(file: str) -> Path | None:
    """Return the path of `file` ("MNIST/raw/…") in the first folder that has it."""
    return next((at / file for at in folders() if (at / file).is_file()), None)


def place(name: str) -> Path | None:
    """Return the folder of the first file of the set `name`, if all its files are here."""
    paths = [locate(file) for file in FILES[name]]
    return paths[0].parent if all(paths) else None


def read(name: str) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Return ((x, y) of training, (x, y) of test) as uint8, from files whose sums are checked.

    Raises:
        ValueError: a file is not the original.
        FileNotFoundError: a file is missing and cannot be downloaded.
    """
    contents = [_checked(file, md5) for file, md5 in FILES[name].items()]
    x, y, test_x, test_y = (idx(gzip.decompress(content)) for content in contents)
    return (x[:, None], y), (test_x[:, None], test_y)


def idx(content: bytes) -> Tensor:
    """Return the uint8 tensor in an IDX file: two zeros, the type 8, the rank, sizes, entries.

    >>> idx(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 8, 9]))
    tensor([7, 8, 9], dtype=torch.uint8)
    """
    start = 4 + 4 * content[3]
    shape = struct.unpack(f">{content[3]}I", content[4:start])
    return torch.frombuffer(bytearray(content), dtype=torch.uint8, offset=start).view(shape)


def _checked(file: str, md5: str) -> bytes:
    path = locate(file)
    if path is None:
        raise FileNotFoundError(
            f"{file} is in none of {', '.join(map(str, folders()))}: set PRUNEEDU_DATA to a folder "
            "that holds it."
        )
    content = path.read_bytes()
    found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if found != md5:
        raise ValueError(
            f"{path} is damaged ({len(content):,} bytes with MD5 sum {found}, expected {md5}): "
            "replace it with the original, or delete it to have it downloaded again."
        )
    return content
