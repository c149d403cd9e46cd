import hashlib
import io
import struct
import tarfile
from operator import attrgetter

import numpy as np
import pytest

from pruneedu import data
from pruneedu.data import originals

splits = attrgetter("train", "validation", "test")


def python2_pickle(array, labels, constructor=b"cnumpy.core.multiarray\n_reconstruct\n"):
    """Write the batch as Python 2 did: byte strings, and NumPy's old module names."""

    def string(content):
        return b"T" + struct.pack("<i", len(content)) + content

    rebuilt = constructor + b"(cnumpy\nndarray\nK\x00\x85" + string(b"b") + b"tR"
    dtype = b"cnumpy\ndtype\n(" + string(b"u1") + b"K\x00K\x01tR"
    dtype += b"(K\x03" + string(b"|") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    shape = b"".join(b"J" + struct.pack("<i", size) for size in array.shape) + b"\x86"
    state = b"(K\x01" + shape + dtype + b"\x89" + string(array.tobytes()) + b"tb"
    numbers = b"](" + b"".join(b"K" + bytes([label]) for label in labels) + b"e"
    return b"\x80\x02}(" + string(b"data") + rebuilt + state + string(b"labels") + numbers + b"u."


def cifar_archive(pickles):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=1) as tar:
        for name, content in pickles.items():
            member = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def install_cifar(archive, folder, monkeypatch):
    (folder / "cifar-10-python.tar.gz").write_bytes(archive)
    monkeypatch.setenv("PRUNEEDU_DATA", str(folder))
    md5 = hashlib.md5(archive).hexdigest()
    monkeypatch.setitem(originals.FILES, "cifar10", {"cifar-10-python.tar.gz": md5})


def test_cifar10_is_read_from_the_archive(cache, tmp_path, monkeypatch):
    names = [*(f"data_batch_{n}" for n in range(1, 6)), "test_batch"]
    ramp = np.arange(1_002 * 3_072, dtype=np.uint32).reshape(1_002, 3_072) % 251
    arrays = [(ramp + n).astype(np.uint8) for n in range(6)]
    labels = [(np.arange(1_002) + n) % 10 for n in range(6)]
    pickles = map(python2_pickle, arrays, labels)
    install_cifar(cifar_archive(dict(zip(names, pickles, strict=True))), tmp_path, monkeypatch)
    cifar = data.load("cifar10")
    assert [len(split.y) for split in splits(cifar)] == [10, 5_000, 1_002]
    assert cifar.train.x.shape[1:] == (3, 32, 32)
    # The 3,072 bytes of an image are 1,024 of red, then green, then blue, row by row.
    assert cifar.train.x[4, 2, 5, 7] * 255 == arrays[0][4, 2 * 1_024 + 5 * 32 + 7]
    np.testing.assert_array_equal(cifar.validation.y, np.concatenate(labels[:5])[10:])
    np.testing.assert_array_equal(cifar.test.y, labels[5])
    assert [path.name for path in tmp_path.iterdir()] == ["cifar-10-python.tar.gz"]


def test_a_pickle_that_names_a_function_is_refused(cache, tmp_path, monkeypatch):
    content = python2_pickle(np.zeros((1, 1), np.uint8), [0], constructor=b"cos\nsystem\n")
    install_cifar(cifar_archive({"data_batch_1": content}), tmp_path, monkeypatch)
    with pytest.raises(ValueError, match=r"arrays alone, and found os\.system"):
        data.load("cifar10")
