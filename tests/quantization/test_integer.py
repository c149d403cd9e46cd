import platform
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from pruneedu.data import Split
from pruneedu.models import lenet5
from pruneedu.quantization.affine import QParams, round_to_grid, to_floats, to_integers
from pruneedu.quantization.calibration import Range, minmax
from pruneedu.quantization.integer import integer_layer, run_numpy, run_torch
from pruneedu.quantization.integer_onnx import run_onnx
from pruneedu.quantization.ranges import as_rows, input_ranges
from pruneedu.quantization.schemes import asymmetric, symmetric, textbook

# Other x86 processors add pairs of products in 16 bits, which overflow.
exact_sums = pytest.mark.skipif(
    platform.machine() in ("x86_64", "AMD64") and not torch.cpu._is_vnni_supported(),
    reason="this processor adds pairs of products in 16 bits",
)
with_onnx = pytest.mark.skipif(
    not (find_spec("onnx") and find_spec("onnxruntime")), reason="no ONNX Runtime"
)
ON_RUNS = pytest.mark.parametrize(
    "run",
    [
        pytest.param(run_torch, marks=exact_sums, id="torch"),
        pytest.param(run_onnx, marks=with_onnx, id="onnx"),
    ],
)


def grid(low, high):
    return asymmetric(torch.tensor(float(low)), torch.tensor(float(high)), 8)


def integers_of(layer, x, per="channel", relu=False):
    """Return the layer in integers, and those of x."""
    y = layer(x).detach()
    inputs = asymmetric(*minmax(x.flatten()), 8)
    outputs = asymmetric(*minmax((y.relu() if relu else y).flatten()), 8)
    weights = symmetric(*minmax(as_rows(layer.weight, per)), 8)
    return integer_layer(layer, inputs, weights, outputs), to_integers(x, inputs)


LAYERS = {
    "linear": (lambda: nn.Linear(30, 7), (11, 30)),
    "no bias": (lambda: nn.Linear(30, 7, bias=False), (11, 30)),
    "conv": (lambda: nn.Conv2d(3, 5, 3), (4, 3, 9, 8)),
    "padded": (lambda: nn.Conv2d(2, 5, (3, 5), stride=(2, 1), padding=(1, 2)), (4, 2, 9, 8)),
}
ON_LAYERS = pytest.mark.parametrize(("make", "shape"), LAYERS.values(), ids=LAYERS)


@ON_RUNS
@ON_LAYERS
@pytest.mark.parametrize("per", ["tensor", "channel"])
@pytest.mark.parametrize("relu", [False, True])
def test_three_ways_agree_within_a_unit(run, make, shape, per, relu):
    torch.manual_seed(0)
    layer, q = integers_of(make(), torch.randn(shape) + 0.3, per, relu)
    expected, found = run_numpy(layer, q), run(layer, q)
    assert found.dtype == expected.dtype == torch.uint8
    assert found.shape == expected.shape
    assert (found.int() - expected.int()).abs().max() <= 1
    assert len(expected.unique()) > 20
    assert expected.max() > 250


@ON_RUNS
def test_the_largest_integers_do_not_overflow(run):
    fc = nn.Linear(800, 3)
    with torch.no_grad():
        fc.weight.copy_(torch.tensor([[1.0], [-1.0], [1.0]]).expand(3, 800))
        fc.bias.zero_()
    x = torch.ones(2, 800)
    x[1, ::2] = 0
    layer, q = integers_of(fc, x)
    assert run_numpy(layer, q).tolist() == [[255, 0, 255], [192, 64, 192]]
    assert (run(layer, q).int() - run_numpy(layer, q).int()).abs().max() <= 1


@ON_LAYERS
def test_integers_compute_what_rounded_floats_do(make, shape):
    torch.manual_seed(0)
    floats, x = make(), torch.randn(shape)
    layer, q = integers_of(floats, x)
    with torch.no_grad():
        floats.weight.copy_(round_to_grid(floats.weight, layer.weights))
        expected = floats(to_floats(q, layer.inputs))
    found = to_floats(run_numpy(layer, q), layer.outputs)
    ends = to_floats(torch.tensor([0, 255]), layer.outputs)
    expected = expected.clamp(*ends)
    # Half a unit of y, and half a unit of the bias.
    assert (found - expected).abs().max() <= 0.51 * layer.outputs.scale


@ON_RUNS
def test_by_hand(run):
    fc = nn.Linear(2, 1)
    fc.weight.data, fc.bias.data = torch.tensor([[2.0, -1.0]]), torch.tensor([0.5])
    weights = QParams(torch.tensor(0.5), torch.tensor(0), -127, 127)
    inputs = QParams(torch.tensor(0.25), torch.tensor(10), 0, 255)
    outputs = QParams(torch.tensor(1.0), torch.tensor(100), 0, 255)
    layer = integer_layer(fc, inputs, weights, outputs)
    assert (layer.weight.tolist(), layer.bias.tolist()) == ([[4, -2]], [4])
    q = torch.tensor([[18, 14]], dtype=torch.uint8)
    # x = (2, 1): 4 · 8 - 2 · 4 + 4 = 28 units of 1/8 make 3.5, which rounds to 4.
    assert run_numpy(layer, q).item() == run(layer, q).item() == 104


