"""Notebooks that go wrong, by accident or on purpose, each with the marks that it must get."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

from a_class import OPEN, Made, notebook

from pruneedu.course.exercises import find
from pruneedu.course.stubs import solution, stub

MISSING = (0, "missing")
FAILED = (0, "failed")

_HOSTILE = Path(__file__).with_name("hostile.txt")
_TITLE = re.compile(r"^# %% ([\w-]+): ([\w ]+)$", re.MULTILINE)
_SIGNATURE = "def keep_top(scores, sparsity, scope='global', masks=None):\n"
_WRONG = _SIGNATURE + "    return None\n"


def broken() -> list[Made]:
    """What learners send without ill will: the answers that can be read are graded."""
    return [*_unreadable(), *_odd_names(), *_odd_cells(), *_odd_notebooks(), *_odd_code()]


def hostile() -> Iterator[Made]:
    """Answers that attack the grader: they earn nothing, and the one beside them its points."""
    _, *parts = _TITLE.split(_HOSTILE.read_text(encoding="utf-8"))
    for name, status, source in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
        marks = _only(cubic=_full("cubic"), keep_top=(0, status))
        yield Made(f"hostile-{name}.ipynb", notebook(source, _right("cubic")), marks)


def _unreadable() -> Iterator[Made]:
    for name, content in {
        "empty": b"",
        "blank": b" \n",
        "not-json": b"def keep_top(): pass",
        "number": b"3",
        "old-format": b'{"worksheets": [], "nbformat": 3}',
        "deep-json": b"[" * 1_000_000,
        "latin-1": b'{"cells": ["\xe9"]}',
        "zip": b"PK\x03\x04" + notebook(_right("keep_top")),
    }.items():
        yield Made(f"{name}.ipynb", content)
    yield Made("sent-a.zip", b"PK\x03\x04" + notebook(_right("keep_top")))


def _odd_names() -> Iterator[Made]:
    for name in ("name 'with' \"quotes\" & <b>tags<b>", "two\nlines", "=cmd|' C'!A0"):
        yield Made(f"{name}.ipynb", notebook(_right("keep_top")), _keep_top())
    names = ("magnitude", "keep_top", "cubic")
    marks = _only(**{name: _full(name) for name in names})
    yield Made("several/02.ipynb", notebook(*map(_right, names)), marks)
    yield Made("several/again.ipynb", notebook(_WRONG))
    yield Made("several/requirements.txt", b"torch")


def _odd_cells() -> Iterator[Made]:
    """Duplicated, split, moved and broken cells."""
    keep_top, untouched = _right("keep_top"), stub(find("keep_top")[1].reference)
    for name, cells in {
        "twice": (_WRONG, keep_top),
        "then-the-stub": (keep_top, untouched),
        "joined": ("\n\n".join((untouched, keep_top, "x = 1")),),
        "syntax-error": ("def half(:", keep_top, "x = = 1"),
        "nul": ("a\0b", keep_top),
        "surrogate": ("'\ud800'", keep_top),
        "deep": ("x = " + "-" * 50_000 + "1", "(" * 300 + ")" * 300, "--" * 9_000, keep_top),
        "nested-finally": (_nested_finally(20), keep_top),
        "large-cell": ("x = 1\n" * 20_000, keep_top),
        "magic": ("!pip install x\n%matplotlib inline", "%%time\n" + keep_top, "keep_top?"),
        "endless-cell": ("while True:\n    waits = 1", keep_top, "input()"),
        "try-import": (
            "try:\n    import torch\nexcept ImportError:\n    !pip install torch",
            keep_top.replace("import torch\n", ""),
        ),
        "noisy": tuple(_noisy(keep_top)),
    }.items():
        yield Made(f"{name}.ipynb", notebook(*cells), _keep_top())


def _odd_notebooks() -> Iterator[Made]:
    """Notebooks of other programs, of another kernel, with much output."""
    keep_top = _right("keep_top")
    whole = json.loads(notebook(keep_top))
    markdown = {"cell_type": "markdown", "source": keep_top, "metadata": {}}
    (code,) = json.loads(notebook(_right("magnitude")))["cells"]
    lines = {**whole["cells"][0], "source": keep_top.splitlines(keepends=True)}
    left = {"cells": [markdown, code]}
    yield Made("in-markdown.ipynb", _json(left), _only(magnitude=_full("magnitude")))
    for name, content in {
        "bom": b"\xef\xbb\xbf" + notebook(keep_top),
        "colab": notebook(keep_top, metadata={"id": "x", "outputId": 3}, outputs=None),
        "large": notebook(keep_top, outputs=[{"text": "x" * 12_000_000}]),
        "wrong-kernel": _json({**whole, "metadata": {"kernelspec": 1}, "nbformat": "5"}),
        "lines": _json({"cells": [1, None, {"cell_type": "code", "source": {"a": 1}}, lines]}),
    }.items():
        yield Made(f"{name}.ipynb", content, _keep_top())


def _odd_code() -> Iterator[Made]:
    yield Made("nothing-of-ours.ipynb", notebook("def other():\n    return 1", "print(1)"))
    yield Made("no-code.ipynb", b'{"cells": [1, null]}')
    renamed = _right("keep_top").replace("def keep_top(", "def keep_topp(")
    marks = _only(magnitude=_full("magnitude"))
    yield Made("renamed.ipynb", notebook(_right("magnitude"), renamed), marks)
    above = "def _scale(a, a):\n    pass"
    answer = _SIGNATURE + "    return _scale(scores)"
    yield Made("same-argument.ipynb", notebook(above, answer), _only(keep_top=FAILED))
    answer = _SIGNATURE + "    raise NotImplementedError"
    yield Made("raises.ipynb", notebook(answer), _only(keep_top=OPEN))


def _noisy(keep_top: str) -> Iterator[str]:
    """A right answer that prints and warns, from a helper that is defined after it."""
    yield keep_top.replace("def keep_top(", "def _quiet(").replace(" keep_top(", " _quiet(")
    yield (
        _SIGNATURE + "    print('scores:', 'x' * 5_000_000)\n    _warn()\n"
        "    return _quiet(scores, sparsity, scope, masks)"
    )
    yield "import sys, warnings\ndef _warn():\n    warnings.warn('!')\n    sys.stderr.write('!')"


def _nested_finally(depth: int) -> str:
    """A short cell whose bytecode takes gigabytes: each `finally` is compiled twice."""
    levels = [f"{' ' * i}try:\n{' ' * i} a\n{' ' * i}finally:\n" for i in range(depth)]
    return "".join(levels) + " " * depth + "b"


def _right(name: str) -> str:
    return solution(find(name)[1].reference)


def _full(name: str) -> tuple[int, str]:
    return find(name)[1].points, "passed"


def _keep_top() -> dict[str, tuple[int, str]]:
    return _only(keep_top=_full("keep_top"))


def _only(**held: tuple[int, str]) -> dict[str, tuple[int, str]]:
    """The marks of a notebook of lesson 02 that has these exercises and no other."""
    return {**{e.name: MISSING for e in find("keep_top")[0].exercises}, **held}


def _json(content: dict) -> bytes:
    return json.dumps(content).encode()
