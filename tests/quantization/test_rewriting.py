import copy
from functools import partial

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from pruneedu.data import Split
from pruneedu.models import lenet5, mlp, small_cnn
from pruneedu.pruning import apply_masks, keep_top, magnitude
from pruneedu.quantization.affine import QParams, to_integers
from pruneedu.quantization.calibration import Range, moving_average
from pruneedu.quantization.few_levels import binary, ternary
from pruneedu.quantization.ranges import as_rows, input_ranges, weight_ranges
from pruneedu.quantization.rewriting import check_plan, plan_grids, quantize
from pruneedu.quantization.schemes import asymmetric, symmetric, textbook
from pruneedu.tensors import prunable


def seeded(make, *arguments):
    torch.manual_seed(0)
    return make(*arguments).eval()


def test_each_weight_lies_on_its_own_grid():
    model = seeded(mlp, 16, 12, 4)
    plan = plan_grids(weight_ranges(model), bits={"fc1.weight": 2, "fc2.weight": 4})
    quantized = quantize(model, plan)
    for name, most in (("fc1.weight", 1), ("fc2.weight", 7)):
        weight, grid = quantized.get_parameter(name), plan[name]
        steps = weight / grid.scale[:, None]
        torch.testing.assert_close(steps, steps.round())
        assert steps.abs().amax(1).round().unique().tolist() == [most]
        original = model.get_parameter(name)
        error = (weight - original).abs().amax(1)
        assert (error <= grid.scale * 0.5001).all()
    assert torch.equal(quantized.fc1.bias, model.fc1.bias)


def test_a_bias_with_a_grid_is_rounded():
    model = seeded(mlp, 16, 12, 4)
    step = QParams(torch.tensor(0.125), torch.tensor(0), -127, 127)
    quantized = quantize(model, {"fc1.bias": step})
    assert torch.equal(quantized.fc1.bias, (model.fc1.bias * 8).round() / 8)
    assert torch.equal(quantized.fc1.weight, model.fc1.weight)


def test_a_weight_without_a_grid_stays():
    model = seeded(mlp, 16, 12, 4)
    plan = plan_grids(weight_ranges(model), bits=2)
    del plan["fc1.weight"]
    quantized = quantize(model, plan)
    assert torch.equal(quantized.fc1.weight, model.fc1.weight)
    assert not torch.equal(quantized.fc2.weight, model.fc2.weight)


@pytest.mark.parametrize("per", ["tensor", "channel", 5])
def test_more_bits_come_closer(per):
    model, x = seeded(lenet5), torch.rand(4, 1, 28, 28)
    ranges, expected = weight_ranges(model, per=per), model(x)
    errors = [(quantize(model, plan_grids(ranges, b))(x) - expected).norm() for b in range(2, 9)]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.02 * errors[0]


def test_pruned_weights_stay_zero_except_on_the_grid_of_the_textbook():
    model = seeded(mlp, 16, 12, 4)
    masks = keep_top(magnitude(model), 0.8)
    sparse = apply_masks(model, masks)
    ranges = weight_ranges(sparse, per="tensor")

    def zeros(plan):
        weights = prunable(quantize(sparse, plan))
        return [int((weights[name][~mask] == 0).sum()) for name, mask in masks.items()]

    dropped = [int((~mask).sum()) for mask in masks.values()]
    assert zeros(plan_grids(ranges, 4)) == dropped
    assert zeros(plan_grids(ranges, 4, asymmetric)) == dropped
    assert zeros(plan_grids(ranges, 4, textbook)) == [0, 0]


@pytest.mark.parametrize(("lay", "count"), [(binary, 2), (ternary, 3)])
def test_two_and_three_levels_serve_as_a_plan(lay, count):
    model = seeded(small_cnn, (4, 6), 4)
    plan = {name: lay(as_rows(weight)) for name, weight in prunable(model).items()}
    quantized = quantize(model, plan)
    for weight in prunable(quantized).values():
        assert max(len(row.unique()) for row in weight) == count


def test_inputs_are_rounded_on_their_way_into_a_layer():
    model = seeded(mlp, 16, 12, 4)
    x = torch.rand(50, 16)
    plan = plan_grids(input_ranges(model, Split(x, None)), 2, asymmetric)
    quantized = quantize(model, plan)
    met = {}
    for name in ("fc1", "fc2"):
        quantized.get_submodule(name).register_forward_hook(
            lambda layer, inputs, output, name=name: met.update({name: inputs[0]})
        )
    quantized(x)
    assert all(len(values.unique()) == 4 for values in met.values())
    torch.testing.assert_close(met["fc1"].unique(), x.max() * torch.arange(4) / 3)
    # The rounding is part of the copy alone, and of its copies.
    assert not torch.equal(model(x), quantized(x))
    assert torch.equal(copy.deepcopy(quantized)(x), quantized(x))
    assert list(quantized.state_dict()) == list(model.state_dict())


def test_eight_bits_for_weights_and_inputs_change_little():
    model, x = seeded(small_cnn, (4, 6), 4), torch.rand(64, 1, 8, 8)
    plan = plan_grids(weight_ranges(model), 8) | plan_grids(
        input_ranges(model, Split(x, None)), 8, asymmetric
    )
    assert len(plan) == 6
    expected = model(x)
    assert (quantize(model, plan)(x) - expected).norm() < 0.02 * expected.norm()


