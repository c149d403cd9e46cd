"""Fetch published files into the user's cache."""

import os
import socket
from collections.abc import Sequence
from http.client import HTTPException
from pathlib import Path
from tempfile import TemporaryDirectory

from pruneedu.data import folders

_TIMEOUT_SECONDS = 20


def download(name: str, files: dict[str, str]) -> None:
    """Put `files` (path in the cache -> MD5 sum) of the set `name` into the user's cache.

    torchvision downloads, shows a progress bar and checks the sums.

    Raises:
        FileNotFoundError: no mirror gave the file.
    """
    mirrors = _mirrors(name)
    before = socket.getdefaulttimeout()
    # A firewall that drops packets would otherwise look like a slow download for minutes.
    socket.setdefaulttimeout(_TIMEOUT_SECONDS)
    try:
        for file, md5 in files.items():
            failures = _fetch(folders.cache() / file, md5, mirrors)
            if failures:
                raise FileNotFoundError(_missing(name, files, failures))
    finally:
        socket.setdefaulttimeout(before)


def _mirrors(name: str) -> Sequence[str]:
    from torchvision.datasets import CIFAR10, MNIST, FashionMNIST

    return {
        "mnist": MNIST.mirrors,
        "fashion-mnist": FashionMNIST.mirrors,
        "cifar10": [CIFAR10.url.removesuffix(CIFAR10.filename)],
    }[name]


def _fetch(target: Path, md5: str, mirrors: Sequence[str]) -> list[str]:
    """Return why each mirror failed; nothing if one of them gave the file."""
    from torchvision.datasets import utils

    failures = []
    for mirror in mirrors:
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            # An interrupted download leaves no half file under the final name.
            with TemporaryDirectory(dir=target.parent) as scratch:
                utils.download_url(mirror + target.name, scratch, md5=md5)
                os.replace(Path(scratch) / target.name, target)
        except (OSError, RuntimeError, HTTPException) as error:
            failures.append(f"{mirror}: {error}")
        else:
            return []
    return failures


def _missing(name: str, files: dict[str, str], failures: list[str]) -> str:
    places = " and ".join(map(str, folders.searched()))
    return (
        f"{name} is not on this machine and cannot be downloaded ({'; '.join(failures)}): "
        f"looked in {places} for {', '.join(files)}; either set PRUNEEDU_DATA to a folder that "
        f"holds these files, or load {name!r} once with a network, which puts them into "
        f"{folders.cache()}."
    )
