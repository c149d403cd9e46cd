import gzip
import hashlib
import struct

import numpy as np
import pytest

from pruneedu.data import folders, generated, originals


@pytest.fixture(scope="session", autouse=True)
def home_stays_clean(tmp_path_factory):
    """Use the MNIST-1D of the user's cache; where there is none, generate it elsewhere."""
    with pytest.MonkeyPatch.context() as patch:
        if not generated.mnist1d_path().is_file():
            cache = tmp_path_factory.mktemp("cache")
            patch.setattr(folders, "cache", lambda: cache)
        yield


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache of the user, and no PRUNEEDU_DATA."""
    monkeypatch.delenv("PRUNEEDU_DATA", raising=False)
    cache = tmp_path / "cache"
    monkeypatch.setattr(folders, "cache", lambda: cache)
    return cache


@pytest.fixture
def tiny_mnist(tmp_path, monkeypatch):
    """A folder like torchvision's with small images, the sums expected of it, and its tensors."""
    folder, noise = tmp_path / "given", np.random.default_rng(0)
    arrays, sums = {}, {}
    for file in originals.FILES["mnist"]:
        count = 5_007 if "train" in file else 20
        shape = (count, 3, 2) if "images" in file else (count,)
        arrays[file] = noise.integers(0, 10, shape, dtype=np.uint8)
        header = struct.pack(f">HBB{len(shape)}I", 0, 8, len(shape), *shape)
        content = gzip.compress(header + arrays[file].tobytes())
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_bytes(content)
        sums[file] = hashlib.md5(content).hexdigest()
    monkeypatch.setitem(originals.FILES, "mnist", sums)
    return folder, list(arrays.values())
