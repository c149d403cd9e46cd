"""Criteria by activations, against numbers by hand and plain loops."""

import copy

import pytest
import torch
from chains import MODELS, ON_MODELS
from torch import nn

from pruneedu.data import Split
from pruneedu.models import lenet5, mlp
from pruneedu.pruning import apoz, wanda


def prepare(name):
    torch.manual_seed(0)
    make, shape, last_words = MODELS[name]
    return make().eval(), Split(torch.randn(9, *shape), None), last_words


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


def inputs_of(model, x):
    """Return what goes into each module, by a walk through the chain."""
    seen = {}
    with torch.no_grad():
        for name, module in model.named_children():
            seen[name] = x
            x = module(x)
    return seen


@ON_MODELS
def test_wanda_is_weight_times_norm_in_a_loop_over_weights(model_name):
    model, data, last_words = prepare(model_name)
    found = wanda(model, data, batch_size=4)
    inputs = inputs_of(model, data.x)
    assert list(found) == [f"{name}.weight" for name in last_words]
    for name in last_words:
        layer = model.get_submodule(name)
        alone = copy.deepcopy(layer).requires_grad_(False)
        if alone.bias is not None:
            alone.bias.zero_()
        for index in layer.weight.detach().abs().nonzero().tolist():
            # A weight meets what a layer with this weight alone, set to 1, puts out.
            alone.weight.zero_()[tuple(index)] = 1
            met = alone(inputs[name]).norm().item()
            expected = layer.weight[tuple(index)].abs().item() * met
            assert found[f"{name}.weight"][tuple(index)].item() == pytest.approx(expected, rel=1e-5)


def test_wanda_by_hand():
    # Rows of fc1 are (1, -2) and (0, 1); the columns of x have the norms 5 and 1.
    model = mlp(2, 2)
    with torch.no_grad():
        model.fc1.weight.copy_(torch.tensor([[1.0, -2.0], [0.0, 1.0]]))
    scores = wanda(model, Split(torch.tensor([[3.0, 0.0], [4.0, -1.0]]), None))
    assert scores["fc1.weight"].tolist() == [[5.0, 2.0], [0.0, 1.0]]


def test_wanda_in_a_convolution_meets_patches():
    # The input 1, 2, 4 between two zeros: the weights meet (0, 1, 2), (1, 2, 4) and (2, 4, 0).
    model = nn.Sequential(nn.Conv1d(1, 1, 3, padding=1, bias=False))
    nn.init.constant_(model[0].weight, -2)
    scores = wanda(model, Split(torch.tensor([[[1.0, 2.0, 4.0]]]), None))["0.weight"][0, 0]
    torch.testing.assert_close(scores, 2 * torch.tensor([5.0, 21.0, 20.0]).sqrt())


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(4, 6, 3, groups=2, stride=2, padding=1),
        nn.Conv2d(4, 2, (3, 2), dilation=2, padding="same", padding_mode="reflect"),
        nn.Conv2d(4, 4, 3, groups=4, padding_mode="circular", padding=1),
    ],
)
def test_wanda_sees_groups_dilation_and_padding(layer):
    torch.manual_seed(0)
    x = torch.randn(5, 4, 7, 7)
    found = wanda(nn.Sequential(layer), Split(x, None), batch_size=2)["0.weight"]
    alone = copy.deepcopy(layer).requires_grad_(False)
    alone.bias.zero_()
    for index in layer.weight.detach().abs().nonzero().tolist():
        alone.weight.zero_()[tuple(index)] = 1
        expected = layer.weight[tuple(index)].abs().item() * alone(x).norm().item()
        assert found[tuple(index)].item() == pytest.approx(expected, rel=1e-5)


class OverwritesInputs(nn.Module):
    """A network that changes the input of a layer after the layer has read it."""

    def __init__(self):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(4, 3), nn.Linear(3, 3)

    def forward(self, x):
        h = self.fc1(x)
        y = self.fc2(h)
        return y + h.relu_()


def test_wanda_sees_the_input_as_the_layer_read_it():
    torch.manual_seed(0)
    model, x = OverwritesInputs(), torch.randn(9, 4)
    with torch.no_grad():
        expected = model.fc2.weight.abs() * model.fc1(x).norm(dim=0)
    torch.testing.assert_close(wanda(model, Split(x, None))["fc2.weight"], expected)
