"""The same integer layer in ONNX Runtime, which knows nothing of this project's formula."""

from __future__ import annotations

import numpy as np
from torch import Tensor, from_numpy

from pruneedu.quantization.integer import IntegerLayer, check_input


def run_onnx(layer: IntegerLayer, q: Tensor) -> Tensor:
    """Run a layer in ONNX Runtime, which is told what the integers mean, not how to compute.

    The graph takes q_x, q_w and q_b to floats, applies the layer, and rounds to q_y. The runtime
    finds this pattern and puts a layer of integers in its place.

    Args:
        layer: made by `integer_layer`.
        q: the integers of x, uint8 [N, in] or [N, in, H, W].

    Returns:
        The integers of y, uint8 [N, out] or [N, out, H', W'].

    Raises:
        TypeError, ValueError: no uint8, or another shape.

    Source: ONNX Runtime, "Quantize ONNX models", the QDQ format.
    """
    import onnxruntime

    check_input(layer, q)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    # Without VNNI, x86 adds pairs of 8-bit products in 16 bits, which overflow at their largest.
    options.add_session_config_entry("session.x64quantprecision", "1")
    session = onnxruntime.InferenceSession(
        _graph(layer).SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return from_numpy(session.run(None, {"q_x": q.contiguous().numpy()})[0])


def _graph(layer: IntegerLayer):
    """Return the ONNX model: dequantize x, w and b, apply the layer, quantize y."""
    from onnx import TensorProto, helper, numpy_helper

    scale_x, scale_y = (grid.scale.float().numpy() for grid in (layer.inputs, layer.outputs))
    scale_w = layer.weights.scale.float().expand(len(layer.weight)).numpy()
    constants = {
        "q_w": layer.weight.numpy(),
        "q_b": layer.bias.numpy(),
        "scale_x": scale_x,
        "scale_w": scale_w,
        "scale_b": scale_x * scale_w,
        "scale_y": scale_y,
        "zero_w": np.zeros(len(scale_w), np.int8),
        "zero_b": np.zeros(len(scale_w), np.int32),
        "zero_x": layer.inputs.zero_point.numpy().astype(np.uint8),
        "zero_y": layer.outputs.zero_point.numpy().astype(np.uint8),
    }
    if layer.weight.ndim == 2:
        apply = helper.make_node("Gemm", ["x", "w", "b"], ["y"], transB=1)
    else:
        pads = [*layer.padding, *layer.padding]
        apply = helper.make_node(
            "Conv", ["x", "w", "b"], ["y"], strides=list(layer.stride), pads=pads
        )
    nodes = [
        helper.make_node("DequantizeLinear", ["q_x", "scale_x", "zero_x"], ["x"]),
        helper.make_node("DequantizeLinear", ["q_w", "scale_w", "zero_w"], ["w"], axis=0),
        helper.make_node("DequantizeLinear", ["q_b", "scale_b", "zero_b"], ["b"], axis=0),
        apply,
        helper.make_node("QuantizeLinear", ["y", "scale_y", "zero_y"], ["q_y"]),
    ]
    rank = layer.weight.ndim
    ends = [
        helper.make_tensor_value_info(name, TensorProto.UINT8, [None] * rank)
        for name in ("q_x", "q_y")
    ]
    tensors = [numpy_helper.from_array(np.asarray(c), name) for name, c in constants.items()]
    graph = helper.make_graph(nodes, "integer_layer", ends[:1], ends[1:], tensors)
    # The versions of 2021, which every later runtime reads.
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 13)])
