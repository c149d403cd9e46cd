"""What a network costs: counted (theoretical) and measured numbers in one report."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from pruneedu.costs import disk_bytes, macs, packed_bytes, peak_memory
from pruneedu.evaluation import accuracy, evaluate, macro_f1
from pruneedu.reports import Comparison, Report
from pruneedu.timing import compare_latency, latency

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


def compare(
    before: nn.Module,
    after: nn.Module,
    example: Tensor,
    data: Split | None = None,
    *,
    names: tuple[str, str] = ("before", "after"),
    repeats: int = 30,
) -> Comparison:
    """Measure two models side by side, their latencies in turn.

    Args:
        before: the model compared with.
        after: the model made from it.
        example: a batch [N, …] that both accept, on their device.
        data: the split on which both are judged.
        names: the headings of the two columns.
        repeats: timings of each model at each batch size.

    Returns:
        The comparison of two reports, with a speed-up by batch size from paired timings.

    Raises:
        ValueError: as for :func:`measure`.

    >>> wide, narrow = nn.Linear(8, 8), nn.Linear(8, 2)
    >>> compare(wide, narrow, torch.ones(4, 8), repeats=5).gains()["MACs per example"]
    4.0
    """
    reports = [
        measure(model, example, data, name=name, repeats=repeats)
        for model, name in zip((before, after), names, strict=True)
    ]
    speedups = {
        len(batch): compare_latency(before, after, batch, repeats)
        for batch in (example[:1], example)
    }
    return Comparison(*reports, speedups)


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
