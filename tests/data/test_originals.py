import gzip
import os
import shutil
from operator import attrgetter
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pruneedu import data
from pruneedu.data import folders, originals

splits = attrgetter("train", "validation", "test")


def snapshot(folder):
    return {path: path.stat().st_mtime_ns for path in [folder, *folder.rglob("*")]}


def test_idx_files_are_read_in_place(cache, tiny_mnist, monkeypatch):
    folder, (x, y, test_x, test_y) = tiny_mnist
    monkeypatch.setenv("PRUNEEDU_DATA", str(folder))
    before = snapshot(folder)
    mnist = data.load("mnist")
    np.testing.assert_array_equal(mnist.train.x, x[:7, None] / np.float32(255))
    np.testing.assert_array_equal(mnist.validation.x, x[7:, None] / np.float32(255))
    np.testing.assert_array_equal(mnist.test.x, test_x[:, None] / np.float32(255))
    np.testing.assert_array_equal(torch.cat([mnist.train.y, mnist.validation.y]), y)
    np.testing.assert_array_equal(mnist.test.y, test_y)
    assert snapshot(folder) == before
    assert not cache.exists()
    assert data.found()["mnist"] == str(folder / "MNIST/raw")


def test_the_cache_supplies_what_the_folder_lacks(cache, tiny_mnist, monkeypatch, tmp_path):
    folder, (x, *_) = tiny_mnist
    shutil.copytree(folder, cache)
    next(folder.rglob("train-images*")).unlink()
    monkeypatch.setenv("PRUNEEDU_DATA", str(folder))
    assert len(data.load("mnist").train.y) == len(x) - 5_000


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    file=st.sampled_from(list(originals.FILES["mnist"])),
    position=st.floats(0, 1, exclude_max=True),
    cut=st.booleans(),
)
def test_a_damaged_file_is_named(cache, tiny_mnist, file, position, cut):
    path = tiny_mnist[0] / file
    intact = path.read_bytes()
    content = bytearray(intact)
    at = int(position * len(content))
    if cut:
        del content[at:]
    else:
        content[at] ^= 1
    path.write_bytes(content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PRUNEEDU_DATA", str(tiny_mnist[0]))
        with pytest.raises(ValueError, match="is damaged") as caught:
            data.load("mnist")
    assert str(caught.value).startswith(str(path))
    path.write_bytes(intact)


def test_a_damaged_shipped_file_is_named(tmp_path, monkeypatch):
    file = "fashion-mini/t10k-labels-idx1-ubyte.gz"
    shutil.copytree(folders.PACKAGE / "fashion-mini", tmp_path / "fashion-mini")
    (tmp_path / file).write_bytes((tmp_path / file).read_bytes()[:-1])
    monkeypatch.setattr(folders, "PACKAGE", tmp_path)
    monkeypatch.delenv("PRUNEEDU_DATA", raising=False)
    with pytest.raises(ValueError, match=r"t10k-labels-idx1-ubyte.gz is damaged \(1,032 bytes"):
        data.load("fashion-mini")
    (tmp_path / file).unlink()
    with pytest.raises(FileNotFoundError, match=f"lacks its own {file}: install it again"):
        data.load("fashion-mini")


def test_a_wrong_folder_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("PRUNEEDU_DATA", str(tmp_path / "typo"))
    with pytest.raises(FileNotFoundError, match="typo', which is not a folder"):
        data.load("mnist")


def test_the_sums_are_those_of_torchvision():
    from torchvision.datasets import CIFAR10, MNIST, FashionMNIST

    for name, source in {"mnist": MNIST, "fashion-mnist": FashionMNIST}.items():
        files = {Path(file).name: md5 for file, md5 in originals.FILES[name].items()}
        assert files == dict(source.resources)
        assert {Path(file).parts[0] for file in originals.FILES[name]} == {source.__name__}
    assert originals.FILES["cifar10"] == {CIFAR10.filename: CIFAR10.tgz_md5}
    assert tuple(FashionMNIST.classes) == data.load("fashion-mini", "meta").classes


@pytest.mark.mnist
@pytest.mark.skipif(not os.environ.get("PRUNEEDU_DATA"), reason="PRUNEEDU_DATA is not set")
@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_the_originals_are_read_as_torchvision_reads_a_copy(name, tmp_path):
    from torchvision import datasets

    folder = Path(os.environ["PRUNEEDU_DATA"])
    source = {"mnist": datasets.MNIST, "fashion-mnist": datasets.FashionMNIST}[name]
    for file in originals.FILES[name]:
        extracted = tmp_path / file.removesuffix(".gz")
        extracted.parent.mkdir(parents=True, exist_ok=True)
        extracted.write_bytes(gzip.decompress((folder / file).read_bytes()))
    before = snapshot(folder)
    loaded = data.load(name)
    assert snapshot(folder) == before
    train, test = source(tmp_path, train=True), source(tmp_path, train=False)
    x = torch.cat([loaded.train.x, loaded.validation.x]).squeeze(1)
    assert [len(split.y) for split in splits(loaded)] == [55_000, 5_000, 10_000]
    assert torch.equal(x, train.data / 255)
    assert torch.equal(torch.cat([loaded.train.y, loaded.validation.y]), train.targets)
    assert torch.equal(loaded.test.x.squeeze(1), test.data / 255)
    assert torch.equal(loaded.test.y, test.targets)
