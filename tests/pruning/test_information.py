"""Criteria of information, against NumPy's histogram, SciPy, scikit-learn and numbers by hand."""

import math

import numpy as np
import pytest
import torch
from chains import MODELS, ON_MODELS
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import mutual_info_score
from torch import nn

from pruneedu.data import Split
from pruneedu.models import mlp
from pruneedu.pruning import apply_masks, entropy, mutual_information, output_entropy
from pruneedu.pruning.histograms import histograms

ON_POSITIONS = pytest.mark.parametrize("positions", ["mean", "each"])
BOTH = pytest.mark.parametrize("criterion", [entropy, mutual_information])


def prepare(name):
    torch.manual_seed(0)
    make, shape, last_words = MODELS[name]
    model = make().double().eval()
    return model, Split(torch.randn(60, *shape).double(), torch.arange(60) % 3), last_words


def values_of(model, data, last_words, positions):
    """Return the values of each unit and their labels, by a walk through the chain."""
    x, spoken = data.x, {}
    with torch.no_grad():
        for name, module in model.named_children():
            x = module(x)
            spoken[name] = x.flatten(2) if x.ndim > 2 else x[..., None]
    found = {}
    for layer, module in last_words.items():
        a = spoken[module].mean(2, keepdim=True) if positions == "mean" else spoken[module]
        labels = data.y[:, None].expand(-1, a.shape[2]).flatten().numpy()
        found[layer] = [(a[:, unit].flatten().numpy(), labels) for unit in range(a.shape[1])]
    return found


def passing(*columns):
    """Return a network whose units pass on its inputs, and the inputs as columns."""
    model = mlp(len(columns), len(columns)).double()
    nn.init.eye_(model.fc1.weight)
    nn.init.zeros_(model.fc1.bias)
    return model, torch.tensor(columns, dtype=torch.float64).T


@ON_MODELS
@ON_POSITIONS
@pytest.mark.parametrize("bins", [2, 7, 30])
def test_entropy_is_that_of_numpys_histogram(model_name, positions, bins):
    model, data, last_words = prepare(model_name)
    found = entropy(model, data, bins, positions)
    for name, units in values_of(model, data, last_words, positions).items():
        expected = [stats.entropy(np.histogram(values, bins)[0]) for values, _ in units]
        assert found[name].tolist() == pytest.approx(expected)


@ON_MODELS
@ON_POSITIONS
@pytest.mark.parametrize("bins", [2, 7, 30])
def test_mutual_information_is_that_of_scikit_learn(model_name, positions, bins):
    model, data, last_words = prepare(model_name)
    found = mutual_information(model, data, bins, positions)
    for name, units in values_of(model, data, last_words, positions).items():
        expected = []
        for values, labels in units:
            inner = np.histogram(values, bins)[1][1:-1]
            expected.append(mutual_info_score(np.digitize(values, inner), labels))
        assert found[name].tolist() == pytest.approx(expected, abs=1e-12)


numbers = st.one_of(st.integers(-6, 6).map(float), st.floats(-1e3, 1e3, width=32))


@settings(deadline=None)
@given(st.lists(numbers, min_size=1, max_size=20), st.integers(2, 12), st.integers(1, 20))
def test_edges_are_those_of_numpy(values, bins, batch_size):
    model, x = passing(values)
    data = Split(x, torch.zeros(len(x), dtype=torch.int64))
    found = histograms(model.requires_grad_(False), data, bins, "mean", batch_size)["fc1"][0, :, 0]
    expected = np.histogram(values, bins)[0]
    if min(values) == max(values):  # NumPy widens an empty range; the bin makes no difference.
        expected = np.sort(expected)
    assert found.tolist() == expected.tolist()


def test_entropy_by_hand():
    # Bins [0, 2), [2, 4), [4, 6), [6, 8]: 2, 1, 0 and 1 of four; all in one; one in each.
    model, x = passing([0.0, 1.0, 2.0, 8.0], [5.0] * 4, [1.0, 2.0, 3.0, 4.0])
    half = math.log(2) / 2
    expected = [half + math.log(4) / 2, 0, math.log(4)]
    assert entropy(model, Split(x, None), bins=4)["fc1"].tolist() == pytest.approx(expected)


