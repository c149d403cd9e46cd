"""An ONNX graph whose layers compute in 8-bit integers: static quantization in ONNX Runtime."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pruneedu.storage.onnx_graphs import check_graph

if TYPE_CHECKING:
    from onnx import ModelProto

_BATCH = 64


def quantize_onnx(graph: ModelProto, calibration: Tensor) -> ModelProto:
    """Return a graph with int8 weights and int8 values between the layers.

    Weights have a scale for each output channel; the values between the layers have one scale each,
    laid over the range that they take on the calibration data, known before the graph runs: hence
    "static". The graph says with pairs of Quantize and Dequantize (QDQ) where integers lie; the
    runtime puts a layer of integers in the place of each pattern.

    Args:
        graph: made by `export_onnx`; it is not changed.
        calibration: inputs [N, …], float32 on the CPU, of the training split: a few hundred are
            enough.

    Returns:
        The new graph.

    Raises:
        TypeError: no graph. ValueError: a graph that is quantized already, or calibration data that
            it does not take, with NaN or infinity, or without two inputs that differ.

    Source: ONNX Runtime, "Quantize ONNX models"; Jacob et al., "Quantization and training of neural
    networks for efficient integer-arithmetic-only inference", 2018.

    >>> from pruneedu.storage.onnx_graphs import export_onnx
    >>> x = torch.rand(8, 3)
    >>> graph = quantize_onnx(export_onnx(torch.nn.Linear(3, 2), x), x)
    >>> sorted({node.op_type for node in graph.graph.node})
    ['DequantizeLinear', 'Gemm', 'QuantizeLinear']
    """
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    check_graph(graph)
    if done := [node for node in graph.graph.node if "Quantize" in node.op_type]:
        raise ValueError(
            f"the graph has {done[0].op_type} nodes, so it is quantized already: give the one that "
            "export_onnx returned"
        )
    _check_calibration(graph, calibration)

    class Batches(CalibrationDataReader):
        left = iter(calibration.detach().split(_BATCH))

        def get_next(self):
            batch = next(self.left, None)
            return None if batch is None else {"x": batch.numpy()}

    with tempfile.TemporaryDirectory() as folder:
        before, shaped, after = (Path(folder, f"{name}.onnx") for name in ("a", "b", "c"))
        onnx.save(graph, before)
        quant_pre_process(before, shaped, skip_symbolic_shape=True)
        quantize_static(
            shaped,
            after,
            Batches(),
            per_channel=True,
            activation_type=QuantType.QInt8,
            weight_type=QuantType.QInt8,
            # A layer that is silent on all of the calibration data has the range 0 to 0. Without a
            # width its zero point is not at the end of the grid, where it acts as the ReLU.
            extra_options={"MinimumRealRange": 1e-4},
        )
        return onnx.load(after)


def _check_calibration(graph: ModelProto, x: Tensor) -> None:
    sizes = [size.dim_value for size in graph.graph.input[0].type.tensor_type.shape.dim][1:]
    if not isinstance(x, Tensor):
        raise TypeError(f"the calibration data are a {type(x).__name__}: give a tensor")
    if list(x.shape[1:]) != sizes or len(x) == 0 or x.dtype != torch.float32 or x.is_cuda:
        raise ValueError(
            f"the calibration data are {x.dtype} {list(x.shape)} on {x.device}: give float32 "
            f"[N, …] on cpu, each input of shape {sizes}"
        )
    if not x.isfinite().all():
        raise ValueError("the calibration data hold a NaN or an infinity: leave such inputs out")
    if (x == x[0]).all():
        raise ValueError(
            f"the calibration data ({len(x)} given) hold no two inputs that differ, so they "
            "tell no range: give a few hundred of the training split"
        )
