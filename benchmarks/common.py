"""What the benchmarks share: spread, the machine in words, tables, the README."""

import os
import platform
import re
from collections.abc import Sequence
from pathlib import Path
from statistics import median, quantiles

from platformdirs import user_cache_path

CACHE = user_cache_path("pruneedu", appauthor=False) / "benchmarks"
README = Path(__file__).resolve().parent.parent / "README.md"


def spread(values: Sequence[float], unit: str = "", digits: int = 2) -> str:
    """Return the median and the quartiles in words.

    >>> spread([1, 2, 3, 4, 5], "s", digits=1)
    '3.0 s (2.0–4.0)'
    """
    low, _, high = quantiles(values, method="inclusive")
    return f"{median(values):.{digits}f}{unit and ' ' + unit} ({low:.{digits}f}–{high:.{digits}f})"


def machine() -> str:
    """Describe the machine by what the figures depend on."""
    import torch

    threads = torch.get_num_threads()
    return (
        f"{os.cpu_count()} cores ({platform.machine()}, {platform.system()}), "
        f"{threads} thread{'s' * (threads > 1)}, Python {platform.python_version()}, "
        f"PyTorch {torch.__version__.partition('+')[0]}"
    )


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table.

    >>> print(table(["network", "ratio"], [["LeNet-5", "12.0"]]))
    | network | ratio |
    |---|---|
    | LeNet-5 | 12.0 |
    """
    lines = [header, ["---"] * len(header), *rows]
    text = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    return text.replace("| --- ", "|---").replace("--- |", "---|")


def publish(name: str, text: str, readme: Path = README) -> None:
    """Put `text` between the README's markers <!-- results:name --> and <!-- /results:name -->.

    Raises:
        ValueError: the README lacks these markers.
    """
    before = readme.read_text(encoding="utf-8")
    begin, end = f"<!-- results:{name} -->", f"<!-- /results:{name} -->"
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    if not pattern.search(before):
        raise ValueError(f"{readme.name} has no place for {name!r}: add the lines {begin} {end}")
    after = pattern.sub(lambda _: f"{begin}\n{text.strip()}\n{end}", before)
    readme.write_text(after, encoding="utf-8")
