"""The recipe of the smallest files, on tiny networks and images of noise."""

import doctest
import importlib
from dataclasses import replace
from itertools import count

import pytest
import torch

import pruneedu as pe
from benchmarks.records import pruning, smallest, stages, teacher
from benchmarks.records.networks import connected, network, without_dead_units
from pruneedu.data import Dataset, Split
from pruneedu.storage import decode
from pruneedu.tensors import prunable

TINY = replace(
    smallest.QUICK,
    pool=teacher.Pool(images=200, copies=1, teachers=2),
    widths=(12, 8),
    dense=1,
    pruning=30,
    weights=300,
)


@pytest.fixture(scope="module")
def mnist():
    generator = torch.Generator().manual_seed(0)
    classes = torch.rand(10, 1, 28, 28, generator=generator)
    y = torch.arange(200) % 10
    noise = 0.1 * torch.rand(200, 1, 28, 28, generator=generator)
    split = Split(classes[y] + noise, y)
    return Dataset("noise", split, split, None, (), "")  # There is no test split to be read.


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("records")


@pytest.mark.parametrize("name", ["networks", "smallest", "teacher"])
def test_doctests(name):
    found = doctest.testmod(importlib.import_module(f"benchmarks.records.{name}"))
    assert found.attempted > 0
    assert found.failed == 0


def test_a_row_is_a_file_of_the_full_network_that_computes_what_the_small_one_does(mnist, cache):
    full = pe.storage.network(decode(smallest.make(TINY, 0, mnist, cache)[0]))
    (frozen,) = cache.glob("lenet_300_100-0-frozen-*.pt")
    state = torch.load(frozen, weights_only=True)["tensors"]
    small = network("lenet_300_100", (len(state["fc1.bias"]), len(state["fc2.bias"])))
    small.load_state_dict(state)
    kept = sum(int(weight.count_nonzero()) for weight in prunable(full).values())
    assert full.architecture == pe.models.lenet_300_100().architecture
    assert 0 < kept <= TINY.weights
    x = mnist.train.x
    torch.testing.assert_close(full(x), small(x), rtol=1e-4, atol=1e-5)


def test_a_second_call_computes_nothing_and_gives_the_same_bytes_and_minutes(
    mnist, cache, monkeypatch
):
    made = smallest.make(TINY, 0, mnist, cache)
    monkeypatch.setattr(pe, "fit", None)
    assert smallest.make(TINY, 0, mnist, cache) == made


def test_a_coarser_grid_begins_with_the_pruned_network(mnist, cache, monkeypatch):
    smallest.make(TINY, 0, mnist, cache)
    monkeypatch.setattr(smallest, "prune", None)
    coarse, _ = smallest.make(replace(TINY, step=1.0), 0, mnist, cache)
    assert len(coarse) < len(smallest.make(TINY, 0, mnist, cache)[0])


def test_what_is_cached_depends_on_what_it_is_made_of(tmp_path):
    numbers = count()

    def stage(made_of):
        return stages.cached(tmp_path, "s", made_of, lambda: {"n": torch.tensor(next(numbers))})

    made = [stage(made_of) for made_of in (("a", 1), ("a", 2), ("a", 1))]
    assert [tensors["n"].item() for tensors, _ in made] == [0, 1, 0]
    assert made[2].minutes == made[0].minutes > 0


def test_the_ensemble_is_the_mean():
    members = [torch.nn.Linear(3, 2) for _ in range(3)]
    x = torch.rand(4, 3)
    expected = (members[0](x) + members[1](x) + members[2](x)) / 3
    torch.testing.assert_close(teacher.Ensemble(members)(x), expected)


def test_a_masked_weight_is_0_in_the_output_and_still_gets_its_gradient():
    layer = torch.nn.Linear(2, 1, bias=False)
    model = pruning.masked(torch.nn.Sequential(layer))
    layer.parametrizations.weight[0].mask[0, 1] = False
    model(torch.tensor([[3.0, 5.0]])).sum().backward()
    assert layer.weight[0, 1] == 0
    assert layer.parametrizations.weight.original.grad.tolist() == [[3.0, 5.0]]


def test_selection_keeps_as_many_as_asked_and_drops_what_nothing_leaves():
    torch.manual_seed(0)
    x = torch.rand(2000, 1, 28, 28)
    masked = pruning.masked(network("lenet5", (2, 3, 4)))
    after_step = pruning.selecting([0.5, 0.9], cost_power=1.0)
    model = pe.fit(
        masked, Split(x, torch.arange(2000) % 10), 1, batch_size=40, after_step=after_step
    ).model
    weights = prunable(pruning.plain(model))
    kept = {name: weight != 0 for name, weight in weights.items()}
    total = sum(mask.numel() for mask in kept.values())
    assert sum(int(mask.sum()) for mask in kept.values()) <= total - round(0.9 * total)
    again = connected(kept)
    assert all((again[name] == mask).all() for name, mask in kept.items())


def test_without_dead_units_the_outputs_stay():
    torch.manual_seed(0)
    model = network("lenet5", (4, 5, 6)).eval()
    masks = connected(pe.keep_top(pe.pruning.random(model), 0.9))
    assert not all(mask.flatten(1).any(1).all() for mask in masks.values())
    sparse = pe.apply_masks(model, masks)
    # A unit without weights leaves nothing, so its bias is not heard.
    small, x = without_dead_units(sparse, "lenet5"), torch.rand(3, 1, 28, 28)
    torch.testing.assert_close(small(x), sparse(x), rtol=1e-4, atol=1e-6)
    assert all(weight.flatten(1).any(1).all() for weight in list(prunable(small).values())[:-1])
