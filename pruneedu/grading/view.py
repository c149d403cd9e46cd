"""What a learner's code sees of the machine and of the package: no cases, no lessons."""

import ast
import importlib
import inspect
import linecache
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import CodeType, FunctionType

from pruneedu.course.stubs import helpers
from pruneedu.grading.isolation import bind, passing_folder

_PACKAGE = Path(__file__).parents[1]
_MESSAGE = "{name}: the library's own version is closed while your answer is graded"
_LEFT_OUT = ("grading", "course/lessons", "course/notebooks")


def shown_folders() -> list[str]:
    """List the folders that Python and its libraries are read from, none inside another.

    Only the `lib` folders of a prefix, because the prefix may be a clone, with its solutions. A
    link is listed beside what it points to.
    """
    prefixes = [sys.prefix, sys.base_prefix, "/usr/local", "/usr", "/"]
    found = {os.path.join(prefix, lib) for prefix in prefixes for lib in ("lib", "lib64")}
    found |= {path for path in sys.path if path.endswith("-packages")}
    links = {path for path in found if os.path.islink(path)}
    shown: list[str] = []
    for path in sorted(filter(os.path.isdir, found - links | set(map(os.path.realpath, links)))):
        if not any(map(Path(path).is_relative_to, shown)):
            shown.append(path)
    return [*shown, *sorted(links)]


def show_package(old: str) -> None:
    """Show the view of the package in its place, and an empty folder in place of any other copy.

    Args:
        old: the folder in which the machine's own root is still seen (`isolation.new_root`).
    """
    patterns = (_PACKAGE.name, f"python*/*-packages/{_PACKAGE.name}")
    copies = [
        str(copy) for at in shown_folders() for name in patterns for copy in Path(at).glob(name)
    ]
    with passing_folder("/passing"):
        os.mkdir("/passing/empty")
        write_view(Path(f"{old}{os.path.realpath(_PACKAGE)}"), Path("/passing/view"))
        bind("/passing/view", str(_PACKAGE))
        for path in copies:
            if os.path.realpath(path) != os.path.realpath(_PACKAGE):
                bind("/passing/empty", path)


def write_view(source: Path, folder: Path) -> None:
    """Copy a package without what a learner's code may not read, for everybody to read."""
    folder.mkdir()
    for path in sorted(source.rglob("*")):
        inner = path.relative_to(source)
        if "__pycache__" in inner.parts or any(map(inner.is_relative_to, _LEFT_OUT)):
            continue
        if path.is_dir():
            (folder / inner).mkdir()
        else:
            shutil.copyfile(path, folder / inner)


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


def close(closed: Closed) -> Mapping[str, str]:
    """Make library functions raise, by whatever name they are called, and their helpers too.

    Returns:
        The texts that the files which define them shall read, by their names.
    """
    for function, code in closed.codes:
        function.__code__ = code
    for file in closed.texts:
        linecache.cache.pop(file, None)
    return closed.texts


def closed_source(source: str, *names: str) -> str:
    """Cut the bodies of functions from Python source; every other line keeps its number.

    >>> print(closed_source("def half(x):\\n    y = x / 2\\n    return y\\n", "half"))
    def half(x):
        raise RuntimeError("half: the library's own version is closed while your answer is graded")
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
