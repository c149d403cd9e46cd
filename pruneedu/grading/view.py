"""What a learner's code sees of the machine and of the package: no cases, no lessons."""

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
    found |= {path for path in sys.path if path == site.getusersitepackages()}
    links = {path for path in found if os.path.islink(path)}
    shown: list[str] = []
    for path in sorted(filter(os.path.isdir, found - links | set(map(os.path.realpath, links)))):
        if not any(map(Path(path).is_relative_to, shown)):
            shown.append(path)
    return [*shown, *sorted(links)]


def show_package(old: str) -> None:
    """Show the view of the package in its place, and an empty folder in place of any other copy.

    Arguments: old, the folder in which the machine's own root is still seen (`new_root`).
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
    linecache.cache.pop(file, None)
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
    raised = f'    raise RuntimeError("{_MESSAGE.format(name=name)}")'
    lines = source.splitlines()
    blank = [""] * (function.end_lineno - first.lineno)
    lines[first.lineno - 1 : function.end_lineno] = [raised, *blank]
    return "\n".join(lines)
