"""While an answer is checked, the library's own version of it raises."""

import ast
import importlib
import inspect
import linecache
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import CodeType, FunctionType

from pruneedu.course.exercises import Exercise
from pruneedu.course.stubs import helpers

_MESSAGE = "{name}: the library's own version is closed while your answer is checked"
_LESSON_ONLY = "pruneedu.course.lessons"


def in_library(exercise: Exercise) -> bool:
    """Whether learners can import the reference; that of a lesson alone they can not."""
    return not exercise.reference.__module__.startswith(_LESSON_ONLY)


def hidden(exercise: Exercise, copied: bool) -> tuple[str, ...]:
    """Return the dotted paths of what an answer may not call.

    Args:
        exercise: the record.
        copied: whether the answer is a copy of the reference, which may call what that does.
    """
    closed = (exercise.reference,) if in_library(exercise) else ()
    closed += () if copied else exercise.closes
    return tuple(f"{function.__module__}.{function.__name__}" for function in closed)


@dataclass(frozen=True)
class Closed:
    """Library functions and their private helpers, with what shall stand in for their code.

    codes: pairs of a function and its new code.
    texts: what the files that define them shall read, by their names.
    """

    codes: tuple[tuple[FunctionType, CodeType], ...]
    texts: Mapping[str, str]


@cache
def closed_version(paths: tuple[str, ...]) -> Closed:
    """Prepare to close the library functions at dotted paths.

    Raises:
        ValueError: there is no such function.
    """
    by_file: dict[str, dict[str, FunctionType]] = {}
    for path in paths:
        function = _function(path)
        for one in (function, *helpers(function)):
            by_file.setdefault(one.__code__.co_filename, {})[one.__name__] = one
    codes, texts = [], {}
    for file, functions in by_file.items():
        texts[file] = closed_source(Path(file).read_text(encoding="utf-8"), *functions)
        parts = compile(texts[file], file, "exec", dont_inherit=True).co_consts
        new = {part.co_name: part for part in parts if isinstance(part, CodeType)}
        codes += [(one, new[name]) for name, one in functions.items()]
    return Closed(tuple(codes), texts)


@contextmanager
def without(paths: tuple[str, ...]) -> Iterator[None]:
    """Close library functions for a while, here: the notebook's check refuses what the grader does.

    Their private helpers stay open. Other functions need them too, and where an answer makes the
    mistake of calling such a one, the mistake can be named.

    Args:
        paths: of the functions, dotted.
    """
    every = closed_version(paths).codes
    public = [pair for pair in every if not pair[0].__name__.startswith("_")]
    originals = [(function, function.__code__) for function, _ in public]
    try:
        _set_code(public)
        yield
    finally:
        _set_code(originals)


def close(closed: Closed) -> Mapping[str, str]:
    """Make library functions raise, by whatever name they are called, and their helpers too.

    Returns:
        The texts that the files which define them shall read, by their names.
    """
    _set_code(closed.codes)
    for file in closed.texts:
        linecache.cache.pop(file, None)
    return closed.texts


def closed_source(source: str, *names: str) -> str:
    """Cut the bodies of functions from Python source; every other line keeps its number.

    >>> print(closed_source("def half(x):\\n    y = x / 2\\n    return y\\n", "half"))
    def half(x):
        raise RuntimeError("half: the library's own version is closed while your answer is checked")
    <BLANKLINE>
    """
    lines = source.splitlines()
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef) and node.name in names:
            first = node.body[1 if ast.get_docstring(node) is not None else 0]
            raised = f'    raise RuntimeError("{_MESSAGE.format(name=node.name)}")'
            blank = [""] * (node.end_lineno - first.lineno)
            lines[first.lineno - 1 : node.end_lineno] = [raised, *blank]
    return "\n".join(lines)


def _function(path: str) -> FunctionType:
    module, _, name = path.rpartition(".")
    function = inspect.unwrap(getattr(importlib.import_module(module), name, None))
    if not isinstance(function, FunctionType):
        raise ValueError(f"the library has no function {path} to close")
    return function


def _set_code(codes: Iterable[tuple[FunctionType, CodeType]]) -> None:
    for function, code in codes:
        function.__code__ = code
