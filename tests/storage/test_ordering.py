"""Sorting the hidden units changes no output, and saves bytes."""

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrize import register_parametrization

from pruneedu.models import lenet5, mlp, mnist1d_cnn, small_cnn
from pruneedu.pruning import apply_masks, keep_top, random
from pruneedu.storage import contents_of, encode, sort_units


@pytest.mark.parametrize(
    ("model", "shape"),
    [
        (mlp(6, 5, 4, 3), (4, 6)),
        (lenet5(), (2, 1, 28, 28)),
        (small_cnn((4, 6), classes=3), (2, 1, 8, 8)),
        (mnist1d_cnn(channels=5, classes=3), (2, 40)),
    ],
    ids=lambda value: getattr(value, "architecture", [""])[0],
)
def test_outputs_stay(model, shape):
    torch.manual_seed(0)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            for tensor in (module.weight, module.bias, module.running_mean):
                torch.nn.init.normal_(tensor.data)
    model = apply_masks(model.eval(), keep_top(random(model), 0.5))
    ordered, x = sort_units(model), torch.randn(shape)
    torch.testing.assert_close(ordered(x), model(x), rtol=1e-4, atol=1e-5)
    *hidden, _ = [m.weight for m in ordered if hasattr(m, "weight") and m.weight.ndim > 1]
    for weight in hidden:
        counts = weight.flatten(1).count_nonzero(1)
        assert (counts[:-1] >= counts[1:]).all()


def half_zero(*modules):
    """Return a chain in eval mode; half of each tensor is zero, more of it in the first units."""
    torch.manual_seed(0)
    model = nn.Sequential(*modules).eval()
    for tensor in model.state_dict().values():
        if tensor.ndim:
            chance = torch.linspace(1, 0, len(tensor)).view(-1, *[1] * (tensor.ndim - 1))
            tensor.copy_(torch.rand_like(tensor) * (torch.rand_like(tensor) > chance))
    return model


def outputs_stay(model, x):
    """Tell that sorting changes no output, and whether it changed the order of anything."""
    ordered = sort_units(model)
    torch.testing.assert_close(ordered(x), model(x), rtol=1e-4, atol=1e-5)
    before = model.state_dict()
    return any(not torch.equal(t, before[name]) for name, t in ordered.state_dict().items())


class Residual(nn.Sequential):
    def forward(self, x):
        return x + super().forward(x)


TWICE = nn.Linear(8, 8)
TIED = nn.Linear(8, 8)
TIED.weight = TWICE.weight
OTHERS = {
    "layer norm": nn.LayerNorm(8),
    "group norm": nn.GroupNorm(2, 8),
    "a slope for each unit": nn.PReLU(8),
    "pooling of units": nn.AvgPool1d(3, 1, 1),
    "pooling of units to one": nn.Sequential(nn.AdaptiveMaxPool1d(4), nn.Linear(4, 8)),
    "a skip": Residual(nn.Linear(8, 8)),
    "a parametrization": register_parametrization(nn.Linear(8, 8), "weight", nn.Tanh()),
    "a layer that runs twice": nn.Sequential(TWICE, nn.ReLU(), TWICE),
    "two layers with one weight": nn.Sequential(TWICE, nn.ReLU(), TIED),
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_units_stay_beside_what_may_tell_them_apart(other):
    model = half_zero(nn.Linear(6, 8), other, nn.Linear(8, 5), nn.ReLU(), nn.Linear(5, 3))
    assert outputs_stay(model, torch.randn(16, 6))  # The units of the last ReLU are sorted.


@pytest.mark.parametrize(
    ("modules", "shape"),
    [
        ([nn.Linear(6, 8), nn.Conv1d(8, 5, 3)], (2, 8, 6)),
        ([nn.Linear(6, 8), nn.Flatten(), nn.Linear(32, 3)], (2, 4, 6)),
        ([nn.Linear(6, 8), nn.BatchNorm1d(4), nn.Linear(8, 3)], (2, 4, 6)),
        ([nn.Conv1d(4, 8, 3), nn.ReLU(), nn.Linear(8, 3)], (2, 4, 10)),
        ([nn.Conv1d(4, 8, 3), nn.Flatten(), nn.AvgPool1d(2), nn.Linear(32, 3)], (2, 4, 10)),
        ([nn.Conv1d(4, 8, 3), nn.Flatten(), nn.BatchNorm1d(64), nn.Linear(64, 3)], (2, 4, 10)),
        ([nn.Conv1d(4, 8, 3), nn.Flatten(0, 1), nn.Linear(8, 3)], (2, 4, 10)),
        ([nn.Conv1d(4, 8, 3, groups=2), nn.Conv1d(8, 8, 1)], (2, 4, 10)),
        ([nn.Conv1d(4, 8, 3), nn.Conv1d(8, 8, 1, groups=8)], (2, 4, 10)),
    ],
    ids=lambda value: str([type(m).__name__ for m in value]) if isinstance(value, list) else "",
)
def test_units_stay_where_they_do_not_lie_as_the_next_layer_reads_them(modules, shape):
    assert not outputs_stay(half_zero(*modules), torch.randn(shape))


@pytest.mark.parametrize(
    ("modules", "shape"),
    [
        ([nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3)], (5, 6)),
        ([nn.Linear(6, 8), nn.Softmax(1), nn.PReLU(), nn.Linear(8, 9), nn.Linear(9, 3)], (5, 6)),
        ([nn.Linear(6, 8), nn.GELU(), nn.BatchNorm1d(8), nn.Linear(8, 3)], (5, 6)),
        ([nn.Sequential(nn.Linear(6, 8), nn.Tanh()), nn.Linear(8, 3)], (5, 6)),
        ([nn.Conv1d(4, 8, 3), nn.AvgPool1d(2), nn.Flatten(), nn.Linear(32, 3)], (2, 4, 10)),
        (
            [
                *(nn.Conv2d(1, 8, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()),
                *(nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3)),
            ],
            (2, 1, 5, 5),
        ),
    ],
    ids=lambda value: str([type(m).__name__ for m in value]) if isinstance(value, list) else "",
)
def test_units_are_sorted_through_what_treats_them_alike(modules, shape):
    assert outputs_stay(half_zero(*modules), torch.randn(shape))


def test_sorted_units_take_fewer_bytes():
    torch.manual_seed(0)
    model = mlp(20, 40, 10)
    dead = torch.rand(40) < 0.5
    model = apply_masks(model, {"fc1": ~dead})
    assert len(encode(contents_of(sort_units(model)))) < len(encode(contents_of(model)))


def test_what_has_no_known_order_is_refused():
    with pytest.raises(TypeError, match=r"nn\.Sequential"):
        sort_units(torch.nn.Linear(2, 2))
    with pytest.raises(ValueError, match="3 inputs of '1' are not the 2 of '0'"):
        sort_units(torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(3, 2)))
