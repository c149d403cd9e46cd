"""Notebooks that go wrong, by accident or on purpose, each with the marks that it must get."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

from a_class import OPEN, Made, notebook

from pruneedu.course.exercises import Exercise, find
from pruneedu.course.stubs import solution, stub

MISSING = (0, "missing")
FAILED = (0, "failed")

_SIGNATURE = "def keep_top(scores, sparsity, scope='global', masks=None):\n"
_HOSTILE = Path(__file__).with_name("hostile.txt")
_TITLE = re.compile(r"^# %% ([\w-]+): ([\w ]+)$", re.MULTILINE)


def _exercise(name: str) -> Exercise:
    return find(name)[1]


def _full(name: str) -> tuple[int, str]:
    return _exercise(name).points, "passed"


def broken() -> list[Made]:
    """What learners send without ill will: the answers that can be read are graded."""
    lesson = find("keep_top")[0]
    names = [exercise.name for exercise in lesson.exercises]
    right = {name: solution(_exercise(name).reference) for name in names}
    marks = {name: _full(name) for name in names}
    alone = {**dict.fromkeys(names, MISSING), "keep_top": _full("keep_top")}
    keep_top, untouched = right["keep_top"], stub(_exercise("keep_top").reference)
    wrong = _SIGNATURE + "    return None\n"
    markdown = {"cell_type": "markdown", "source": keep_top, "metadata": {}}
    whole = json.loads(notebook(*right.values()))
    colab = json.loads(notebook(*right.values(), metadata={"id": "x", "outputId": 3}, outputs=None))
    bloated = json.loads(notebook(*right.values(), outputs=[{"text": "x" * 3_000_000}]))
    deep = "x = " + "-" * 50_000 + "1"
    return [
        Made("empty.ipynb", b""),
        Made("blank.ipynb", b" \n"),
        Made("not-json.ipynb", b"def keep_top(): pass"),
        Made("number.ipynb", b"3"),
        Made("old-format.ipynb", b'{"worksheets": [], "nbformat": 3}'),
        Made("odd-cells.ipynb", b'{"cells": [1, null, {"cell_type": "code", "source": {"a": 1}}]}'),
        Made("deep-json.ipynb", b"[" * 1_000_000),
        Made("latin-1.ipynb", notebook("s = 'e'").replace(b"'e'", "'é'".encode("latin-1"))),
        Made("nothing-of-ours.ipynb", notebook("def other():\n    return 1", "print(1)")),
        Made("zip.ipynb", b"PK\x03\x04" + notebook(keep_top)),
        Made("sent-a.zip", b"PK\x03\x04" + notebook(keep_top)),
        Made("several/02.ipynb", notebook(*right.values()), marks),
        Made("several/again.ipynb", notebook(wrong)),
        Made("several/requirements.txt", b"torch"),
        Made("name 'with' \"quotes\" & <b>tags<b>.ipynb", notebook(keep_top), alone),
        Made("two\nlines.ipynb", notebook(keep_top), alone),
        Made("=cmd|' C'!A0.ipynb", notebook(keep_top), alone),
        Made("bom.ipynb", b"\xef\xbb\xbf" + notebook(keep_top), alone),
        Made("colab.ipynb", json.dumps(colab).encode(), marks),
        Made("bloated.ipynb", json.dumps(bloated).encode(), marks),
        Made("joined.ipynb", notebook("\n\n".join(right.values())), marks),
        Made("reversed.ipynb", notebook(*reversed(right.values())), marks),
        Made(
            "wrong-kernel.ipynb",
            json.dumps({**whole, "metadata": {"kernelspec": 1}}).encode(),
            marks,
        ),
        Made("twice.ipynb", notebook(wrong, keep_top), alone),
        Made("then-the-stub.ipynb", notebook(keep_top, untouched), alone),
        Made(
            "in-markdown.ipynb",
            json.dumps({"cells": [markdown, *whole["cells"][1:2]]}).encode(),
            alone,
        ),
        Made(
            "renamed.ipynb",
            notebook(*right.values()).replace(b"def keep_top(", b"def keep_topp("),
            {**marks, "keep_top": MISSING},
        ),
        Made("syntax-error.ipynb", notebook("def half(:", keep_top, "x = = 1"), alone),
        Made("nul.ipynb", notebook("a\0b", keep_top), alone),
        Made("surrogate.ipynb", notebook("'\ud800'", keep_top), alone),
        Made("deep.ipynb", notebook(deep, "(" * 300 + ")" * 300, keep_top), alone),
        Made(
            "magic.ipynb",
            notebook("!pip install x\n%matplotlib inline", "%%time\n" + keep_top, "keep_top?"),
            alone,
        ),
        Made(
            "endless-cell.ipynb", notebook("while True:\n    waits = 1", keep_top, "input()"), alone
        ),
        Made(
            "try-import.ipynb",
            notebook(
                "try:\n    import torch\nexcept ImportError:\n    !pip install torch",
                keep_top.replace("import torch\n", ""),
            ),
            alone,
        ),
        Made("noisy.ipynb", notebook(*_noisy(keep_top)), alone),
        Made(
            "return-outside.ipynb",
            notebook("def _scale(a, a):\n    pass", _SIGNATURE + "    return _scale(scores)"),
            {**dict.fromkeys(names, MISSING), "keep_top": FAILED},
        ),
        Made(
            "raises.ipynb",
            notebook(_SIGNATURE + "    raise NotImplementedError('soon')"),
            {**dict.fromkeys(names, MISSING), "keep_top": OPEN},
        ),
    ]


def _noisy(keep_top: str) -> Iterator[str]:
    """A right answer that prints and warns, from a helper that is defined after it."""
    yield keep_top.replace("def keep_top(", "def _quiet(").replace(" keep_top(", " _quiet(")
    yield (
        _SIGNATURE + "    print('scores:', 'x' * 5_000_000)\n    _warn()\n"
        "    return _quiet(scores, sparsity, scope, masks)"
    )
    yield "import sys, warnings\ndef _warn():\n    warnings.warn('!')\n    sys.stderr.write('!')"


def hostile() -> list[Made]:
    """Answers that attack the grader: they earn nothing, and the one beside them its points."""
    beside = solution(_exercise("magnitude").reference)
    others = {exercise.name: MISSING for exercise in find("keep_top")[0].exercises}
    _, *parts = _TITLE.split(_HOSTILE.read_text(encoding="utf-8"))
    found = []
    for name, status, source in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
        marks = {**others, "magnitude": _full("magnitude"), "keep_top": (0, status)}
        found.append(Made(f"hostile-{name}.ipynb", notebook(source, beside), marks))
    return found
