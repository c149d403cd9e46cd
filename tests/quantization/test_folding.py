import copy

import pytest
import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from pruneedu.models import mlp, small_cnn
from pruneedu.quantization.aware import straight_through
from pruneedu.quantization.folding import fold_batchnorm
from pruneedu.quantization.ranges import weight_ranges
from pruneedu.quantization.rewriting import plan_grids


def trained_looking(model):
    """Give every parameter and statistic a value that speaks, as after training."""
    generator = torch.Generator().manual_seed(0)
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point():
            positive = torch.rand(tensor.shape, generator=generator) + 0.5
            tensor.copy_(positive if "var" in name else positive - 1)
    return model.eval()


def close(model, folded, x):
    with torch.no_grad():
        torch.testing.assert_close(folded(x), model(x), rtol=1e-5, atol=1e-5)


def test_a_folded_network_computes_what_the_network_does():
    model = trained_looking(small_cnn((4, 6), 4))
    folded = fold_batchnorm(model)
    close(model, folded, torch.randn(5, 1, 8, 8))
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    assert sum(p.numel() for p in folded.parameters()) == (
        sum(p.numel() for p in model.parameters()) - (4 + 6)
    )
    assert not hasattr(folded, "architecture")


def test_pytorch_folds_to_the_same_numbers():
    model = trained_looking(small_cnn((4,), 4))
    expected = fuse_conv_bn_eval(model.conv1, model.bn1)
    folded = fold_batchnorm(model)
    torch.testing.assert_close(folded.conv1.weight, expected.weight)
    torch.testing.assert_close(folded.conv1.bias, expected.bias)
    model = trained_looking(nn.Sequential(nn.Linear(3, 5), nn.BatchNorm1d(5)))
    expected = fuse_linear_bn_eval(*model)
    torch.testing.assert_close(fold_batchnorm(model)[0].weight, expected.weight)
    torch.testing.assert_close(fold_batchnorm(model)[0].bias, expected.bias)


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("bias", [True, False])
def test_with_and_without_bias_and_gain(affine, bias):
    model = trained_looking(
        nn.Sequential(
            *(nn.Unflatten(1, (1, 8)), nn.Conv1d(1, 3, 3, bias=bias)),
            *(nn.Identity(), nn.BatchNorm1d(3, affine=affine), nn.ReLU(), nn.Flatten()),
            *(nn.Linear(18, 4, bias=bias), nn.BatchNorm1d(4, affine=affine)),
        )
    )
    close(model, fold_batchnorm(model), torch.randn(6, 8))


def test_the_model_stays_and_one_without_normalisation_comes_back_as_a_copy():
    model = trained_looking(small_cnn((4,), 4)).train()
    before = copy.deepcopy(model.state_dict())
    assert not fold_batchnorm(model).training
    assert model.training
    assert all(torch.equal(model.state_dict()[key], before[key]) for key in before)
    plain = mlp(4, 2)
    copied = fold_batchnorm(plain)
    assert copied is not plain
    assert copied.architecture == plain.architecture
    assert torch.equal(copied.fc1.weight, plain.fc1.weight)


def test_what_cannot_be_folded_is_named():
    with pytest.raises(ValueError, match="comes right before '0', so it cannot be folded"):
        fold_batchnorm(nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 2)))
    with pytest.raises(ValueError, match="'1' keeps no running statistics"):
        fold_batchnorm(nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2, track_running_stats=False)))


def test_a_weight_that_layers_share_is_folded_for_each_alone():
    model = trained_looking(
        nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 4), nn.BatchNorm1d(4))
    )
    model[2].weight = model[0].weight
    close(model, fold_batchnorm(model), torch.randn(6, 4))


def test_what_does_not_learn_does_not_learn_once_folded():
    model = small_cnn((4,), 4)
    model.conv1.requires_grad_(False)
    learns = {n: p.requires_grad for n, p in fold_batchnorm(model).named_parameters()}
    assert learns == {
        "conv1.weight": False,
        "conv1.bias": False,
        "fc.weight": True,
        "fc.bias": True,
    }


def test_a_weight_on_its_way_to_a_grid_is_not_folded():
    model = small_cnn((4,), 4)
    aware = straight_through(model, plan_grids(weight_ranges(model), bits=8))
    with pytest.raises(ValueError, match=r"the layer before 'bn1' is computed.*: fold first"):
        fold_batchnorm(aware)
