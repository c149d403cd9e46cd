"""A layer in integers: 8-bit numbers go in and come out, and 32-bit sums lie between.

The same layer runs by the formula in NumPy, on PyTorch's product of int8 matrices, and in ONNX
Runtime (`integer_onnx`). On the same input the three agree within one unit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from pruneedu.quantization.affine import QParams, to_integers


@dataclass(frozen=True, eq=False)
class IntegerLayer:
    """What a Linear or Conv2d layer is to a processor that computes in integers.

    Attributes:
        weight: int8, the shape of the layer's weight.
        bias: int32 [out], in units of scale_x · scale_w: those of the sums that it joins.
        inputs, weights, outputs: the grids of x, w and y.
        stride, padding: of a convolution.
    """

    weight: Tensor
    bias: Tensor
    inputs: QParams
    weights: QParams
    outputs: QParams
    stride: tuple[int, ...] = ()
    padding: tuple[int, ...] = ()

    @property
    def multiplier(self) -> Tensor:
        """Units of y in a unit of the sums, float64 [out]: scale_x · scale_w / scale_y."""
        scale = (self.inputs.scale.double() * self.weights.scale.double()) / self.outputs.scale
        return scale.expand(len(self.weight))


def integer_layer(
    layer: nn.Linear | nn.Conv2d, inputs: QParams, weights: QParams, outputs: QParams
) -> IntegerLayer:
    """Turn a layer into integers.

    q_w = round(w / scale_w),  q_b = round(b / (scale_x · scale_w)) in 32 bits

    Args:
        layer: Linear, or Conv2d without groups or dilation.
        inputs: grid of x, made by `asymmetric` with 8 bits, one scale.
        weights: grid of w, made by `symmetric`, one scale or one each channel.
        outputs: grid of y, as `inputs`. Laid over the range after a ReLU it does the ReLU's work:
            what is negative is clipped at 0, its lowest number.

    Raises:
        TypeError, ValueError: another layer or another kind of grid, or sums beyond 32 bits.

    Source: Jacob et al., "Quantization and training of neural networks for efficient
    integer-arithmetic-only inference", 2018.

    >>> from pruneedu.quantization.schemes import asymmetric, symmetric
    >>> fc = nn.Linear(2, 1)
    >>> fc.weight.data, fc.bias.data = torch.tensor([[1.27, -0.5]]), torch.tensor([0.3])
    >>> unit = asymmetric(torch.tensor(0.0), torch.tensor(2.55), bits=8)
    >>> grid = symmetric(torch.tensor(-1.27), torch.tensor(1.27), bits=8)
    >>> layer = integer_layer(fc, unit, grid, unit)
    >>> layer.weight.tolist(), layer.bias.tolist()
    ([[127, -50]], [3000])
    """
    _check_layer(layer)
    for name, grid in (("inputs", inputs), ("outputs", outputs)):
        if (grid.lowest, grid.highest) != (0, 255) or grid.scale.ndim or not _holds_zero(grid):
            raise ValueError(f"the grid of the {name} is {grid}: lay one by asymmetric, 8 bits")
    out = len(layer.weight)
    signed = -128 <= weights.lowest < 0 and weights.highest <= 127
    if weights.zero_point.any() or not signed or weights.scale.shape not in ((), (out,)):
        raise ValueError(
            f"the grid of the weights is {weights}: lay one by symmetric, with one scale or {out}"
        )
    bias = torch.zeros(out) if layer.bias is None else layer.bias.detach()
    units = (bias.double() / (inputs.scale.double() * weights.scale.double())).round()
    integers = to_integers(layer.weight.detach(), weights)
    most = (units.abs() + 255 * integers.double().abs().flatten(1).sum(1)).max()
    if not most < 2**31:
        raise ValueError(
            f"a sum reaches {most:.0f} units of {inputs.scale} · {weights.scale.max()}, which 32 "
            "bits do not hold: lay wider grids over the inputs and the weights"
        )
    geometry = (layer.stride, layer.padding) if isinstance(layer, nn.Conv2d) else ()
    return IntegerLayer(integers, units.to(torch.int32), inputs, weights, outputs, *geometry)


def run_numpy(layer: IntegerLayer, q: Tensor) -> Tensor:
    """Run a layer by the formula, in NumPy.

    q_y = clip(round(M · (Σ q_w · (q_x - z_x) + q_b)) + z_y, 0, 255),  M = scale_x scale_w / scale_y

    Args:
        layer: made by `integer_layer`.
        q: the integers of x, uint8 [N, in] or [N, in, H, W].

    Returns:
        The integers of y, uint8 [N, out] or [N, out, H', W'].

    Raises:
        TypeError, ValueError: no uint8, or another shape.

    >>> grid = QParams(torch.tensor(1.0), torch.tensor(0), 0, 255)
    >>> fc = nn.Linear(2, 1, bias=False)
    >>> fc.weight.data = torch.tensor([[2.0, -1.0]])
    >>> weights = QParams(torch.tensor(0.5), torch.tensor(0), -127, 127)
    >>> layer = integer_layer(fc, grid, weights, grid)
    >>> run_numpy(layer, torch.tensor([[10, 5], [5, 20]], dtype=torch.uint8)).tolist()
    [[15], [0]]
    """
    check_input(layer, q)
    x = _rows(layer, q).numpy().astype(np.int32) - layer.inputs.zero_point.item()
    sums = x @ layer.weight.flatten(1).numpy().T.astype(np.int32) + layer.bias.numpy()
    y = np.rint(sums * layer.multiplier.numpy()) + layer.outputs.zero_point.item()
    return _shaped(torch.from_numpy(y.clip(0, 255).astype(np.uint8)), layer, q)


def run_torch(layer: IntegerLayer, q: Tensor) -> Tensor:
    """Run a layer on PyTorch's product of two int8 matrices with int32 sums.

    Σ q_w (q_x - z_x) = Σ q_w (q_x - 128) + (128 - z_x) Σ q_w

    The product takes int8 only, so the unsigned integers of x move by 128 first, and the sums move
    back by what that costs: a number for each unit, known before x is.

    On x86 without the VNNI instructions (most processors before 2020) pairs of products are added
    in 16 bits, and large ones overflow there.

    Args, Returns, Raises: as in `run_numpy`.

    >>> grid = QParams(torch.tensor(0.01), torch.tensor(128), 0, 255)
    >>> weights = QParams(torch.tensor(0.01), torch.tensor(0), -127, 127)
    >>> layer = integer_layer(nn.Linear(9, 4), grid, weights, grid)
    >>> q = torch.full((5, 9), 130, dtype=torch.uint8)
    >>> torch.equal(run_torch(layer, q), run_numpy(layer, q))
    True
    """
    check_input(layer, q)
    x, w = (_rows(layer, q).int() - 128).to(torch.int8), layer.weight.flatten(1)
    moved = (128 - layer.inputs.zero_point) * w.sum(1, dtype=torch.int32)
    # Copies: PyTorch 2.14's product reads the wrong memory of views with one row or column.
    factors = (factor.clone(memory_format=torch.contiguous_format) for factor in (x, w.T))
    sums = torch._int_mm(*factors) + moved + layer.bias
    y = (sums * layer.multiplier).round() + layer.outputs.zero_point
    return _shaped(y.clamp(0, 255).to(torch.uint8), layer, q)


def check_input(layer: IntegerLayer, q: Tensor) -> None:
    """Raise unless these are integers that go into a layer.

    >>> unit = QParams(torch.tensor(1.0), torch.tensor(0), 0, 255)
    >>> weights = QParams(torch.tensor(0.5), torch.tensor(0), -127, 127)
    >>> check_input(integer_layer(nn.Linear(2, 1), unit, weights, unit), torch.ones(3, 2))
    Traceback (most recent call last):
    TypeError: q is torch.float32: give the uint8 of to_integers(x, layer.inputs)
    """
    found = q.dtype if isinstance(q, Tensor) else type(q).__name__
    if found != torch.uint8:
        raise TypeError(f"q is {found}: give the uint8 of to_integers(x, layer.inputs)")
    if q.ndim != layer.weight.ndim or q.shape[1] != layer.weight.shape[1]:
        raise ValueError(
            f"q has shape {tuple(q.shape)}: a weight of shape {tuple(layer.weight.shape)} needs "
            f"{layer.weight.ndim} axes, the second of length {layer.weight.shape[1]}"
        )


def _rows(layer: IntegerLayer, q: Tensor) -> Tensor:
    """Return the inputs of each sum as a row: [N, in], or [N · H' · W', in · kernel]."""
    if layer.weight.ndim == 2:
        return q
    (up, left), (down, right) = layer.padding, layer.stride
    # Around an image lies the number 0, which is not the integer 0.
    padded = nn.functional.pad(q.int(), (left, left, up, up), value=layer.inputs.zero_point.item())
    height, width = layer.weight.shape[2:]
    windows = padded.unfold(2, height, down).unfold(3, width, right)
    return windows.permute(0, 2, 3, 1, 4, 5).reshape(-1, layer.weight[0].numel())


def _shaped(rows: Tensor, layer: IntegerLayer, q: Tensor) -> Tensor:
    """Return rows [N · H' · W', out] as [N, out, H', W'], those of a Linear layer as they are."""
    if layer.weight.ndim == 2:
        return rows
    sizes = zip(q.shape[2:], layer.padding, layer.weight.shape[2:], layer.stride, strict=True)
    height, width = ((size + 2 * pad - kernel) // step + 1 for size, pad, kernel, step in sizes)
    return rows.reshape(len(q), height, width, -1).permute(0, 3, 1, 2)


def _holds_zero(grid: QParams) -> bool:
    """Return whether an integer of a grid with one scale stands for 0."""
    zero = grid.zero_point.item()
    return zero == round(zero) and grid.lowest <= zero <= grid.highest


def _check_layer(layer: nn.Module) -> None:
    if isinstance(layer, nn.Linear):
        return
    if not isinstance(layer, nn.Conv2d):
        raise TypeError(f"the layer is a {type(layer).__name__}: give a Linear or a Conv2d")
    plain = layer.groups == 1 and layer.dilation == (1, 1) and layer.padding_mode == "zeros"
    if not plain or isinstance(layer.padding, str):
        raise ValueError(
            f"{layer} has groups, dilation, or padding other than a number of zeros: "
            "integers take none of these here"
        )
