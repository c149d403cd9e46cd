"""Read answers out of a notebook: a learner's definitions with what they depend on, and no more."""

import ast
import inspect
import json
import re
import symtable
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches

from pruneedu.course.dependencies import bound_names, with_dependencies
from pruneedu.course.exercises import Exercise
from pruneedu.course.stubs import is_stub, same_code

# CPython parses some lines in quadratic time, so a cell has a limit of its own.
MAX_CELLS, MAX_SOURCE, MAX_CELL = 2_000, 500_000, 50_000
_COMMAND = re.compile(r"(?m)^([ \t]*)(?:(\w+[ \t]*=)[ \t]*)?(?:[!%?].*|[\w.]+\?\??[ \t]*)$")
_OTHER_LANGUAGE = re.compile(
    r"\s*%%(?:!|(?:sh|bash|cmd|html|HTML|javascript|js|latex|markdown|perl|pypy|python[23]?|ruby"
    r"|script|svg|SVG|sx|system|file|writefile)\b)"
)


@dataclass(frozen=True)
class Answer:
    """What a notebook holds for one exercise.

    Attributes:
        source: the definition and what it depends on, or "" when there is none.
        note: a sentence for the learner about how it was found, or why it was not.
        untouched: whether the stub is there and nothing else.
    """

    source: str
    note: str = ""
    untouched: bool = False


class NotANotebookError(ValueError):
    """A file that cannot be read as a notebook; the sentence says why."""


def code_cells(text: str) -> list[str]:
    """Return the sources of the code cells of a notebook.

    Args:
        text: the notebook's JSON; it is not trusted.

    Raises:
        NotANotebookError: with a sentence for a learner.
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
    """Parse cells one by one. A cell that is not Python costs itself only.

    Args:
        sources: of the code cells, in their order.

    Returns:
        The top-level statements of all cells, and a note for each cell that was left out.
    """
    found, notes = [], []
    for number, source in enumerate(sources, 1):
        if len(source) > MAX_CELL:
            notes.append(f"code cell {number} is longer than {MAX_CELL:,} characters")
            continue
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of what the learner wrote
                found += _parse(source)
        except (RecursionError, MemoryError):
            notes.append(f"code cell {number} is nested too deeply to be read")
        except (SyntaxError, ValueError) as error:
            line = getattr(error, "lineno", None)
            place = f" (line {line})" if line else ""
            notes.append(f"code cell {number} is not valid Python{place}")
    return found, notes


def answer(body: list[ast.stmt], exercise: Exercise, open_ones: dict[str, Exercise]) -> Answer:
    """Find the answer to an exercise among top-level statements.

    Of several definitions the last that is not the untouched stub counts. Names that it needs are
    followed to the statements that bind or change them; an exercise left open, and `lesson.yours`,
    stand for the library's functions.

    Args:
        body: the statements of a notebook.
        exercise: the one that is looked for.
        open_ones: the exercises whose functions the library has, by name.
    """
    functions = [s for s in body if isinstance(s, ast.FunctionDef)]
    mine = [s for s in functions if s.name == exercise.name]
    if not mine:
        return Answer("", _why_missing(body, exercise.name))
    touched = [s for s in mine if not is_stub(s, exercise.reference)]
    if not touched:
        return Answer("", untouched=True)
    note = ""
    if len(touched) > 1:
        note = f"`{exercise.name}` is defined {len(touched)} times; the last one counts."
    elif mine[-1] is not touched[0]:
        note = f"Below your `{exercise.name}` its empty cell stands again; yours counts."
    return Answer(with_dependencies(touched[-1], body, open_ones), note)


def _why_missing(body: list[ast.stmt], name: str) -> str:
    """Say what the notebook has in place of a function."""
    says = f"There is no function named `{name}` in the notebook."
    for statement in reversed(body):
        if name in bound_names(statement) and not isinstance(
            statement, ast.Import | ast.ImportFrom
        ):
            kind = "inside another statement"
            if isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign):
                kind = "as a value"
            elif isinstance(statement, ast.ClassDef | ast.AsyncFunctionDef):
                kind = "as a class" if isinstance(statement, ast.ClassDef) else "with `async`"
            return f"{says} It is defined {kind}: begin a line of its own with `def {name}(`."
    near = [s.name[:80] for s in body if isinstance(s, ast.FunctionDef)][:MAX_CELLS]
    near = get_close_matches(name, near, 1)
    return f"{says} There is `{near[0]}`: is it the one?" if near else says


def is_copy(source: str, exercise: Exercise) -> bool:
    """Whether an answer is the reference's own source, but for docstrings and layout."""
    reference = ast.parse(inspect.getsource(exercise.reference)).body[0]
    functions = [s for s in ast.parse(source).body if isinstance(s, ast.FunctionDef)]
    return any(same_code(node, reference) for node in functions)


def _parse(source: str) -> list[ast.stmt]:
    """Parse a cell; where it is not Python as it stands, without IPython's commands and magics.

    IPython's own transformer takes minutes for a long cell of magics: one notebook would hold up
    a class.
    """
    if _OTHER_LANGUAGE.match(source):
        return []
    indent = re.match(r"\s*^([ \t]*)(?=\S)|", source, re.MULTILINE).group(1) or ""
    source = re.sub(f"(?m)^{indent}", "", source)  # IPython takes the first line's from all lines
    try:
        tree = ast.parse(source)
    except SyntaxError:
        source = _COMMAND.sub(_no_command, source)
        tree = ast.parse(source)
    # What the parser lets pass and a cell does not: f(a, a), `return` at the left margin. Not by
    # `compile`, which needs gigabytes for twenty nested `finally`.
    symtable.symtable(source, "<cell>", "exec")
    for node in _outside_functions(tree):
        if isinstance(node, ast.Return | ast.Yield | ast.YieldFrom):
            raise SyntaxError("outside of a function", ("<cell>", node.lineno, 0, ""))
    ast.unparse(tree)  # as the answer will be: it is the first to find too deep what is too deep
    return tree.body


def _outside_functions(tree: ast.Module) -> Iterator[ast.AST]:
    todo: list[ast.AST] = [tree]
    while todo:
        node = todo.pop()
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            todo += ast.iter_child_nodes(node)


def _no_command(match: re.Match) -> str:
    indent, assigned = match.group(1), match.group(2)
    return f"{indent}{assigned} None" if assigned else f"{indent}pass"


def _joined(source) -> str:
    parts = source if isinstance(source, list) else [source]
    return "".join(part for part in parts if isinstance(part, str))
