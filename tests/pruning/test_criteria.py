import pytest
import torch
from torch import nn
from torch.nn.utils import prune

from pruneedu.models import mlp, mnist1d_cnn, small_cnn
from pruneedu.pruning import apply_masks, batchnorm_scale, keep_top, magnitude, random
from pruneedu.tensors import per_unit, prunable


def test_magnitude_by_hand():
    model = mlp(2, 2)
    with torch.no_grad():
        model.fc1.weight.copy_(torch.tensor([[-3.0, 0.5], [0.0, 2.0]]))
    assert magnitude(model)["fc1.weight"].tolist() == [[3.0, 0.5], [0.0, 2.0]]


def test_magnitude_is_a_new_tensor():
    model = mlp(2, 2)
    magnitude(model)["fc1.weight"].fill_(7)
    assert not (model.fc1.weight == 7).any()


@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("make", [lambda: mlp(7, 6, 3), mnist1d_cnn], ids=["mlp", "mnist1d_cnn"])
def test_norms_of_units_drop_what_pytorch_drops(make, p):
    model = make()
    reduce = torch.linalg.vector_norm if p == 2 else torch.sum
    masks = keep_top(per_unit(magnitude(model), model, reduce), 0.5, scope="layer")
    for name, mask in masks.items():
        layer = prune.ln_structured(model.get_submodule(name), "weight", amount=0.5, n=p, dim=0)
        assert torch.equal(layer.weight_mask.flatten(1)[:, 0].bool(), mask)


def test_batchnorm_scale_by_hand():
    model = small_cnn((2, 3), classes=2)
    with torch.no_grad():
        model.bn1.weight.copy_(torch.tensor([-3.0, 0.5]))
        model.bn2.weight.copy_(torch.tensor([1.0, 0.0, -0.25]))
    scores = {name: score.tolist() for name, score in batchnorm_scale(model).items()}
    assert scores == {"conv1": [3.0, 0.5], "conv2": [1.0, 0.0, 0.25]}


def test_units_of_scale_zero_and_shift_zero_can_go_without_a_trace():
    model = small_cnn((6, 5)).eval()
    with torch.no_grad():
        model.bn1.weight[[1, 4]] = 0
        model.bn2.weight[[0]] = 0
    masks = keep_top(batchnorm_scale(model), 3 / 11)
    assert [mask.sum() for mask in masks.values()] == [4, 4]
    x = torch.rand(3, 1, 8, 8)
    assert torch.equal(apply_masks(model, masks)(x), model(x))


@pytest.mark.parametrize(
    "model", [mlp(4, 3, 2), nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2, affine=False))]
)
def test_batchnorm_scale_needs_a_scale(model):
    with pytest.raises(ValueError, match="no layer of this model is followed by a batch norm"):
        batchnorm_scale(model)


def test_random_repeats_with_its_seed_and_only_then():
    model = small_cnn((4, 8))
    first, again, other = random(model, seed=1), random(model, seed=1), random(model, seed=2)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not any(torch.equal(first[name], other[name]) for name in first)


def test_random_leaves_the_global_generator_alone():
    model = mlp(4, 3, 2)
    before = torch.get_rng_state()
    random(model)
    assert torch.equal(torch.get_rng_state(), before)


def test_random_is_uniform():
    scores = random(mlp(200, 100, 2))["fc1.weight"]
    assert scores.min() >= 0
    assert scores.max() < 1
    # The mean of 20,000 draws has a standard error of 0.002.
    assert scores.mean().item() == pytest.approx(0.5, abs=0.01)
    assert scores.var().item() == pytest.approx(1 / 12, abs=0.005)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_random_is_the_same_on_the_gpu():
    model = mlp(4, 3, 2)
    here, there = random(model), random(model.cuda())
    assert all(score.is_cuda for score in there.values())
    assert all(torch.equal(here[name], there[name].cpu()) for name in prunable(model))
