import os
import random
from operator import attrgetter

import numpy as np
import pytest
import torch

from pruneedu import data

SIZES = {
    "digits": (1_197, 300, 300),
    "mnist1d": (3_200, 800, 1_000),
    "fashion-mini": (10_000, 2_000, 2_000),
}
splits = attrgetter("train", "validation", "test")


def rows(split):
    return {x.numpy().tobytes() for x in split.x}


@pytest.fixture(scope="module")
def offline_sets():
    return {name: data.load(name) for name in SIZES}


@pytest.mark.parametrize("name", SIZES)
def test_shapes_types_and_ranges(offline_sets, name):
    dataset = offline_sets[name]
    assert tuple(len(split.y) for split in splits(dataset)) == SIZES[name]
    assert len(dataset.classes) == 10
    assert "\n" not in dataset.description
    for x, y in splits(dataset):
        assert (x.dtype, y.dtype) == (torch.float32, torch.int64)
        assert len(x) == len(y)
        assert set(y.tolist()) == set(range(10))
        if name == "mnist1d":
            assert x.shape[1:] == (40,)
            assert abs(x.mean()) < 0.05
            assert abs(x.std() - 1) < 0.05
        else:
            assert x.shape[1:] == ((1, 8, 8) if name == "digits" else (1, 28, 28))
            assert (x.min(), x.max()) == (0, 1)


@pytest.mark.parametrize("name", SIZES)
def test_splits_are_disjoint(offline_sets, name):
    train, validation, test = map(rows, splits(offline_sets[name]))
    assert train.isdisjoint(validation)
    assert test.isdisjoint(train | validation)


@pytest.mark.parametrize("name", SIZES)
def test_loading_again_gives_the_same(offline_sets, name):
    for again, first in zip(splits(data.load(name)), splits(offline_sets[name]), strict=True):
        assert torch.equal(again.x, first.x)
        assert torch.equal(again.y, first.y)


def test_balance(offline_sets):
    counts = [split.y.bincount().tolist() for split in splits(offline_sets["fashion-mini"])]
    assert counts == [[1_000] * 10, [200] * 10, [200] * 10]
    digits = offline_sets["digits"]
    assert digits.validation.y.bincount().tolist() == digits.test.y.bincount().tolist() == [30] * 10
    assert digits.train.y.bincount().tolist() == [118, 122, 117, 123, 121, 122, 121, 119, 114, 120]


def test_the_order_is_mixed_and_pinned(offline_sets):
    assert offline_sets["digits"].test.y[:12].tolist() == [6, 5, 5, 7, 9, 9, 8, 4, 6, 8, 6, 0]
    assert offline_sets["mnist1d"].test.y[:10].tolist() == [2, 6, 3, 9, 4, 3, 1, 9, 5, 2]
    expected = torch.tensor([-0.07877078, -0.21073171, -0.09175138, 0.28267112])
    torch.testing.assert_close(offline_sets["mnist1d"].test.x[0, :4], expected)
    assert offline_sets["fashion-mini"].test.y[:12].tolist() == [9, 3, 3, 9, 3, 3, 8, 0, 0, 8, 1, 1]


def test_digits_are_those_of_scikit_learn(offline_sets):
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    expected = sorted((x.tobytes(), y) for x, y in zip(images, labels, strict=True))
    loaded = [
        ((x * 16).double().numpy().tobytes(), int(y))
        for split in splits(offline_sets["digits"])
        for x, y in zip(*split, strict=True)
    ]
    assert sorted(loaded) == expected


def test_tensors_lie_on_the_device():
    for x, y in splits(data.load("fashion-mini", device="meta")):
        assert x.device.type == y.device.type == "meta"


@pytest.mark.parametrize("name", SIZES)
def test_global_random_states_are_untouched(name):
    def states():
        python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
        return python, numpy[1].tolist(), numpy[2], torch.get_rng_state().tolist()

    before = states()
    data.load(name)
    assert states() == before


def test_an_unknown_name_lists_the_names():
    with pytest.raises(ValueError, match=r"'MNIST'.*digits, mnist1d, fashion-mini, mnist, "):
        data.load("MNIST")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("name", SIZES)
def test_the_gpu_holds_the_same_numbers(offline_sets, name):
    for there, here in zip(
        splits(data.load(name, "cuda")), splits(offline_sets[name]), strict=True
    ):
        assert there.x.is_cuda
        torch.testing.assert_close(there.x.cpu(), here.x)
        assert torch.equal(there.y.cpu(), here.y)


@pytest.mark.mnist
@pytest.mark.skipif(not os.environ.get("PRUNEEDU_DATA"), reason="PRUNEEDU_DATA is not set")
def test_each_split_of_fashion_mini_is_a_part_of_the_same_full_split(offline_sets):
    full = data.load("fashion-mnist")
    for part, whole in zip(splits(offline_sets["fashion-mini"]), splits(full), strict=True):
        labels = {x.numpy().tobytes(): int(y) for x, y in zip(*whole, strict=True)}
        assert all(labels[x.numpy().tobytes()] == y for x, y in zip(*part, strict=True))
