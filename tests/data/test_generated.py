import random
from operator import attrgetter

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pruneedu import data
from pruneedu.data import generated

splits = attrgetter("train", "validation", "test")


@pytest.fixture
def quick_generator(monkeypatch):
    """Stand in for the authors' generator; count the calls, and seed as it does."""
    import mnist1d.data

    calls = []

    def make_dataset(arguments):
        calls.append(vars(arguments))
        random.seed(arguments.seed)
        np.random.seed(arguments.seed)  # noqa: NPY002
        x = np.random.normal(size=(5_000, 40))  # noqa: NPY002
        y = np.arange(5_000) % 10
        return {"x": x[:4_000], "x_test": x[4_000:], "y": y[:4_000], "y_test": y[4_000:]}

    monkeypatch.setattr(mnist1d.data, "make_dataset", make_dataset)
    return calls


def test_mnist1d_is_generated_once_from_the_published_arguments(cache, quick_generator):
    from mnist1d.data import get_dataset_args

    first = data.load("mnist1d")
    again = data.load("mnist1d")
    assert quick_generator == [get_dataset_args(as_dict=True)]
    for a, b in zip(splits(first), splits(again), strict=True):
        assert torch.equal(a.x, b.x)
        assert torch.equal(a.y, b.y)
    assert [path.name for path in cache.iterdir()] == [generated.mnist1d_path().name]
    assert data.found()["mnist1d"] == str(generated.mnist1d_path())


def test_generating_leaves_the_global_random_states(cache, quick_generator):
    random.seed(3)
    np.random.seed(3)  # noqa: NPY002
    data.load("mnist1d")
    assert random.random() == random.Random(3).random()
    assert np.random.random() == np.random.RandomState(3).random()  # noqa: NPY002


@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(position=st.floats(0, 1, exclude_max=True), cut=st.booleans())
def test_a_damaged_mnist1d_is_made_again_with_a_warning(cache, quick_generator, position, cut):
    intact = data.load("mnist1d")
    content = bytearray(generated.mnist1d_path().read_bytes())
    at = int(position * len(content))
    if cut:
        del content[at:]
    else:
        content[at] ^= 1
    generated.mnist1d_path().write_bytes(content)
    with pytest.warns(UserWarning, match=r"mnist1d.*is damaged and is made again"):
        again = data.load("mnist1d")
    assert torch.equal(again.train.x, intact.train.x)
    assert torch.equal(data.load("mnist1d").test.x, intact.test.x)


def test_mnist1d_loads_where_the_cache_cannot_be_written(cache, quick_generator):
    cache.write_text("a file where the folder should be")
    with pytest.warns(UserWarning, match="generated anew each time"):
        assert len(data.load("mnist1d").test.y) == 1_000
