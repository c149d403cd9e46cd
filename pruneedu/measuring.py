"""What a network costs: counted (theoretical) and measured numbers in one report."""

from __future__ import annotations

import os
import tempfile
import zlib
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from pruneedu.evaluation import accuracy, eval_mode, evaluate, macro_f1
from pruneedu.reports import Report
from pruneedu.timing import latency

if TYPE_CHECKING:
    from pruneedu.data import Split


def measure(
    model: nn.Module,
    example: Tensor,
    data: Split | None = None,
    *,
    name: str = "model",
    repeats: int = 30,
) -> Report:
    """Measure size, work, time and memory and, where data are given, quality.

    Args:
        model: left as it was, its mode too.
        example: a batch [N, …] on the model's device. Latency is taken at batch 1 (its first
            row) and at batch N.
        data: the split on which accuracy and macro F1 are read.
        name: the heading of this model's column in tables.
        repeats: timed passes at each batch size.

    Returns:
        A printable report; ``report.versus(other)`` sets two side by side.

    Raises:
        ValueError: the example is no batch, or lies on another device than the model.

    >>> report = measure(nn.Linear(4, 2), torch.ones(8, 4), repeats=5)
    >>> report.parameters, report.macs, report.dense_bytes
    (10, 8, 40)
    """
    _check_example(model, example)
    parameters, stored = list(model.parameters()), [*model.parameters(), *model.buffers()]
    work, uncounted = macs(model, example[:1])
    disk, deflated = disk_bytes(model)
    quality = (None, None) if data is None else evaluate(model, data, metric=_accuracy_and_f1)
    return Report(
        name=name,
        device=_device(example),
        batch=len(example),
        parameters=sum(parameter.numel() for parameter in parameters),
        nonzeros=sum(int(parameter.count_nonzero()) for parameter in parameters),
        packed_bytes=sum(packed_bytes(tensor) for tensor in stored),
        macs=work,
        uncounted=uncounted,
        dense_bytes=sum(tensor.numel() * tensor.element_size() for tensor in stored),
        disk_bytes=disk,
        deflated_bytes=deflated,
        peak_bytes=peak_memory(model, example),
        latency={len(batch): latency(model, batch, repeats) for batch in (example[:1], example)},
        examples=0 if data is None else len(data.y),
        accuracy=quality[0],
        macro_f1=quality[1],
    )


def packed_bytes(tensor: Tensor) -> int:
    """Bytes of the smallest of three simple lossless stores. Theoretical: nothing is written.

    ``min(s·n, s·k + ⌈n/8⌉, s·k + 4·k)`` for n entries of s bytes, k of them not zero: all
    entries, or those not zero with a bitmap, or those not zero with a 32-bit position each.

    Args:
        tensor: any shape and type.

    Returns:
        Bytes.

    Two numbers of 4 bytes, and 9 bits in 2 bytes:

    >>> packed_bytes(torch.tensor([0.0, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.25]))
    10
    """
    n, k, s = tensor.numel(), int(tensor.count_nonzero()), tensor.element_size()
    return min(s * n, s * k + (n + 7) // 8, s * k + 4 * k)


def disk_bytes(model: nn.Module) -> tuple[int, int]:
    """Bytes of the state dict as a safetensors file, really written, and of that file deflated.

    The file stores a zero like any other number. Deflate (zlib, as in zip and gzip) finds the
    zeros; a program must inflate the file before it can use the weights.

    Args:
        model: any model; its state dict is saved to a temporary folder.

    Returns:
        Bytes on disk, bytes after deflating.

    >>> model = nn.Linear(100, 100)
    >>> nn.init.zeros_(model.weight)[0, 0].item()
    0.0
    >>> disk, deflated = disk_bytes(model)
    >>> disk > 4 * 10_100, deflated < 1_000
    (True, True)
    """
    from safetensors.torch import save_model

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        save_model(model, str(path))
        content = path.read_bytes()
    return len(content), len(zlib.compress(content))


def macs(model: nn.Module, example: Tensor) -> tuple[int, tuple[str, ...]]:
    """Multiply-accumulates of one forward pass, and the module types that are not counted.

    PyTorch's flop counter, halved: it counts one multiplication and one addition per product in
    a convolution or a matrix product. It skips biases, normalisation, activations and pooling.

    Args:
        model: on the device of the example.
        example: a batch [N, …]; the count is for the whole batch.

    Returns:
        The count, and the types of the modules in which nothing was counted.

    >>> macs(nn.Sequential(nn.Linear(4, 3), nn.ReLU()), torch.ones(1, 4))
    (12, ('ReLU',))
    """
    from torch.utils.flop_counter import FlopCounterMode

    with eval_mode(model), torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(example)
    counted, root = counter.get_flop_counts(), type(model).__name__
    skipped = {
        type(module).__name__
        for name, module in model.named_modules()
        if not list(module.children()) and not counted.get(f"{root}.{name}" if name else root)
    }
    return counter.get_total_flops() // 2, tuple(sorted(skipped))


def peak_memory(model: nn.Module, example: Tensor) -> int:
    """Most bytes that one forward pass holds at once, on top of the weights and the input.

    On a CPU the running sum of the profiler's allocations; on a GPU ``max_memory_allocated``.

    Args:
        model: on the device of the example.
        example: a batch [N, …].

    Returns:
        Bytes.

    >>> peak_memory(nn.ReLU(), torch.ones(8, 4))
    128
    """
    with eval_mode(model), torch.no_grad():
        model(example)  # a first call allocates workspaces that later ones do not
        if not example.is_cuda:
            return max(accumulate(_allocations(model, example), initial=0))
        torch.cuda.reset_peak_memory_stats(example.device)
        before = torch.cuda.memory_allocated(example.device)
        model(example)
        return torch.cuda.max_memory_allocated(example.device) - before


def _allocations(model: nn.Module, example: Tensor) -> list[int]:
    # The profiler logs to the process's stderr, which a notebook would show under the cell.
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        model(example)
    events = profiler.profiler.kineto_results.events()
    memory = [event for event in events if event.name() == "[memory]"]
    return [event.nbytes() for event in sorted(memory, key=lambda event: event.start_ns())]


def _accuracy_and_f1(logits: Tensor, y: Tensor) -> tuple[float, float]:
    return accuracy(logits, y), macro_f1(logits, y)


def _device(example: Tensor) -> str:
    if example.is_cuda:
        return torch.cuda.get_device_name(example.device)
    threads = torch.get_num_threads()
    return f"CPU, {threads} thread{'s' if threads > 1 else ''}"


def _check_example(model: nn.Module, example: Tensor) -> None:
    if not isinstance(example, Tensor) or example.ndim < 2 or len(example) == 0:
        found = type(example).__name__
        if isinstance(example, Tensor):
            found = f"a tensor of shape {list(example.shape)}"
        raise ValueError(f"example is {found}; expected a batch [N, …], such as data.x[:64]")
    for name, parameter in model.named_parameters():
        if parameter.device != example.device:
            raise ValueError(
                f"example is on {example.device} and {name} on {parameter.device}; "
                "expected one device: move one of them with .to(device)"
            )
