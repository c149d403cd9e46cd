import copy
import logging

import pytest
import torch
from torch import nn

from pruneedu import models
from pruneedu.storage import export_onnx, onnx_function, quantize_onnx

NETWORKS = {
    "lenet_300_100": (models.lenet_300_100, (1, 28, 28)),
    "lenet5": (models.lenet5, (1, 28, 28)),
    "small_cnn": (lambda: models.small_cnn((4, 8)), (1, 8, 8)),
    "mnist1d_cnn": (lambda: models.mnist1d_cnn(4), (40,)),
}


@pytest.fixture(params=NETWORKS, scope="module")
def network(request):
    torch.manual_seed(0)
    make, shape = NETWORKS[request.param]
    model = make()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    x = torch.rand(64, *shape)
    return model, x, export_onnx(model, x[:2])


def test_the_graph_computes_what_the_network_does_on_batches_of_any_size(network):
    model, x, graph = network
    run = onnx_function(graph)
    wanted = copy.deepcopy(model).eval()(x).detach()
    for size in (1, 7, 64):
        torch.testing.assert_close(run(x[:size]), wanted[:size], atol=1e-5, rtol=1e-4)
    assert model.training


def test_inputs_that_are_followed_for_gradients_are_taken_too():
    layer, x = nn.Linear(3, 2), torch.rand(8, 3, requires_grad=True)
    graph = export_onnx(layer, x)
    assert torch.allclose(onnx_function(graph)(x), layer(x), atol=1e-5)
    assert len(quantize_onnx(graph, x).graph.node) > len(graph.graph.node)


def test_in_int8_the_outputs_move_by_a_few_steps_of_their_grid(network):
    _, x, graph = network
    before = graph.SerializeToString()
    integer = quantize_onnx(graph, x)
    wanted, found = onnx_function(graph)(x), onnx_function(integer)(x)
    assert 0 < (found - wanted).abs().max() < 0.1 * (wanted.max() - wanted.min())
    assert graph.SerializeToString() == before
    weights = {t.data_type: t for t in integer.graph.initializer if len(t.dims) > 1}
    assert set(weights) == {3}  # INT8


def test_a_layer_with_exact_grids_is_exact_in_int8():
    layer = nn.Linear(2, 2, bias=False)
    layer.weight.data = torch.tensor([[127.0, -3.0], [0.5, 12.7]])
    x = torch.tensor([[0.0, 0.0], [255.0, 0.0], [0.0, 255.0]])
    run = onnx_function(quantize_onnx(export_onnx(layer, x), x))
    # One step of the outputs' grid, from -765 to 32385 in 255 steps, is 130.
    assert (run(x) - layer(x)).abs().max() <= 65.01


class Random(nn.Module):
    def forward(self, x):
        return x + torch.rand_like(x)


def test_a_graph_that_computes_something_else_is_refused():
    with pytest.raises(ValueError, match="outputs differ from the model's by up to"):
        export_onnx(Random(), torch.rand(4, 3))


@pytest.mark.parametrize(
    ("example", "said"),
    [
        (torch.rand(1, 3), r"\[1, 3\].*at least 2"),
        (torch.rand(3), r"\[3\]"),
        ([1.0], "list"),
        (torch.rand(4, 3).double(), "float64"),
        (torch.ones(4, 2), r"does not take an example of shape \[4, 2\] \(mat1 and mat2.*\): give"),
        (torch.full((4, 3), torch.nan), "the example holds NaN"),
    ],
)
def test_an_example_that_is_no_batch_is_refused(example, said):
    with pytest.raises(ValueError, match=said) as error:
        export_onnx(nn.Linear(3, 2), example)
    assert "\n" not in str(error.value)


class Branching(nn.Module):
    def forward(self, x):
        return 2 * x if x.sum() > 0 else x


class Two(nn.Module):
    def forward(self, x):
        return x, x


class Infinite(nn.Module):
    def forward(self, x):
        return x / 0


def with_nan():
    layer = nn.Linear(3, 2)
    layer.bias.data[1] = torch.nan
    return layer


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (Branching(), "Branching makes no graph: .*without an `if` on their values"),
        (Two(), "returns a tuple: let it return one tensor"),
        (Infinite(), "hold NaN or infinity: look for their source within it"),
        (with_nan(), "hold NaN or infinity: look for their source in its 'bias'"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_model_that_makes_no_graph_is_refused_in_a_sentence(model, said, capfd):
    heard = logging.root.manager.disable
    with pytest.raises(ValueError, match=said) as error:
        export_onnx(model, torch.rand(4, 3))
    assert capfd.readouterr() == ("", "")
    assert "\n" not in str(error.value)
    assert logging.root.manager.disable == heard


@pytest.mark.parametrize(
    ("x", "said"),
    [
        (torch.rand(4, 5), r"each input of shape \[3\]"),
        (torch.rand(0, 3), r"\[0, 3\]"),
        (torch.rand(4, 3).double(), "float64"),
        (torch.full((4, 3), float("nan")), "NaN"),
        (torch.zeros(4, 3), r"\(4 given\) hold no two inputs that differ"),
        (torch.rand(1, 3), r"\(1 given\) hold no two inputs that differ"),
    ],
)
def test_calibration_data_that_do_not_fit_are_refused(x, said):
    graph = export_onnx(nn.Linear(3, 2), torch.rand(4, 3))
    with pytest.raises(ValueError, match=said):
        quantize_onnx(graph, x)


def test_a_graph_in_int8_is_not_quantized_again():
    x = torch.rand(4, 3)
    integer = quantize_onnx(export_onnx(nn.Linear(3, 2), x), x)
    with pytest.raises(ValueError, match="QuantizeLinear nodes, so it is quantized already"):
        quantize_onnx(integer, x)


@pytest.mark.parametrize("take", [onnx_function, lambda graph: quantize_onnx(graph, torch.ones(2))])
@pytest.mark.parametrize("graph", ["q.onnx", nn.Linear(3, 2)])
def test_what_is_no_graph_is_named_with_what_to_give(take, graph):
    with pytest.raises(TypeError, match=f"the graph is a {type(graph).__name__}: .*onnx.load"):
        take(graph)
