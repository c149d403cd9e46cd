"""A whole network as an ONNX graph, which a runtime without PyTorch can run."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
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
        ValueError: an example that is no such batch or that the model does not take, NaN or
            infinity, a model that cannot be traced, or a graph that computes something else.

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
    if not example.isfinite().all():
        raise ValueError("the example holds NaN or infinity: give finite numbers")
    with eval_mode(model), torch.no_grad():
        wanted = _outputs(model, example)
        graph = _traced(model, example)
    difference = (onnx_function(graph)(example) - wanted).abs().max().item()
    if not difference <= _TOLERANCE * wanted.abs().max().item():
        raise ValueError(
            f"the graph's outputs differ from the model's by up to {difference:.2g}: "
            "look for a layer that computes with random numbers in eval mode"
        )
    return graph


def _outputs(model: nn.Module, example: Tensor) -> Tensor:
    """Return what the model makes of the example, or raise where that is no graph's matter."""
    try:
        outputs = model(example)
    except (RuntimeError, ValueError, IndexError) as error:
        why = str(error).partition("\n")[0]
        raise ValueError(
            f"the model does not take an example of shape {list(example.shape)} ({why}): "
            "give a batch of its inputs"
        ) from error
    if not isinstance(outputs, Tensor):
        raise ValueError(f"the model returns a {type(outputs).__name__}: let it return one tensor")
    if not outputs.isfinite().all():
        bad = [name for name, t in model.state_dict().items() if not t.isfinite().all()]
        where = f"in its {bad[0]!r}" if bad else "within it"
        raise ValueError(f"the model's outputs hold NaN or infinity: look for their source {where}")
    return outputs


def _traced(model: nn.Module, example: Tensor) -> ModelProto:
    """Return the graph of a model that takes this example and batches of other sizes."""
    try:
        with _quiet():
            program = torch.onnx.export(
                model,
                (example,),
                dynamo=True,
                dynamic_shapes=({0: torch.export.Dim("batch")},),
                input_names=["x"],
                output_names=["logits"],
                verbose=False,
            )
    except torch.onnx.OnnxExporterError as error:
        raise ValueError(
            f"{type(model).__name__} makes no graph: let `forward` do the same steps for all "
            "inputs, without an `if` on their values, and for batches of any size"
        ) from error
    return program.model_proto


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the tracer, which logs and prints pages before it raises."""
    heard = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            yield
    finally:
        logging.disable(heard)


def check_graph(graph: ModelProto) -> None:
    """Raise unless this is a graph, not the path of one."""
    from onnx import ModelProto

    if not isinstance(graph, ModelProto):
        raise TypeError(
            f"the graph is a {type(graph).__name__}: give what export_onnx returns, or "
            "onnx.load(path)"
        )


def onnx_function(graph: ModelProto) -> Callable[[Tensor], Tensor]:
    """Return a graph as a function of one tensor, run by ONNX Runtime on one thread.

    Args:
        graph: made by `export_onnx` or `quantize_onnx`.

    Raises:
        TypeError: no graph.

    >>> layer = nn.Linear(3, 2)
    >>> run, x = onnx_function(export_onnx(layer, torch.rand(4, 3))), torch.rand(5, 3)
    >>> torch.allclose(run(x), layer(x), atol=1e-5)
    True
    """
    import onnxruntime

    check_graph(graph)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        graph.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return lambda x: torch.from_numpy(session.run(None, {"x": x.detach().contiguous().numpy()})[0])
