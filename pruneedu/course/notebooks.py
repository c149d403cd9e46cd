"""Read answers out of a notebook: a learner's definitions with what they depend on, and no more."""

import ast
import inspect
import json
import re
import textwrap
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache

from pruneedu.course.exercises import Exercise
from pruneedu.course.stubs import free_names, stub

# CPython parses some lines in quadratic time, so a cell has a limit of its own.
MAX_CELLS, MAX_SOURCE, MAX_CELL = 2_000, 500_000, 50_000
_COMMAND = re.compile(r"(?m)^([ \t]*)(?:(\w+[ \t]*=)[ \t]*)?(?:[!%?].*|[\w.]+\?\??[ \t]*)$")


@dataclass(frozen=True)
class Answer:
    """What a notebook holds for one exercise.

    source: the definition and what it depends on, or "" when there is none; note: a sentence for
    the learner about how it was found, or about a name near the exercise's when it was not.
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
        if len(source) > MAX_CELL:
            notes.append(f"code cell {number} is longer than {MAX_CELL:,} characters")
            continue
        try:
            found += _parse(source)
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
    functions = [s for s in body if isinstance(s, ast.FunctionDef)]
    mine = [s for s in functions if s.name == exercise.name]
    if not mine:
        near = get_close_matches(exercise.name, [s.name[:80] for s in functions[:MAX_CELLS]], 1)
        rename = f" There is `{near[0]}`: is it the one?" if near else ""
        return Answer("", f"There is no function named `{exercise.name}` in the notebook.{rename}")
    touched = [s for s in mine if not is_stub(s, exercise)]
    if not touched:
        return Answer("", untouched=True)
    many = f"`{exercise.name}` is defined {len(mine)} times; the last one counts."
    return Answer(_with_dependencies(touched[-1], body, open_ones), many if len(mine) > 1 else "")


def is_stub(node: ast.stmt, exercise: Exercise) -> bool:
    """Whether a statement is the exercise's untouched stub, whatever its docstring."""
    return isinstance(node, ast.FunctionDef) and _bare(node) == _untouched(exercise.reference)


def is_copy(source: str, exercise: Exercise) -> bool:
    """Whether an answer is the reference's own source, but for docstrings and layout."""
    reference = _bare(ast.parse(inspect.getsource(exercise.reference)).body[0])
    functions = [s for s in ast.parse(source).body if isinstance(s, ast.FunctionDef)]
    return any(_bare(node) == reference for node in functions)


@cache
def _untouched(reference: Callable) -> str:
    return _bare(ast.parse(stub(reference)).body[-1])


def _with_dependencies(node: ast.stmt, body: list[ast.stmt], open_ones: dict[str, Exercise]) -> str:
    """The definition after the statements that bind what it needs, in the notebook's order."""
    bound = defaultdict(list)
    for statement in body:
        for name in _binds(statement):
            bound[name].append(statement)
    chosen, todo, seen, replaced = {id(node)}, [node], set(), []
    while todo:
        for name in sorted(free_names(ast.unparse(todo.pop())) - seen):
            seen.add(name)
            binders = [s for s in bound[name] if s is not node]
            if name in open_ones and binders and all(is_stub(s, open_ones[name]) for s in binders):
                replaced.append(f"from {open_ones[name].reference.__module__} import {name}")
                continue
            if binders and isinstance(binders[-1], ast.FunctionDef | ast.ClassDef):
                binders = binders[-1:]
            fresh = [s for s in binders if id(s) not in chosen]
            chosen.update(map(id, fresh))
            todo += fresh
    chosen.update(id(s) for s in body if isinstance(s, ast.ImportFrom) and s.names[0].name == "*")
    kept = [s for s in body if id(s) in chosen and s is not node]
    return "\n".join([*replaced, *(ast.unparse(s) for s in [*kept, node])])


def _binds(node: ast.stmt) -> set[str]:
    """The names that a top-level statement binds."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {node.name}
    if isinstance(node, ast.Import | ast.ImportFrom):
        return {(a.asname or a.name).split(".")[0] for a in node.names}
    names = set()
    for inner in ast.walk(node):  # a loop, a `try`, an assignment
        if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store):
            names.add(inner.id)
        elif isinstance(inner, ast.FunctionDef | ast.ClassDef):
            names.add(inner.name)
        elif isinstance(inner, ast.alias):
            names.add((inner.asname or inner.name).split(".")[0])
    return names


def _bare(node: ast.stmt) -> str:
    """The syntax tree without docstring, annotations' layout or positions."""
    body = node.body
    if body and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
        body = body[1:]
    return ast.dump(ast.Module(body, [])) + ast.dump(node.args)


def _parse(source: str) -> list[ast.stmt]:
    """Parse a cell; where it is not Python as it stands, without IPython's commands and magics.

    IPython's own transformer takes minutes for a long cell of magics: one notebook would hold up
    a class.
    """
    source = textwrap.dedent(source)
    try:
        return ast.parse(source).body
    except SyntaxError:
        return ast.parse(_COMMAND.sub(_no_command, source)).body


def _no_command(match: re.Match) -> str:
    indent, assigned = match.group(1), match.group(2)
    return f"{indent}{assigned} None" if assigned else f"{indent}pass"


def _joined(source) -> str:
    parts = source if isinstance(source, list) else [source]
    return "".join(part for part in parts if isinstance(part, str))
