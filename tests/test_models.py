import copy
import json

import pytest
import torch
from torch import nn

from pruneedu.models import build, lenet5, lenet_300_100, mlp, mnist1d_cnn, mnist1d_mlp, small_cnn

# Parameters counted by hand: weights + biases, layer by layer.
COUNTED = {
    "mlp": (lambda: mlp(64, 32, 10), (1, 8, 8), (64 * 32 + 32) + (32 * 10 + 10)),
    "lenet_300_100": (
        lenet_300_100,
        (1, 28, 28),
        (784 * 300 + 300) + (300 * 100 + 100) + (100 * 10 + 10),
    ),
    "lenet5": (
        lenet5,
        (1, 28, 28),
        (20 * 25 + 20) + (50 * 20 * 25 + 50) + (800 * 500 + 500) + (500 * 10 + 10),
    ),
    "small_cnn": (
        small_cnn,
        (1, 28, 28),
        (16 * 9 + 2 * 16) + (32 * 16 * 9 + 2 * 32) + (64 * 32 * 9 + 2 * 64) + (64 * 10 + 10),
    ),
    "mnist1d_mlp": (mnist1d_mlp, (40,), (40 * 100 + 100) + (100 * 100 + 100) + (100 * 10 + 10)),
    "mnist1d_cnn": (
        mnist1d_cnn,
        (40,),
        (25 * 5 + 25) + 2 * (25 * 25 * 3 + 25) + (125 * 10 + 10),
    ),
}
MODELS = pytest.mark.parametrize("name", COUNTED)


def make(name):
    maker, shape, _ = COUNTED[name]
    return maker(), torch.randn(3, *shape)


@MODELS
def test_parameters_as_counted_by_hand(name):
    model, _ = make(name)
    assert sum(p.numel() for p in model.parameters()) == COUNTED[name][2]


def test_counts_as_published():
    published = {
        "lenet_300_100": 266_610,
        "lenet5": 431_080,
        "mnist1d_mlp": 15_210,
        "mnist1d_cnn": 5_210,
    }
    assert {name: COUNTED[name][2] for name in published} == published


@MODELS
def test_each_model_maps_a_batch_to_class_scores(name):
    model, x = make(name)
    scores = model(x)
    assert scores.shape == (3, 10)
    # An output with a ReLU behind it would never be negative.
    assert (scores < 0).any()


@MODELS
def test_a_model_travels_as_architecture_and_state_dict(name):
    model, x = make(name)
    called, config = json.loads(json.dumps(copy.deepcopy(model).architecture))
    again = build(called, **config)
    again.load_state_dict(model.state_dict())
    assert called == name
    assert again.architecture == model.architecture
    assert torch.equal(again.eval()(x), model.eval()(x))


@pytest.mark.parametrize(
    ("name", "config", "parameters"),
    [
        ("mlp", {"sizes": [3, 2]}, 8),
        ("lenet_300_100", {"inputs": 40, "classes": 3}, 40 * 300 + 300 + 30_100 + 303),
        ("small_cnn", {"channels": [2], "classes": 2, "inputs": 3}, 2 * 3 * 9 + 4 + 6),
        ("mnist1d_mlp", {"hidden": 500}, 20_500 + 250_500 + 5_010),
        ("mnist1d_cnn", {"channels": 1, "classes": 2}, 6 + 4 + 4 + 12),
    ],
)
def test_configurations(name, config, parameters):
    assert sum(p.numel() for p in build(name, **config).parameters()) == parameters


@pytest.mark.parametrize(
    ("model", "names"),
    [
        (small_cnn((4, 8)), "conv1 bn1 relu1 pool1 conv2 bn2 relu2 pool flatten fc"),
        (lenet5(), "conv1 pool1 conv2 pool2 flatten fc1 relu1 fc2"),
        (mnist1d_cnn(), "unflatten conv1 relu1 conv2 relu2 conv3 relu3 flatten fc"),
    ],
)
def test_layer_names(model, names):
    assert " ".join(name for name, _ in model.named_children()) == names


def test_mlp_is_affine_maps_with_relu_between():
    model, x = mlp(4, 3, 2), torch.randn(5, 2, 2)
    hidden = (x.reshape(5, 4) @ model.fc1.weight.T + model.fc1.bias).clamp(min=0)
    torch.testing.assert_close(model(x), hidden @ model.fc2.weight.T + model.fc2.bias)


@pytest.mark.parametrize("size", [8, 28, 32])
def test_small_cnn_takes_images_of_any_size(size):
    assert small_cnn(inputs=3)(torch.randn(2, 3, size, size)).shape == (2, 10)


def test_models_hold_only_plain_pytorch_layers():
    for name in COUNTED:
        assert all(type(layer).__module__.startswith("torch.nn") for layer in make(name)[0])
        assert type(make(name)[0]) is nn.Sequential


def test_build_refuses_what_it_does_not_know():
    with pytest.raises(ValueError, match=r"no model 'resnet18': choose one of mlp, lenet_300_100"):
        build("resnet18")
    with pytest.raises(TypeError, match="sizes"):
        build("mlp")
    with pytest.raises(TypeError, match="depth"):
        build("lenet5", depth=3)


@pytest.mark.parametrize("sizes", [(), (4,), (4, 0), (4, -1, 2), (4, 2.5)])
def test_mlp_refuses_sizes_that_make_no_network(sizes):
    with pytest.raises(ValueError, match="give at least 2, each a positive integer"):
        mlp(*sizes)


def test_small_cnn_needs_a_block():
    with pytest.raises(ValueError, match="give at least 1"):
        small_cnn(())
