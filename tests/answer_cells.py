"""Answers as learners would have them in a cell: mistakes of the records, and single calls."""

import ast
import inspect
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from pruneedu.course.exercises import Exercise
from pruneedu.course.stubs import _home, free_names, helpers, solution

_LESSONS = "pruneedu.course.lessons"
_, *_PARTS = re.split(
    r"(?m)^# %% (\w+)$", (Path(__file__).parent / "grading/one_calls.txt").read_text("utf-8")
)
# The exercise's name, and an answer that leaves its work to one function of the library.
ONE_CALLS = list(zip(_PARTS[::2], _PARTS[1::2], strict=True))


def cell(function: Callable, exercise: Exercise) -> str:
    """A learner's cell: `function` by the exercise's name, with all that it needs of its lesson."""
    if function is exercise.reference:
        return solution(function)
    renamed = {function.__name__: exercise.name}
    closed = [exercise.reference, *helpers(exercise.reference)]  # not to be had while it is graded
    imports, constants, bodies, todo = set(), {}, {}, [function]
    while todo:
        current = todo.pop()
        if current in bodies:
            continue
        bodies[current] = inspect.getsource(current)
        for name in free_names(bodies[current]):
            value = getattr(sys.modules[current.__module__], name, None)
            if value is exercise.reference:
                renamed[name] = f"right_{name}"
            if value in closed or _is_of_a_lesson(value):
                todo.append(value)
                if name.startswith("_"):  # another exercise's may have the same name
                    renamed[name] = f"_{exercise.name}{name}"
            elif isinstance(value, ModuleType):
                imports.add(f"import {value.__name__} as {name}")
            elif current.__module__.startswith(_LESSONS) and type(value) in (int, float, list):
                constants[name] = repr(value)
            elif value is not None:
                home, original = _home(value, name, sys.modules[current.__module__]), name
                if home.startswith(_LESSONS):  # there by another name: CROSS_ENTROPY
                    home, original = value.__module__, value.__name__
                imports.add(f"from {home} import {original} as {name}")
    lines = [*sorted(imports), *(f"{name} = {value}" for name, value in constants.items())]
    return "\n".join([*lines, *(_rename(body, renamed) for body in bodies.values())])


def _rename(source: str, names: dict[str, str]) -> str:
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            node.id = names.get(node.id, node.id)
    top = tree.body[0]
    top.name = names.get(top.name, top.name)
    return ast.unparse(tree)


def _is_of_a_lesson(value) -> bool:
    return inspect.isfunction(value) and value.__module__.startswith(_LESSONS)
