"""A row: a file on the disk, what it took to make it, and what a fresh process finds in it.

    PRUNEEDU_DATA=FOLDER python -m benchmarks.records.rows FILE SPLIT

prints the error in per cent of the network that is decoded from the file alone.
"""

import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

import pruneedu as pe
from benchmarks import han
from pruneedu.data import Dataset
from pruneedu.storage import decode, network

ROOT = Path(__file__).resolve().parents[2]
Make = Callable[[object, int, Dataset, Path], tuple[bytes, float]]


@dataclass(frozen=True)
class Row:
    """One file.

    recipe, seed: of which it is; path: of the file. What was measured lies in a JSON beside it.
    """

    recipe: object
    seed: int
    path: Path

    def measured(self) -> dict[str, float]:
        """Return minutes of the processor, and errors in per cent by split."""
        return json.loads(self.path.with_suffix(".json").read_text(encoding="utf-8"))


def cached_row(make: Make, recipe: object, seed: int, mnist: Dataset, cache: Path) -> Row:
    """Return a row from the cache, or make the file and keep it."""
    key = hashlib.sha256(f"{recipe}{seed}{len(mnist.train.y)}".encode()).hexdigest()[:8]
    name = re.sub(r"\W+", "-", f"{recipe.name}-{recipe.network}".lower())
    row = Row(recipe, seed, cache / f"{name}-{seed}-{key}.pruneedu")
    if not row.path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        data, minutes = make(recipe, seed, mnist, cache)
        _write_measured(row, {"minutes": minutes})
        row.path.with_suffix(".tmp").write_bytes(data)
        row.path.with_suffix(".tmp").replace(row.path)
    return row


def error(row: Row, split: str) -> float:
    """Return the error in per cent that a fresh process measures, once for each file and split.

    Raises:
        RuntimeError: the process failed.
    """
    known = row.measured()
    if split not in known:
        command = [sys.executable, "-m", __name__, str(row.path.resolve()), split]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"{row.path.name} could not be measured:\n{done.stderr}")
        known[split] = float(done.stdout)
        _write_measured(row, known)
    return known[split]


def dense_network(name: str, seed: int, mnist: Dataset, cache: Path) -> nn.Module:
    """Return the dense network of the same seed, as `benchmarks.han` trains it."""
    (recipe,) = (one for one in han.RECIPES if one.network == name)
    return han.cached_row(recipe, seed, mnist.train, cache.parent / "han")["dense"]


def main(file: str, split: str) -> None:
    """Print the error of a file."""
    torch.set_num_threads(1)
    model = network(decode(Path(file).read_bytes()))
    print(100 * (1 - pe.evaluate(model, getattr(pe.load("mnist"), split))))


def _write_measured(row: Row, found: dict[str, float]) -> None:
    path = row.path.with_suffix(".json")
    path.with_suffix(".new").write_text(json.dumps(found), encoding="utf-8")
    path.with_suffix(".new").replace(path)


if __name__ == "__main__":
    main(*sys.argv[1:])
