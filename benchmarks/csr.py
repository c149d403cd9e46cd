"""How sparse a matrix must be before a sparse product is faster than the dense one.

    python -m benchmarks.csr [--quick] [--write]

The layer computes x · Wᵀ on one thread, with W dense or in compressed sparse rows (CSR), in PyTorch
and in SciPy. The figure shows how many times faster CSR is, against the sparsity of W; at the black
line it breaks even.
"""

import argparse
import warnings
from collections.abc import Callable
from statistics import median
from time import perf_counter

import torch

from benchmarks.common import README, machine, publish, table
from pruneedu import plotting
from pruneedu.plotting.notebook import png

SIZES = ((300, 784), (1024, 1024))
BATCHES = (1, 64)
SPARSITIES = (0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99)
SHORTEST = 1e-3  # seconds that one timing lasts


def products(size: tuple[int, int], batch: int, sparsity: float) -> dict[str, Callable]:
    """Return the same product as functions without arguments, the dense one first."""
    from scipy.sparse import csr_matrix

    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(size, generator=generator)
    zeros = torch.randperm(weight.numel(), generator=generator)[: round(sparsity * weight.numel())]
    weight.view(-1)[zeros] = 0
    x = torch.randn(batch, size[1], generator=generator)
    columns = x.T.contiguous()  # a column for each example: the layout that CSR reads in order
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta")
        rows = weight.to_sparse_csr()
    table_of_rows = csr_matrix(weight.numpy())
    return {
        "dense": lambda: x @ weight.T,
        "PyTorch": lambda: rows @ columns,
        "SciPy": lambda: table_of_rows @ columns.numpy(),
    }


def ratios(runs: dict[str, Callable], repeats: int) -> dict[str, float]:
    """Return how many times faster than the first each of the others is: median of the pairs."""
    passes = {name: max(1, round(SHORTEST / _seconds(run, 3))) for name, run in runs.items()}
    taken = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            taken[name].append(_seconds(run, passes[name]))
    dense, *others = taken
    return {
        name: median(a / b for a, b in zip(taken[dense], taken[name], strict=True))
        for name in others
    }


def _seconds(run: Callable, passes: int) -> float:
    started = perf_counter()
    for _ in range(passes):
        run()
    return (perf_counter() - started) / passes


def curves(repeats: int) -> dict[str, list[float]]:
    """Return by the name of a curve how many times faster CSR is, at each sparsity."""
    found: dict[str, list[float]] = {}
    for size in SIZES:
        for batch in BATCHES:
            for sparsity in SPARSITIES:
                for name, ratio in ratios(products(size, batch, sparsity), repeats).items():
                    label = f"{name}, {size[0]} × {size[1]}, batch {batch}"
                    found.setdefault(label, []).append(ratio)
    return found


def break_even(faster: list[float]) -> str:
    """Return the sparsity at which a curve reaches 1 and stays there, on straight lines between.

    >>> break_even([0.1, 0.2, 0.5, 0.8, 1.2, 2.0, 3.0])
    '92.5 %'
    >>> break_even([0.1] * 7)
    'above 99 %'
    """
    below = [i for i, ratio in enumerate(faster) if ratio < 1]
    if not below:
        return f"below {100 * SPARSITIES[0]:.0f} %"
    last = below[-1]
    if last == len(SPARSITIES) - 1:
        return f"above {100 * SPARSITIES[-1]:.0f} %"
    share = (1 - faster[last]) / (faster[last + 1] - faster[last])
    level = SPARSITIES[last] + share * (SPARSITIES[last + 1] - SPARSITIES[last])
    return f"{100 * level:.1f} %"


def report(found: dict[str, list[float]]) -> str:
    """Draw the larger matrix, and return the figure and the break-even points as Markdown."""
    size = " × ".join(map(str, SIZES[-1]))
    series = {
        name.replace(f"{size}, ", ""): (list(SPARSITIES), faster)
        for name, faster in found.items()
        if size in name
    }
    labels = ("sparsity of the weight", "times faster than the dense product")
    figure = plotting.curves(series, *labels, f"CSR, {size}, one thread", percent="x")
    (panel,) = figure.axes
    panel.set_yscale("log")
    panel.set_yticks(ticks := (0.2, 0.5, 1, 2, 5, 10, 20), list(map(str, ticks)))
    panel.axhline(1, color="black", linewidth=1)
    path = README.parent / "docs" / "csr.png"
    path.write_bytes(png(figure))
    rows = [[name, break_even(faster), f"{faster[-1]:.1f}"] for name, faster in found.items()]
    header = ["CSR in", "breaks even at", f"times faster at {100 * SPARSITIES[-1]:.0f} %"]
    return (
        f"![{figure.alt}](docs/{path.name})\n\n{table(header, rows)}\n\n"
        f"Zeros at random places; medians of timings in turn. {machine()}."
    )


def main(arguments: list[str] | None = None) -> None:
    """Measure, print, and write figure and table into the README if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few timings; no figure")
    parser.add_argument("--write", action="store_true", help="write them into docs and README")
    options = parser.parse_args(arguments)
    if options.quick and options.write:
        parser.error("the README shows the full run: leave out --quick or --write")
    torch.set_num_threads(1)
    found = curves(3 if options.quick else 101)
    for name, faster in found.items():
        print(f"{name}: {', '.join(f'{ratio:.2f}' for ratio in faster)}; {break_even(faster)}")
    if options.write:
        publish("csr", report(found))


if __name__ == "__main__":
    main()
