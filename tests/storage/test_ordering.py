"""Sorting the hidden units changes no output, and saves bytes."""

import pytest
import torch

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