@exact_sums
@settings(deadline=None, max_examples=30)
@given(st.data())
def test_numpy_and_torch_give_the_same_integers(data):
    rows, units, n = (data.draw(st.integers(1, 6)) for _ in range(3))
    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 1000)))
    fc = nn.Linear(n, units)
    fc.weight.data = torch.randn(units, n, generator=generator)
    q = torch.randint(256, (n, rows), dtype=torch.uint8, generator=generator).T
    low, high = data.draw(st.floats(-5, 0)), data.draw(st.floats(0.1, 5))
    weights = symmetric(*minmax(as_rows(fc.weight)), 8)
    layer = integer_layer(fc, grid(low, high), weights, grid(-3, 4))
    assert torch.equal(run_numpy(layer, q), run_torch(layer, q))


@ON_RUNS
def test_a_network_in_integers_from_end_to_end(run):
    torch.manual_seed(0)
    model, x = lenet5().eval(), torch.rand(16, 1, 28, 28)
    ranges = input_ranges(model, Split(x, None)) | {"y": Range(*model(x).detach().aminmax())}
    grids = [asymmetric(*one, 8) for one in ranges.values()]
    q = to_integers(x, grids[0])
    for i, name in enumerate(("conv1", "conv2", "fc1", "fc2")):
        weight = model.get_submodule(name).weight
        weights = symmetric(*minmax(as_rows(weight)), 8)
        layer = integer_layer(model.get_submodule(name), grids[i], weights, grids[i + 1])
        q = run(layer, q)
        if name.startswith("conv"):
            q = nn.functional.max_pool2d(q.float(), 2).to(torch.uint8)
        q = q.flatten(1) if name == "conv2" else q
    found, expected = to_floats(q, grids[-1]), model(x).detach()
    assert (found - expected).norm() < 0.05 * (expected - expected.mean(0)).norm() + 0.02
    assert np.corrcoef(found.flatten(), expected.flatten())[0, 1] > 0.99


def test_what_integers_do_not_do_is_refused():
    unit, weights = grid(0, 1), symmetric(torch.tensor(-1.0), torch.tensor(1.0), 8)
    fc = nn.Linear(2, 2)
    with pytest.raises(TypeError, match="is a ReLU: give a Linear or a Conv2d"):
        integer_layer(nn.ReLU(), unit, weights, unit)
    for conv in (
        nn.Conv2d(2, 2, 3, groups=2),
        nn.Conv2d(2, 2, 3, dilation=2),
        nn.Conv2d(2, 2, 3, padding="same"),
        nn.Conv2d(2, 2, 3, padding=1, padding_mode="reflect"),
    ):
        with pytest.raises(ValueError, match="integers take none of these here"):
            integer_layer(conv, unit, weights, unit)
    ends = torch.tensor(-0.3), torch.tensor(1.0)
    for bad in (weights, textbook(*ends, 8), asymmetric(*ends, 4)):
        with pytest.raises(ValueError, match="grid of the inputs is"):
            integer_layer(fc, bad, weights, unit)
        with pytest.raises(ValueError, match="grid of the outputs is"):
            integer_layer(fc, unit, weights, bad)
    wide = QParams(torch.tensor(0.001), torch.tensor(0), -1000, 1000)
    for bad in (asymmetric(*ends, 8), symmetric(-torch.ones(3), torch.ones(3), 8), wide):
        with pytest.raises(ValueError, match="grid of the weights is"):
            integer_layer(fc, unit, bad, unit)
    fc.bias.data.fill_(1e7)
    with pytest.raises(ValueError, match="32 bits do not hold"):
        integer_layer(fc, unit, weights, unit)


def test_sums_that_would_wrap_around_are_refused():
    fc, unit = nn.Linear(4, 1), grid(0, 1)
    weights = symmetric(torch.tensor(-1.0), torch.tensor(1.0), 8)
    fc.weight.data.fill_(1.0)
    unit_of_sums = unit.scale * weights.scale
    # Four products reach 4 · 255 · 127 = 129,540 units, and with the bias 2^31.
    for bias, fits in ((2**31 - 200_000, True), (2**31 - 100_000, False)):
        fc.bias.data.fill_(bias * unit_of_sums)
        if fits:
            integer_layer(fc, unit, weights, unit)
            continue
        with pytest.raises(ValueError, match="which 32 bits do not hold: lay wider grids"):
            integer_layer(fc, unit, weights, unit)


@pytest.mark.parametrize("run", [run_numpy, run_torch, pytest.param(run_onnx, marks=with_onnx)])
def test_only_integers_of_its_shape_go_into_a_layer(run):
    layer, q = integers_of(nn.Linear(5, 3), torch.randn(4, 5))
    for wrong, found in ((torch.rand(4, 5), r"torch\.float32"), (q.int(), r"torch\.int32")):
        with pytest.raises(TypeError, match=f"q is {found}: give the uint8 of to_integers"):
            run(layer, wrong)
    for wrong in (q[:, :4], q[0], q[None]):
        with pytest.raises(ValueError, match=r"needs 2 axes, the second of length 5"):
            run(layer, wrong)
