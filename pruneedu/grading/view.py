"""What a learner's code sees of the machine and of the package: no cases, no lessons, no answers."""

import ast
import importlib
import inspect
import linecache
import os
import shutil
import site
import sys
from pathlib import Path
from types import CodeType, FunctionType

from pruneedu.grading.isolation import bind

_PACKAGE = Path(__file__).parents[1]
_LEFT_OUT = ("grading", "course/lessons", "course/notebooks")


def shown_folders() -> list[str]:
    """List the folders that Python and its libraries are read from, none inside another.

    Only the `lib` folders of a prefix: the prefix itself may be a clone, with its solutions.
    """
    prefixes = [sys.prefix, sys.base_prefix, "/usr/local", "/usr", "/"]
    folders = [os.path.join(prefix, lib) for prefix in prefixes for lib in ("lib", "lib64")]
    folders += [path for path in sys.path if path == site.getusersitepackages()]
    chosen: list[str] = []
    for path in sorted(set(filter(os.path.isdir, folders))):
        if not any(map(Path(path).is_relative_to, chosen)):
            chosen.append(path)
    return chosen


def show_package(old: str) -> None:
    """Show the view of the package where the package is, and in place of any other copy of it.

    Arguments: old, the folder in which the machine's own files are seen while the root is furnished.
    """
    write_view(Path(f"{old}{_PACKAGE.resolve()}"), Path("/view"))
    copies = {str(_PACKAGE)}
    for folder in map(Path, shown_folders()):
        for pattern in (_PACKAGE.name, f"python*/*-packages/{_PACKAGE.name}"):
            copies.update(map(str, folder.glob(pattern)))
    for path in sorted(copies):
        bind("/view", path)


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


def close_reference(path: str) -> dict[str, str]:
    """Make the library function at a dotted path raise, by whatever name it is called.

    Returns: the file that defines it, and the text that this file shall read.
    Errors: ValueError when there is no such function.
    """
    module, _, name = path.rpartition(".")
    reference = inspect.unwrap(getattr(importlib.import_module(module), name, None))
    if not isinstance(reference, FunctionType):
        raise ValueError(f"the library has no function {path} to close")
    file = reference.__code__.co_filename
    text = closed_source(Path(file).read_text(encoding="utf-8"), name)
    parts = compile(text, file, "exec", dont_inherit=True).co_consts
    code = (part for part in parts if isinstance(part, CodeType) and part.co_name == name)
    reference.__code__ = next(code)
    linecache.clearcache()
    return {file: text}


def closed_source(source: str, name: str) -> str:
    """Cut the body of the function `name` from Python source; every other line keeps its number.

    >>> print(closed_source("def half(x):\\n    y = x / 2\\n    return y\\n", "half"))
    def half(x):
        raise RuntimeError("half: the library's own version is closed while your answer is graded")
    <BLANKLINE>
    """
    functions = (node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef))
    function = next(function for function in functions if function.name == name)
    first = function.body[1 if ast.get_docstring(function) is not None else 0]
    message = f"{name}: the library's own version is closed while your answer is graded"
    lines = source.splitlines()
    blank = [""] * (function.end_lineno - first.lineno)
    lines[first.lineno - 1 : function.end_lineno] = [f'    raise RuntimeError("{message}")', *blank]
    return "\n".join(lines)