def test_mutual_information_by_hand():
    # The class itself, its opposite, independent of it, constant; and half of it, in 2 bins of 3:
    # I = H(Y) - 3/4 H(1/3).
    y = torch.tensor([0, 0, 1, 1])
    columns = [0, 0, 1, 1], [1, 1, 0, 0], [0, 1, 0, 1], [3, 3, 3, 3], [0, 0, 0, 1]
    model, x = passing(*columns)
    third = -(math.log(1 / 3) + 2 * math.log(2 / 3)) / 3 * 3 / 4
    expected = [math.log(2), math.log(2), 0, 0, math.log(2) - third]
    found = mutual_information(model, Split(x, y), bins=3)["fc1"].tolist()
    assert found == pytest.approx(expected, abs=1e-12)
    assert found[3] == 0


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(numbers, st.integers(0, 3)), min_size=2, max_size=25))
def test_information_is_what_the_classes_explain(rows):
    values, labels = zip(*rows, strict=True)
    assume(min(values) < max(values) and len(set(labels)) > 1)
    model, x = passing(values)
    y = torch.tensor(labels)
    varies = entropy(model, Split(x, None), bins=5)["fc1"].item()
    knows = mutual_information(model, Split(x, y), bins=5)["fc1"].item()
    inner = np.histogram(values, 5)[1][1:-1]
    binned = np.digitize(values, inner)
    within = sum(
        np.mean(np.array(labels) == c)
        * stats.entropy(np.bincount(binned[np.array(labels) == c], minlength=5))
        for c in set(labels)
    )
    assert knows == pytest.approx(varies - within, abs=1e-9)
    assert 0 <= knows <= min(varies, math.log(4)) + 1e-9


def test_a_channel_may_vary_at_each_position_and_not_on_average():
    # Each image is one bright pixel, somewhere: the mean is always the same.
    model = nn.Sequential(nn.Conv2d(1, 1, 1), nn.ReLU(), nn.Flatten())
    nn.init.ones_(model[0].weight)
    nn.init.zeros_(model[0].bias)
    data = Split(torch.eye(4).view(4, 1, 2, 2), None)
    expected = math.log(4) / 4 + 3 / 4 * math.log(4 / 3)
    assert entropy(model, data, positions="each")["0"].item() == pytest.approx(expected)
    with pytest.raises(ValueError, match="every score of '0' is 0"):
        entropy(model, data)


@BOTH
def test_bins_and_positions_are_checked(criterion):
    model, data, _ = prepare("mlp")
    for bins in (1, 0, 2.0):
        with pytest.raises(ValueError, match=f"bins is {bins}; give a whole number of at least 2"):
            criterion(model, data, bins=bins)
    with pytest.raises(ValueError, match="positions is 'all': choose 'mean' or 'each'"):
        criterion(model, data, positions="all")


def test_a_single_class_has_nothing_to_tell():
    model, data, _ = prepare("mlp")
    with pytest.raises(ValueError, match="every label is 2, and of a single class"):
        mutual_information(model, Split(data.x, torch.full((60,), 2)))


@ON_MODELS
def test_output_entropy_is_that_of_a_loop_over_masked_networks(model_name):
    model, data, last_words = prepare(model_name)
    found = output_entropy(model, data, batch_size=16)

    def unsureness(network):
        with torch.no_grad():
            return stats.entropy(network(data.x).softmax(1).numpy(), axis=1)

    for name in last_words:
        units = len(model.get_submodule(name).weight)
        for unit in range(units):
            without = apply_masks(model, {name: torch.arange(units) != unit})
            expected = np.abs(unsureness(without) - unsureness(model)).mean()
            assert found[name][unit].item() == pytest.approx(expected, abs=1e-12)


def test_output_entropy_by_hand():
    # Logits (0, 50 x): sure of class 1 or, at x = 0, unsure with or without any unit.
    model = mlp(1, 2)
    with torch.no_grad():
        model.fc1.weight.copy_(torch.tensor([[0.0], [50.0]]))
        model.fc1.bias.zero_()
    x = torch.tensor([[1.0], [2.0], [0.0], [-1.0]])
    found = output_entropy(model, Split(x, None))["fc1"].tolist()
    assert found == pytest.approx([0, 3 / 4 * math.log(2)], abs=1e-6)


def test_a_certain_class_of_probability_zero_adds_nothing():
    model = mlp(1, 3)
    with torch.no_grad():
        model.fc1.weight.copy_(torch.tensor([[1e4], [-1e4], [0.0]]))
        model.fc1.bias.zero_()
    scores = output_entropy(model, Split(torch.ones(3, 1), None))["fc1"]
    assert scores.tolist() == pytest.approx([math.log(2), 0, 0], abs=1e-6)
