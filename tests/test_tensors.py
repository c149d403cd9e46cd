import copy
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils import prune

from pruneedu.models import mlp, small_cnn
from pruneedu.tensors import (
    check_fraction,
    check_masks,
    check_scores,
    level,
    per_layer,
    per_unit,
    prunable,
    prunable_layers,
    sparsity,
)


def ones(*shape):
    return torch.ones(shape, dtype=torch.bool)


def test_prunable_lists_weights_in_module_order_and_no_norms():
    model = small_cnn((4, 8), classes=3)
    assert list(prunable(model)) == ["conv1.weight", "conv2.weight", "fc.weight"]
    assert prunable(model)["conv2.weight"] is model.conv2.weight


def test_prunable_finds_nested_layers_and_a_bare_layer():
    nested = nn.Sequential(nn.Sequential(nn.Conv1d(1, 2, 3), nn.ReLU()), nn.Linear(2, 2))
    assert list(prunable(nested)) == ["0.0.weight", "1.weight"]
    assert list(prunable(nn.Linear(2, 2))) == ["weight"]
    assert prunable(nn.ReLU()) == {}


@pytest.mark.parametrize("value", [0, 0.0, 0.5, 1, 1.0])
def test_a_fraction_may_reach_both_ends(value):
    check_fraction(value)


@pytest.mark.parametrize("value", [-1e-9, 1.0000001, 90, math.nan, math.inf])
def test_a_fraction_outside_is_named(value):
    with pytest.raises(ValueError, match=f"rate is {value}"):
        check_fraction(value, "rate")


@pytest.mark.parametrize("value", ["0.5", None, True, [0.5], torch.tensor(0.5)])
def test_a_fraction_is_a_number(value):
    with pytest.raises(TypeError, match="give a number from 0 to 1"):
        check_fraction(value)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_scores_that_are_not_finite_name_the_layer(bad, dtype):
    scores = {"fc1.weight": torch.ones(2, 3), "fc2.weight": torch.ones(2, 3, dtype=dtype)}
    check_scores(scores)
    scores["fc2.weight"][1, 1] = bad
    with pytest.raises(ValueError, match=r"'fc2\.weight' hold NaN or infinity"):
        check_scores(scores)


@pytest.mark.parametrize(
    ("scores", "error", "message"),
    [
        ([torch.ones(2)], TypeError, "scores are a list"),
        ({}, ValueError, "hold no entry"),
        ({"fc1": torch.ones(0)}, ValueError, "hold no entry"),
        ({"fc1": [1.0, 2.0]}, TypeError, "'fc1' are a list"),
        ({"fc1": ones(2)}, TypeError, r"'fc1' are torch\.bool"),
        ({"fc1": torch.ones(2, dtype=torch.complex64)}, TypeError, "real numbers"),
        ({"fc1.weight": torch.ones(2, 2), "fc2": torch.ones(2)}, ValueError, "mix levels.*'fc2'"),
        ({"fc1": torch.ones(2), "fc2": torch.tensor(1.0)}, ValueError, "'fc2' at layer level"),
    ],
)
def test_check_scores_says_what_is_wrong(scores, error, message):
    with pytest.raises(error, match=message):
        check_scores(scores)


def test_one_empty_layer_among_others_is_no_error():
    check_scores({"fc1.weight": torch.ones(2, 2), "fc2.weight": torch.ones(0, 2)})


@pytest.mark.parametrize(
    "masks",
    [
        {"fc1.weight": ones(3, 4), "fc2.weight": ones(2, 3)},
        {"fc2.weight": ones(2, 3)},
        {"fc1": ones(3)},
        {"fc1": torch.tensor(True), "fc2": torch.tensor(False)},
    ],
)
def test_masks_that_fit_pass(masks):
    check_masks(masks, mlp(4, 3, 2))


