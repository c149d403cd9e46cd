import copy
from functools import partial

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize

from pruneedu.data import Split
from pruneedu.models import mlp, small_cnn
from pruneedu.pruning import apply_masks, keep_top, magnitude
from pruneedu.quantization.affine import QParams, round_to_grid
from pruneedu.quantization.aware import convert, learned_step, straight_through
from pruneedu.quantization.few_levels import binary
from pruneedu.quantization.freezing import distance_to_grid
from pruneedu.quantization.ranges import as_rows, input_ranges, weight_ranges
from pruneedu.quantization.rewriting import plan_grids, quantize
from pruneedu.quantization.schemes import asymmetric, textbook
from pruneedu.tensors import per_unit, prunable
from pruneedu.training import evaluate, fit, sgd

AWARE = {"straight_through": straight_through, "learned_step": learned_step}
ON_AWARE = pytest.mark.parametrize("make", AWARE.values(), ids=AWARE)
QUICK = {"epochs": 3, "batch_size": 20, "optimizer": partial(sgd, lr=0.02)}


def task(seed=0, n=200):
    """Three classes around three points."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.arange(n) % 3
    centres = torch.randn(3, 8, generator=generator)
    return Split(centres[y] + 0.7 * torch.randn(n, 8, generator=generator), y)


@pytest.fixture(scope="module")
def trained():
    torch.manual_seed(0)
    return fit(mlp(8, 12, 3), task(), epochs=5, batch_size=20).model


def on_grids(model, plan):
    scores = distance_to_grid(model, plan)
    return all((score < 1e-4).all() for score in scores.values())


@ON_AWARE
@pytest.mark.parametrize("per", ["tensor", "channel", 4])
def test_before_training_it_computes_what_quantize_does(make, per, trained):
    plan = plan_grids(weight_ranges(trained, per=per), bits=3)
    before = copy.deepcopy(trained.state_dict())
    aware, x = make(trained, plan), task().x
    assert torch.equal(aware(x), quantize(trained, plan)(x))
    plain, again = convert(aware)
    assert torch.equal(plain(x), aware(x))
    assert list(plain.state_dict()) == list(trained.state_dict())
    assert {type(layer) for layer in plain} <= {nn.Flatten, nn.Linear, nn.ReLU}
    for name, grid in plan.items():
        assert torch.equal(again[name].scale, grid.scale)
        assert again[name].bits == grid.bits
    assert all(torch.equal(trained.state_dict()[key], before[key]) for key in before)


@ON_AWARE
def test_training_moves_weights_and_leaves_them_on_their_grids(make, trained):
    plan = plan_grids(weight_ranges(trained), bits=2)
    aware = make(trained, plan)
    fitted, _ = fit(aware, task(), **QUICK)
    plain, learned = convert(fitted)
    assert torch.equal(plain(task().x), fitted(task().x))
    assert on_grids(plain, learned)
    assert not torch.equal(plain.fc1.weight, convert(aware)[0].fc1.weight)
    moved = [not torch.equal(learned[name].scale, plan[name].scale) for name in plan]
    assert moved == [make is learned_step] * 2


@ON_AWARE
def test_training_repairs_what_two_bits_broke(make):
    # The network that was trained in floats knows nothing of the grid.
    torch.manual_seed(1)
    model = fit(mlp(8, 12, 3), task(), epochs=5, batch_size=20).model
    plan = plan_grids(weight_ranges(model, per="tensor"), bits=2)
    loss = partial(evaluate, split=task(), metric=lambda z, y: nn.functional.cross_entropy(z, y))
    broken = loss(quantize(model, plan))
    repaired = loss(convert(fit(make(model, plan), task(), **QUICK).model)[0])
    assert loss(model) < broken
    assert repaired < 0.7 * broken


@ON_AWARE
def test_pruned_weights_stay_zero_through_momentum(make, trained):
    masks = keep_top(magnitude(trained), 0.6)
    plan = plan_grids(weight_ranges(trained), bits=4)
    # The masks count, whether or not they were applied before.
    for start in (trained, apply_masks(trained, masks)):
        plain, _ = convert(fit(make(start, plan, masks), task(), **QUICK).model)
        for name, weight in prunable(plain).items():
            assert not weight[~masks[name]].any()
            assert weight[masks[name]].any()


def test_the_gradient_passes_inside_the_grid_only(trained):
    grid = QParams(torch.tensor(0.1), torch.tensor(0), -2, 2)
    aware = straight_through(trained, {"fc2.weight": grid})
    plain, _ = convert(aware)
    for model in (aware, plain):
        nn.functional.cross_entropy(model(task().x), task().y).backward()
    found = aware.fc2.parametrizations.weight.original.grad
    inside = trained.fc2.weight.abs() <= 0.2
    assert inside.any()
    assert not inside.all()
    torch.testing.assert_close(found, plain.fc2.weight.grad * inside)


def test_the_gradient_of_a_step_is_that_of_the_paper(trained):
    plan = plan_grids(weight_ranges(trained), bits=3)
    narrow = QParams(plan["fc1.weight"].scale / 2, plan["fc1.weight"].zero_point, -3, 3)
    aware = learned_step(trained, {"fc1.weight": narrow})
    plain, _ = convert(aware)
    for model in (aware, plain):
        nn.functional.cross_entropy(model(task().x), task().y).backward()
    v = trained.fc1.weight.detach() / narrow.scale[:, None]
    slope = torch.where(v <= -3, -3, torch.where(v >= 3, 3, v.round() - v))
    expected = (slope * plain.fc1.weight.grad).sum(1) / (8 * 3) ** 0.5
    # Plain SGD moves the step by the learning rate times the gradient of the paper.
    torch.optim.SGD(aware.parameters(), lr=1e-3).step()
    moved = convert(aware)[1]["fc1.weight"].scale - narrow.scale
    torch.testing.assert_close(moved, -1e-3 * expected, rtol=1e-3, atol=1e-8)


def test_adam_leaves_a_small_step_positive(trained):
    plan = plan_grids(weight_ranges(trained), bits=8)
    adam = partial(torch.optim.Adam, lr=0.01)
    fitted = fit(learned_step(trained, plan), task(), epochs=3, optimizer=adam).model
    for name, grid in convert(fitted)[1].items():
        assert plan[name].scale.max() < 0.01
        assert (grid.scale / plan[name].scale > 0.5).all()


def test_a_step_that_is_learned_comes_closer_than_the_range(trained):
    # The network that the weights should equal is the one in floats.
    plan = plan_grids(weight_ranges(trained, per="tensor"), bits=2)
    data = Split(task().x, trained(task().x).detach())
    mean_squared = nn.functional.mse_loss
    aware = fit(learned_step(trained, plan), data, loss=mean_squared, **QUICK).model
    plain, learned = convert(aware)
    x = task(n=300).x[200:]
    assert mean_squared(plain(x), trained(x)) < mean_squared(quantize(trained, plan)(x), trained(x))
    assert all(learned[name].scale < plan[name].scale for name in plan)


def test_grids_of_inputs_are_added_with_quantize(trained):
    weights = plan_grids(weight_ranges(trained), bits=4)
    inputs = plan_grids(input_ranges(trained, task()), 4, asymmetric)
    aware = quantize(learned_step(trained, weights), inputs)
    both = quantize(trained, weights | inputs)
    assert torch.equal(aware(task().x), both(task().x))
    fitted = fit(aware, task(), **QUICK).model
    plain, plan = convert(fitted)
    assert torch.equal(plain(task().x), fitted(task().x))
    assert list(plan) == list(weights)


@ON_AWARE
def test_a_convolution_and_a_frozen_weight(make):
    torch.manual_seed(0)
    model = small_cnn((4, 6), classes=3).eval()
    model.conv1.weight.requires_grad_(False)
    plan = {name: binary(as_rows(weight)) for name, weight in prunable(model).items()}
    data = Split(torch.randn(12, 1, 8, 8), torch.arange(12) % 3)
    plain, learned = convert(fit(make(model, plan), data, epochs=1, batch_size=6).model)
    assert not plain.conv1.weight.requires_grad
    assert plain.conv2.weight.requires_grad
    assert {len(row.unique()) for row in plain.conv2.weight} == {2}
    assert on_grids(plain, learned)


@ON_AWARE
def test_biases_train_on_grids_as_well(make, trained):
    step = QParams(torch.tensor(0.05), torch.tensor(0), -127, 127)
    plan = plan_grids(weight_ranges(trained), bits=4) | {"fc1.bias": step, "fc2.bias": step}
    plain, learned = convert(fit(make(trained, plan), task(), **QUICK).model)
    assert set(learned) == set(plan)
    assert on_grids(plain, learned)
    assert not torch.equal(plain.fc1.bias, trained.fc1.bias)
    assert list(plain.state_dict()) == list(trained.state_dict())


@ON_AWARE
def test_what_does_not_fit_is_refused(make, trained):
    plan = plan_grids(weight_ranges(trained), bits=2)
    masks = keep_top(magnitude(trained), 0.5)
    inputs = plan_grids(input_ranges(trained, task()), 4)
    with pytest.raises(ValueError, match=r"'fc1' is what goes into a layer: .* 'fc1.weight'"):
        make(trained, plan | inputs)
    with pytest.raises(ValueError, match=r"no grid for 'fc2.weight', which has a mask"):
        make(trained, {"fc1.weight": plan["fc1.weight"]}, masks)
    with pytest.raises(ValueError, match="the masks are at unit level"):
        make(trained, plan, keep_top(per_unit(magnitude(trained), trained), 0.5))
    for scheme in (textbook, lambda low, high, bits: binary(torch.stack([low, high], -1))):
        no_zero = plan_grids(weight_ranges(trained), 2, scheme)
        with pytest.raises(ValueError, match=r"the grid of 'fc1.weight' has no 0"):
            make(trained, no_zero, masks)
        make(trained, no_zero)
    with pytest.raises(ValueError, match="remove its parametrization"):
        make(make(trained, plan), plan)


def test_other_parametrizations_stay(trained):
    model = copy.deepcopy(trained)
    parametrizations.weight_norm(model.fc1)
    plan = {"fc2.weight": plan_grids(weight_ranges(trained), bits=2)["fc2.weight"]}
    plain, _ = convert(straight_through(model, plan))
    assert parametrize.is_parametrized(plain.fc1, "weight")
    assert not parametrize.is_parametrized(plain.fc2)


def test_only_networks_on_grids_convert(trained):
    with pytest.raises(ValueError, match="no weight of this model is rounded"):
        convert(trained)


def test_a_step_that_went_negative_is_refused(trained):
    aware = learned_step(trained, plan_grids(weight_ranges(trained), bits=2))
    aware.fc1.parametrizations.weight[0].ratio.data[0] = -1
    with pytest.raises(ValueError, match="scale runs from -"):
        aware(task().x)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@ON_AWARE
def test_a_gpu_trains_on_grids_as_well(make, trained):
    model, data = copy.deepcopy(trained).cuda(), Split(*(part.cuda() for part in task()))
    plan = plan_grids(weight_ranges(model), bits=2)
    plain, learned = convert(fit(make(model, plan), data, **QUICK).model)
    for name, grid in learned.items():
        weight = plain.get_parameter(name)
        assert weight.is_cuda
        torch.testing.assert_close(round_to_grid(weight, grid), weight)
