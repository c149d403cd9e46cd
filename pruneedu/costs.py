"""What a network costs in bytes and operations, one number at a time."""

from __future__ import annotations

import os
import tempfile
import zlib
from itertools import accumulate
from pathlib import Path

import torch
from torch import Tensor, nn

from pruneedu.evaluation import eval_mode


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