@pytest.mark.parametrize(
    ("masks", "error", "message"),
    [
        (ones(3, 4), TypeError, "masks are a Tensor"),
        ({}, ValueError, "masks hold no entry"),
        ({"fc1.weight": torch.ones(3, 4)}, TypeError, r"'fc1\.weight' is torch\.float32"),
        ({"fc9.weight": ones(3, 4)}, ValueError, r"'fc9\.weight'.*'fc1', 'fc2'"),
        ({"fc1.bias": ones(3)}, ValueError, r"no layer or weight 'fc1\.bias'"),
        ({"relu1": ones(3)}, ValueError, "'relu1'"),
        ({"fc1.weight": ones(4, 3)}, ValueError, r"\(4, 3\), but this model needs \(3, 4\)"),
        ({"fc1.weight": ones(1, 4)}, ValueError, r"\(1, 4\), but this model needs \(3, 4\)"),
        ({"fc1": ones(4)}, ValueError, r"\(4,\), but this model needs \(3,\)"),
        ({"fc1": ones(3, 1)}, ValueError, r"\(3, 1\), but this model needs \(3,\)"),
        ({"fc1.weight": ones(3, 4), "fc2": ones(2)}, ValueError, "mix levels"),
        ({"fc1": ones(3), "fc2": torch.tensor(True)}, ValueError, "mix levels"),
    ],
)
def test_check_masks_says_what_is_wrong(masks, error, message):
    with pytest.raises(error, match=message):
        check_masks(masks, mlp(4, 3, 2))


def test_a_computed_weight_cannot_be_masked():
    model = mlp(4, 3, 2)
    prune.l1_unstructured(model.fc1, "weight", 0.5)
    with pytest.raises(ValueError, match=r"'fc1\.weight' is computed"):
        check_masks({"fc1.weight": ones(3, 4)}, model)


def test_level_asks_the_model_not_the_shape():
    model = mlp(1, 1, 1)
    assert level({"fc1.weight": torch.ones(1, 1)}, model) == "weight"
    assert level({"fc1": torch.ones(1)}, model) == "unit"
    assert level({"fc1": torch.tensor(1.0)}, model) == "layer"
    assert level({"": torch.ones(2)}, nn.Linear(3, 2)) == "unit"


def test_per_unit_by_hand():
    model = small_cnn((2,), classes=2)
    kernels = torch.arange(18.0).view(2, 1, 3, 3)
    assert per_unit({"conv1.weight": kernels}, model)["conv1"].tolist() == [36.0, 117.0]
    largest = per_unit({"conv1.weight": kernels}, model, reduce=torch.amax)
    assert largest["conv1"].tolist() == [8.0, 17.0]
    norm = per_unit({"conv1.weight": kernels}, model, reduce=torch.linalg.vector_norm)
    assert norm["conv1"][0].item() == pytest.approx(math.sqrt(204))


def test_per_layer_by_hand_from_weights_and_from_units():
    model = mlp(2, 2)
    scores = {"fc1.weight": torch.tensor([[1.0, 2.0], [3.0, 6.0]])}
    assert per_layer(scores, model)["fc1"].tolist() == 3.0
    assert per_layer(per_unit(scores, model), model)["fc1"].tolist() == 6.0


@given(st.sampled_from([torch.sum, torch.mean, torch.amax]), st.integers(0, 99))
@settings(max_examples=20, deadline=None)
def test_aggregation_agrees_with_a_loop(reduce, seed):
    model = small_cnn((3, 2), classes=2)
    generator = torch.Generator().manual_seed(seed)
    scores = {n: torch.rand(w.shape, generator=generator) for n, w in prunable(model).items()}
    units, layers = per_unit(scores, model, reduce), per_layer(scores, model, reduce)
    assert list(units) == list(layers) == list(prunable_layers(model))
    for name, score in scores.items():
        layer = name.removesuffix(".weight")
        for j, row in enumerate(score):
            torch.testing.assert_close(units[layer][j], reduce(row))
        torch.testing.assert_close(layers[layer], reduce(score))


def test_aggregation_refuses_the_wrong_level_and_the_wrong_reduce():
    model = mlp(4, 3, 2)
    units = {"fc1": torch.ones(3)}
    with pytest.raises(ValueError, match="weight-level scores, but these are at unit level"):
        per_unit(units, model)
    with pytest.raises(ValueError, match="not layer-level"):
        per_layer(per_layer(units, model), model)
    weights = {"fc1.weight": torch.ones(3, 4)}
    with pytest.raises(ValueError, match=r"reduce gave max for 'fc1'"):
        per_unit(weights, model, reduce=torch.max)
    with pytest.raises(ValueError, match=r"reduce gave \(12,\) for 'fc1'"):
        per_layer(weights, model, reduce=torch.softmax)


def test_sparsity_counts_entries_not_layers():
    masks = {"fc1": ones(3), "fc2": ~ones(1)}
    before = copy.deepcopy(masks)
    assert sparsity(masks) == 0.25
    assert all(torch.equal(masks[name], before[name]) for name in masks)
    with pytest.raises(ValueError, match="hold no entry"):
        sparsity({})
