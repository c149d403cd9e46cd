"""What a learner's code sees of the machine and of the package: no cases, no lessons."""

import os
import shutil
import sys
from pathlib import Path

from pruneedu.grading.isolation import bind, passing_folder

_PACKAGE = Path(__file__).parents[1]
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