def test_ranges_of_inputs_are_those_of_the_forward_pass():
    model, x = seeded(mlp, 16, 12, 4), torch.randn(30, 16)
    hidden = torch.relu(model.fc1(x))
    for batch_size in (7, 30):
        ranges = input_ranges(model.train(), Split(x, None), batch_size=batch_size)
        assert ranges == {"fc1": Range(x.min(), x.max()), "fc2": Range(hidden.min(), hidden.max())}
    assert model.training
    average = partial(moving_average, batches=3)
    assert input_ranges(model, Split(x, None), average)["fc1"] == average(x.flatten())


def test_ranges_name_the_layer_that_is_not_finite():
    model = seeded(mlp, 16, 12, 4)
    model.fc2.weight.data[0, 0] = torch.nan
    with pytest.raises(
        ValueError, match=r"no range for 'fc2.weight': NaN or infinity in the weight"
    ):
        weight_ranges(model)
    with pytest.raises(ValueError, match=r"'fc2.weight' holds NaN"):
        quantize(model, {"fc2.weight": symmetric(torch.tensor(-1.0), torch.tensor(1.0), 4)})
    x = torch.full((3, 16), torch.inf)
    with pytest.raises(ValueError, match="the inputs of 'fc1' hold NaN"):
        input_ranges(model, Split(x, None))


def test_ranges_name_the_layer_whose_groups_do_not_divide():
    with pytest.raises(ValueError, match=r"no range for 'fc2.weight': per is 8: .* the 12 weights"):
        weight_ranges(seeded(mlp, 16, 12, 4), per=8)


def test_rounding_follows_the_dtype_of_the_model():
    model, x = seeded(mlp, 16, 12, 4), torch.rand(50, 16)
    plan = plan_grids(weight_ranges(model), 4)
    plan |= plan_grids(input_ranges(model, Split(x, None)), 4, asymmetric)
    expected = quantize(model, plan)(x)
    for found in (quantize(model, plan).double(), quantize(copy.deepcopy(model).double(), plan)):
        torch.testing.assert_close(found(x.double()), expected.double(), rtol=1e-4, atol=1e-5)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_rounding_of_inputs_follows_the_model_to_a_gpu():
    model, x = seeded(mlp, 16, 12, 4), torch.rand(50, 16)
    quantized = quantize(model, plan_grids(input_ranges(model, Split(x, None)), 4, asymmetric))
    expected = quantized(x)
    torch.testing.assert_close(quantized.cuda()(x.cuda()).cpu(), expected, rtol=1e-4, atol=1e-5)


def test_plans_name_what_is_wrong():
    ranges = {"fc1": Range(torch.tensor(-3e38), torch.tensor(3e38))}
    with pytest.raises(ValueError, match=r"no grid for 'fc1': the range runs from -3"):
        plan_grids(ranges, 8)
    with pytest.raises(ValueError, match="'fc1' has no number of bits"):
        plan_grids(ranges, {"fc2": 4})
    with pytest.raises(ValueError, match="'fc2' has no range"):
        plan_grids(ranges, {"fc1": 4, "fc2": 4})


def grid(*shape):
    return QParams(torch.ones(shape), torch.zeros(shape), -1, 1)


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        ({}, "with an entry"),
        ([grid()], "give a dict"),
        ({"fc1.weight": 4}, "is of type int: give QParams"),
        (
            {"fc9": grid()},
            "no layer, weight or bias 'fc9' to quantize: its layers are 'fc1', 'fc2'",
        ),
        ({"fc9.bias": grid()}, r"no layer, weight or bias 'fc9.bias'"),
        ({"fc1.bias": grid(2)}, r"of 'fc1.bias' has scales of shape \(2,\), but its shape \(3,\)"),
        ({"fc1": grid(3)}, "into 'fc1' has 3 scales: give one"),
        ({"fc1.weight": grid(4)}, r"scales of shape \(4,\), but its shape \(3, 4\)"),
        ({"fc1.weight": grid(3, 3)}, r"needs \(\), \(3,\) or \(3, groups\), with groups that di"),
        ({"fc1.weight": grid(3, 0)}, r"scales of shape \(3, 0\)"),
        ({"fc1.weight": grid(3, 2, 2)}, r"scales of shape \(3, 2, 2\)"),
    ],
)
def test_a_plan_that_does_not_fit_is_refused(plan, message):
    with pytest.raises((TypeError, ValueError), match=message):
        quantize(mlp(4, 3, 2), plan)


def test_a_computed_weight_is_refused():
    model = mlp(4, 3, 2)
    parametrizations.weight_norm(model.fc1)
    with pytest.raises(ValueError, match="remove its parametrization first"):
        check_plan({"fc1.weight": grid()}, model)


def test_the_integers_and_the_copy_agree():
    model = seeded(nn.Linear, 10, 4)
    plan = plan_grids(weight_ranges(model, per=5), 4)
    integers = to_integers(model.weight, plan["weight"])
    by_hand = integers.view(4, 2, 5) * plan["weight"].scale[..., None]
    assert torch.equal(quantize(model, plan).weight, by_hand.view(4, 10))
