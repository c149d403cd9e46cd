"""A whole network as an ONNX graph, which a runtime without PyTorch can run."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from pruneedu.evaluation import eval_mode

if TYPE_CHECKING:
    from onnx import ModelProto

_TOLERANCE = 1e-4  # of the largest logit: two orders of adding float32 numbers differ by less


def export_onnx(model: nn.Module, example: Tensor) -> ModelProto:
    """Return a network in eval mode as an ONNX graph that computes the same.

    The graph takes batches of any size as `x` and returns `logits`. It is run once in ONNX Runtime,
    on the example, and compared with PyTorch: max |logits - logits'| ≤ 1e-4 · max |logits|.

    Args:
        model: on the CPU; left as it was, its mode too.
        example: a batch [N, …] of float32, N at least 2: a size of 1 would be taken for fixed.

    Returns:
        The graph. `onnx.save(graph, path)` writes it to a file.

    Raises:
        ValueError: an example that is no such batch, or a graph that computes something else.

    Source: ONNX, "Open Neural Network Exchange intermediate representation", 2017.

    >>> graph = export_onnx(nn.Linear(3, 2), torch.rand(4, 3))
    >>> [node.op_type for node in graph.graph.node]
    ['Gemm']
    """
    if not isinstance(example, Tensor) or example.ndim < 2 or len(example) < 2:
        found = list(example.shape) if isinstance(example, Tensor) else type(example).__name__
        raise ValueError(f"the example is {found}: give a batch [N, …] of at least 2 inputs")
    if example.dtype != torch.float32 or example.is_cuda:
        raise ValueError(f"the example is {example.dtype} on {example.device}: give float32 on cpu")
    with eval_mode(model), torch.no_grad():
        program = torch.onnx.export(
            model,
            (example,),
            dynamo=True,
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            input_names=["x"],
            output_names=["logits"],
            verbose=False,
        )
        wanted = model(example)
    graph = program.model_proto
    difference = (onnx_function(graph)(example) - wanted).abs().max().item()
    if not difference <= _TOLERANCE * wanted.abs().max().item():
        raise ValueError(
            f"the graph's outputs differ from the model's by up to {difference:.2g}: "
            "look for a layer that computes with random numbers in eval mode"
        )
    return graph


def onnx_function(graph: ModelProto) -> Callable[[Tensor], Tensor]:
    """Return a graph as a function of one tensor, run by ONNX Runtime on one thread.

    Args:
        graph: made by `export_onnx` or `quantize_onnx`.

    >>> layer = nn.Linear(3, 2)
    >>> run, x = onnx_function(export_onnx(layer, torch.rand(4, 3))), torch.rand(5, 3)
    >>> torch.allclose(run(x), layer(x), atol=1e-5)
    True
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        graph.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return lambda x: torch.from_numpy(session.run(None, {"x": x.contiguous().numpy()})[0])
