import copy
from functools import partial

import pytest
import torch
from torch import nn

from pruneedu.models import mlp, small_cnn
from pruneedu.pruning import apply_masks, apply_masks_, keep_top, magnitude
from pruneedu.pruning.masks import following_norm
from pruneedu.tensors import prunable


def trained_looking(model):
    """Give every parameter and statistic a value that speaks, as after training."""
    generator = torch.Generator().manual_seed(0)
    for tensor in model.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)
    return model


def test_a_weight_mask_is_a_product():
    model = trained_looking(mlp(3, 2))
    mask = torch.tensor([[True, False, True], [False, False, True]])
    sparse = apply_masks(model, {"fc1.weight": mask})
    assert torch.equal(sparse.fc1.weight, model.fc1.weight * mask)
    assert torch.equal(sparse.fc1.bias, model.fc1.bias)


def test_zero_is_plain_zero_even_from_negative_or_broken_weights():
    model = mlp(3, 1)
    with torch.no_grad():
        model.fc1.weight.copy_(torch.tensor([[-1.0, torch.inf, torch.nan]]))
    weight = apply_masks_(model, {"fc1.weight": torch.tensor([[False] * 3])}).fc1.weight
    assert weight.tolist() == [[0.0, 0.0, 0.0]]
    assert not weight.signbit().any()


def test_a_layer_without_a_mask_stays():
    model = trained_looking(mlp(3, 2, 2))
    sparse = apply_masks(model, {"fc1": torch.tensor([False, True])})
    assert torch.equal(sparse.fc2.weight, model.fc2.weight)
    assert torch.equal(sparse.fc1.weight[1], model.fc1.weight[1])


def test_a_dropped_unit_is_silent():
    model = trained_looking(small_cnn((3, 4))).eval()
    sparse = apply_masks(model, {"conv1": torch.tensor([True, False, True])})
    x = torch.randn(2, 1, 8, 8)
    spoken = model[:3](x)
    assert (spoken[:, 1] > 0).any()
    after = sparse[:3](x)
    assert (after[:, 1] == 0).all()
    assert torch.equal(after[:, [0, 2]], spoken[:, [0, 2]])


def test_a_mask_for_the_convolution_alone_would_leave_it_speaking():
    model = trained_looking(small_cnn((3, 4))).eval()
    weight = torch.ones(3, 1, 3, 3, dtype=torch.bool)
    weight[1] = False
    sparse = apply_masks(model, {"conv1.weight": weight})
    assert (sparse[:2](torch.randn(2, 1, 8, 8))[:, 1] != 0).all()


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("training", [True, False])
def test_no_normalisation_revives_a_unit(affine, training):
    model = nn.Sequential(nn.Linear(3, 4), nn.Identity(), nn.BatchNorm1d(4, affine=affine))
    model = trained_looking(model).train(training)
    sparse = apply_masks(model, {"0": torch.tensor([True, False, True, False])})
    y = sparse(torch.randn(8, 3))
    assert (y[:, [1, 3]] == 0).all()
    assert (y[:, [0, 2]] != 0).any()


def test_a_dropped_layer_loses_weight_bias_and_norm():
    model = trained_looking(small_cnn((3, 4)))
    masks = {"conv1": torch.tensor(False), "conv2": torch.tensor(True), "fc": torch.tensor(False)}
    sparse = apply_masks(model, masks)
    for gone in (sparse.conv1.weight, sparse.bn1.weight, sparse.bn1.bias, sparse.fc.weight):
        assert not gone.any()
    assert not sparse.fc.bias.any()
    assert torch.equal(sparse.conv2.weight, model.conv2.weight)
    assert torch.equal(sparse.bn2.bias, model.bn2.bias)


def test_a_dropped_layer_equals_all_its_units_dropped():
    model = trained_looking(small_cnn((3, 4)))
    whole = apply_masks(model, {"conv1": torch.tensor(False)}).state_dict()
    units = apply_masks(model, {"conv1": torch.zeros(3, dtype=torch.bool)}).state_dict()
    assert all(torch.equal(whole[key], units[key]) for key in whole)


class Block(nn.Module):
    """Layers as attributes, with a nested block."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 2, 3)
        self.skip = nn.Identity()
        self.bn1 = nn.BatchNorm2d(2)
        self.relu = nn.ReLU()
        self.conv2 = nn.Conv2d(2, 2, 3)
        self.pool = nn.MaxPool2d(2)
        self.bn2 = nn.BatchNorm2d(2)
        self.inner = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 2))
        self.bn3 = nn.BatchNorm1d(2)


def test_which_norm_follows():
    block = Block()
    assert following_norm(block, "conv1") is block.bn1
    assert following_norm(block, "conv2") is None
    assert following_norm(block, "inner.0") is block.inner[1]
    assert following_norm(block, "inner.2") is None
    assert following_norm(nn.Linear(2, 2), "") is None


def test_a_norm_of_another_width_does_not_follow():
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(4))
    assert following_norm(model, "0") is None


def momentum_steps(model, after_step, steps=3):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    x = torch.randn(16, 6, generator=torch.Generator().manual_seed(0))
    for _ in range(steps):
        optimizer.zero_grad()
        model(x).square().mean().backward()
        optimizer.step()
        after_step(model)
    return model


def test_momentum_revives_weights_unless_the_mask_is_applied_again():
    torch.manual_seed(0)
    model = mlp(6, 8, 4)
    masks = keep_top(magnitude(model), 0.9)
    sparse = apply_masks(model, masks)
    zeros = sum(int((~mask).sum()) for mask in masks.values())

    def count(model):
        return sum(int((weight == 0).sum()) for weight in prunable(model).values())

    assert count(sparse) == zeros
    assert count(momentum_steps(copy.deepcopy(sparse), lambda _: None)) < zeros / 2
    held = momentum_steps(copy.deepcopy(sparse), partial(apply_masks_, masks=masks))
    assert count(held) == zeros
    assert any((held.state_dict()[key] != sparse.state_dict()[key]).any() for key in masks)


def test_in_place_returns_the_model_itself_and_keeps_its_parameters():
    model = mlp(3, 2)
    weight = model.fc1.weight
    assert apply_masks_(model, {"fc1": torch.tensor([True, False])}) is model
    assert model.fc1.weight is weight
    assert weight.requires_grad
    assert weight.grad_fn is None


@pytest.mark.parametrize("apply", [apply_masks, apply_masks_])
def test_masks_that_do_not_fit_change_nothing(apply):
    model = trained_looking(mlp(4, 3, 2))
    before = copy.deepcopy(model.state_dict())
    good = {"fc1.weight": torch.zeros(3, 4, dtype=torch.bool)}
    for bad in (
        {"fc2": torch.tensor([True, True])},
        {"fc2.weight": torch.zeros(1, 3, dtype=torch.bool)},
        {"fc3.weight": torch.zeros(2, 3, dtype=torch.bool)},
    ):
        with pytest.raises(ValueError, match="fc"):
            apply(model, good | bad)
    assert all(torch.equal(model.state_dict()[key], before[key]) for key in before)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_masks_work_on_the_gpu():
    model = mlp(6, 8, 4)
    expected = apply_masks(model, keep_top(magnitude(model), 0.7))
    there = model.cuda()
    found = apply_masks(there, keep_top(magnitude(there), 0.7))
    assert found.fc1.weight.is_cuda
    assert torch.equal(found.fc1.weight.cpu(), expected.fc1.weight)
