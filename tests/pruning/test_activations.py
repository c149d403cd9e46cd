"""Criteria by activations, against numbers by hand and plain loops."""

import pytest
import torch
from torch import nn

from pruneedu.data import Split
from pruneedu.models import lenet5, mlp, mnist1d_cnn, small_cnn
from pruneedu.pruning import apoz

MODELS = {
    "mlp": (lambda: mlp(6, 5, 3), (9, 6), {"fc1": "relu1", "fc2": "fc2"}),
    "small_cnn": (
        lambda: small_cnn((3, 4), classes=3),
        (9, 1, 8, 8),
        {"conv1": "relu1", "conv2": "relu2", "fc": "fc"},
    ),
    "mnist1d_cnn": (
        lambda: mnist1d_cnn(channels=3, classes=3),
        (9, 40),
        {"conv1": "relu1", "conv2": "relu2", "conv3": "relu3", "fc": "fc"},
    ),
}
ON_MODELS = pytest.mark.parametrize("model_name", MODELS)


def prepare(name):
    torch.manual_seed(0)
    make, shape, last_words = MODELS[name]
    return make().eval(), Split(torch.randn(shape), None), last_words


def outputs_of(model, x, last_words):
    """Return what comes out of the named modules, by a walk through the chain."""
    spoken = {}
    with torch.no_grad():
        for name, module in model.named_children():
            x = module(x)
            spoken[name] = x
    return {layer: spoken[module] for layer, module in last_words.items()}


@ON_MODELS
def test_apoz_counts_what_is_not_zero(model_name):
    model, data, last_words = prepare(model_name)
    found = apoz(model, data, batch_size=4)
    for name, output in outputs_of(model, data.x, last_words).items():
        for unit in range(output.shape[1]):
            values = output[:, unit].flatten().tolist()
            expected = sum(value != 0 for value in values) / len(values)
            assert found[name][unit].item() == pytest.approx(expected)


def test_apoz_of_a_dead_unit_is_no_error_beside_living_ones():
    model, data, _ = prepare("mlp")
    with torch.no_grad():
        model.fc1.bias[2] = -100
    scores = apoz(model, data)
    assert scores["fc1"][2] == 0
    assert scores["fc1"].count_nonzero() == 4


def test_without_an_activation_nothing_is_zero():
    torch.manual_seed(0)
    scores = apoz(lenet5().eval(), Split(torch.rand(4, 1, 28, 28), None))
    assert [bool((score == 1).all()) for score in scores.values()] == [True, True, False, True]


def test_other_activations_are_seen_as_well():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Hardtanh(0, 1), nn.Linear(4, 2))
    data = Split(torch.randn(50, 3), None)
    with torch.no_grad():
        expected = (model.eval()[:3](data.x) != 0).float().mean(0)
    assert torch.equal(apoz(model, data)["0"], expected)
