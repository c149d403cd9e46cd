"""Read answers out of a notebook: a learner's definitions with what they depend on, and no more."""

import ast
import json
from dataclasses import dataclass

from pruneedu.course.exercises import Exercise
from pruneedu.course.stubs import free_names, stub

MAX_CELLS, MAX_SOURCE = 2_000, 2_000_000


@dataclass(frozen=True)
class Answer:
    """What a notebook holds for one exercise.

    source: the definition and what it depends on, or "" when there is none; note: a sentence for the
    learner about how it was found; similar: names near the exercise's, when it was not found.
    """

    source: str
    note: str = ""
    untouched: bool = False


class NotANotebookError(ValueError):
    """A file that cannot be read as a notebook; the sentence says why."""


def code_cells(text: str) -> list[str]:
    """Return the sources of the code cells of a notebook given as JSON text.

    Errors: NotANotebookError with a sentence for a learner.
    """
    if not text.strip():
        raise NotANotebookError("the file is empty")
    try:
        notebook = json.loads(text)
    except (ValueError, RecursionError):
        raise NotANotebookError("the file is not JSON, so it is not a notebook") from None
    cells = notebook.get("cells") if isinstance(notebook, dict) else None
    if not isinstance(cells, list):
        raise NotANotebookError("the file has no list of cells (a notebook of format 4 has one)")
    sources = [
        _joined(cell.get("source"))
        for cell in cells[:MAX_CELLS]
        if isinstance(cell, dict) and cell.get("cell_type") == "code"
    ]
    if sum(map(len, sources)) > MAX_SOURCE:
        raise NotANotebookError(f"its code is longer than {MAX_SOURCE:,} characters")
    return sources


def statements(sources: list[str]) -> tuple[list[ast.stmt], list[str]]:
    """Parse cells one by one; return their top-level statements and a note for each broken cell.

    A cell that does not parse costs itself only.
    """
    found, notes = [], []
    for number, source in enumerate(sources, 1):
        try:
            found += ast.parse(_python(source)).body
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            line = getattr(error, "lineno", None)
            notes.append(
                f"code cell {number} is not valid Python" + (f" (line {line})" if line else "")
            )
    return found, notes


def answer(body: list[ast.stmt], exercise: Exercise, open_ones: dict[str, Exercise]) -> Answer:
    """Find the answer to an exercise among top-level statements.

    Of several definitions the last that is not the untouched stub counts. Names that it needs are
    followed to the statements that bind them; an exercise left open is replaced by the library's.
    """
    mine = [s for s in body if _binds(s) == {exercise.name} and isinstance(s, ast.FunctionDef)]
    if not mine:
        return Answer("", f"There is no function named `{exercise.name}` in the notebook.")
    touched = [s for s in mine if not is_stub(s, exercise)]
    if not touched:
        return Answer("", untouched=True)
    note = (
        f"`{exercise.name}` is defined {len(mine)} times; the last one counts."
        if len(mine) > 1
        else ""
    )
    return Answer(_with_dependencies(touched[-1], body, open_ones), note)


def is_stub(node: ast.stmt, exercise: Exercise) -> bool:
    """Whether a definition is the exercise's untouched stub, whatever its docstring."""
    untouched = ast.parse(stub(exercise.reference)).body[-1]
    return _bare(node) == _bare(untouched)


def is_copy(source: str, exercise: Exercise) -> bool:
    """Whether an answer is the reference's own source, but for docstrings and layout."""
    import inspect

    reference = _bare(ast.parse(inspect.getsource(exercise.reference)).body[0])
    return any(_bare(node) == reference for node in ast.parse(source).body)


def _with_dependencies(node: ast.stmt, body: list[ast.stmt], open_ones: dict[str, Exercise]) -> str:
    """The definition after the statements that bind what it needs, in the notebook's order."""
    chosen, todo, seen = {id(node): node}, [node], set()
    replaced = []
    while todo:
        for name in sorted(free_names(ast.unparse(todo.pop())) - seen):
            seen.add(name)
            binders = [s for s in body if name in _binds(s) and s is not node]
            if name in open_ones and all(is_stub(s, open_ones[name]) for s in binders) and binders:
                replaced.append(f"from {open_ones[name].reference.__module__} import {name}")
                continue
            if binders and isinstance(binders[-1], ast.FunctionDef | ast.ClassDef):
                binders = binders[-1:]
            fresh = [s for s in binders if id(s) not in chosen]
            chosen.update((id(s), s) for s in fresh)
            todo += fresh
    stars = [s for s in body if isinstance(s, ast.ImportFrom) and s.names[0].name == "*"]
    kept = stars + [s for s in body if id(s) in chosen and s is not node and s not in stars]
    return "\n".join([*replaced, *(ast.unparse(s) for s in [*kept, node])])


def _binds(node: ast.stmt) -> set[str]:
    """The names that a top-level statement binds."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {node.name}
    if isinstance(node, ast.Import | ast.ImportFrom):
        return {(a.asname or a.name).split(".")[0] for a in node.names}
    inner = [n for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]
    defined = [n for n in ast.walk(node) if isinstance(n, ast.FunctionDef | ast.ClassDef)]
    return {n.id for n in inner} | {n.name for n in defined}


def _bare(node: ast.stmt) -> str:
    """The syntax tree without docstring, annotations' layout or positions."""
    body = node.body
    if body and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
        body = body[1:]
    return ast.dump(ast.Module(body, [])) + ast.dump(node.args)


def _python(source: str) -> str:
    """Turn IPython's commands and magics into calls, so that the cell parses; `%%time` and such go."""
    from IPython.core.inputtransformer2 import TransformerManager

    lines = source.lstrip().split("\n")
    while lines and lines[0].startswith("%%"):
        lines = lines[1:]
    return TransformerManager().transform_cell("\n".join(lines))


def _joined(source) -> str:
    parts = source if isinstance(source, list) else [source]
    return "".join(part for part in parts if isinstance(part, str))
