"""What a definition in a notebook needs: the statements that bind its names, and no others."""

import ast
from collections import defaultdict

from pruneedu.course.exercises import Exercise
from pruneedu.course.stubs import free_names, is_stub

_CHANGES = {"add", "append", "extend", "insert", "sort", "update"}
_Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def with_dependencies(node: ast.stmt, body: list[ast.stmt], open_ones: dict[str, Exercise]) -> str:
    """Return a definition after the statements that bind what it needs, in the notebook's order.

    Args:
        node: the definition.
        body: the top-level statements of the notebook, `node` among them.
        open_ones: the exercises whose functions the library has, by name. They are imported where
            the notebook has the untouched stub, and stand for `lesson.yours`.

    Returns:
        Source that runs by itself.
    """
    needed, replaced = _needed(node, body, open_ones)
    future = [s for s in body if isinstance(s, ast.ImportFrom) and s.module == "__future__"]
    kept = [s for s in body if (id(s) in needed or _imports_all(s)) and s not in (node, *future)]
    used = {n.attr for s in (*kept, node) for n in ast.walk(s) if isinstance(n, ast.Attribute)}
    library = {name: exercise for name, exercise in open_ones.items() if name in used}
    return "\n".join(
        [
            *map(ast.unparse, future),
            *(_import(open_ones[name], name) for name in replaced),
            *(_stand_in(s, library) or ast.unparse(s) for s in (*kept, node)),
        ]
    )


def _needed(
    node: ast.stmt, body: list[ast.stmt], open_ones: dict[str, Exercise]
) -> tuple[set[int], list[str]]:
    """The ids of the statements that a definition needs, and the open exercises among its names."""
    bound = defaultdict(list)
    for statement in body:
        for name in bound_names(statement):
            bound[name].append(statement)
    needed, todo, seen, replaced = set(), [node], {node.name}, []
    while todo:
        for name in sorted(free_names(ast.unparse(todo.pop())) - seen):
            seen.add(name)
            stubs = [
                s
                for s in bound[name]
                if name in open_ones and is_stub(s, open_ones[name].reference)
            ]
            binders = [s for s in bound[name] if s not in stubs]
            if stubs and not binders:
                replaced.append(name)
            elif binders and isinstance(binders[-1], _Definition):
                binders = binders[-1:]
            fresh = [s for s in binders if id(s) not in needed and not _stand_in(s, {})]
            needed.update(map(id, binders))
            todo += fresh
    return needed, replaced


def _import(exercise: Exercise, name: str) -> str:
    return f"from {exercise.reference.__module__} import {exercise.name} as {name}"


def _stand_in(statement: ast.stmt, library: dict[str, Exercise]) -> str:
    """What does the same as `lesson = Lesson(…)` or `yours = lesson.yours` without the lessons."""
    match statement:
        case ast.Assign(targets=[ast.Name(id=name)], value=ast.Attribute(attr="yours")):
            form = "{}"
        case ast.Assign(
            targets=[ast.Name(id=name)],
            value=ast.Call(func=ast.Name(id="Lesson") | ast.Attribute(attr="Lesson")),
        ):
            form = "SimpleNamespace(yours={})"
        case _:
            return ""
    functions = ", ".join(f"{each}=_library_{each}" for each in library)
    imports = [_import(exercise, f"_library_{each}") for each, exercise in library.items()]
    value = form.format(f"SimpleNamespace({functions})")
    return "\n".join(["from types import SimpleNamespace", *imports, f"{name} = {value}"])


def _imports_all(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.ImportFrom) and statement.names[0].name == "*"


def bound_names(node: ast.stmt) -> set[str]:
    """Return the names that a top-level statement binds, or whose values it changes.

    >>> sorted(bound_names(ast.parse("for i in range(3): table[i] = i").body[0]))
    ['i', 'table']
    """
    if isinstance(node, _Definition):
        return {node.name}
    names = set()
    for inner in ast.walk(node):  # a loop, a `try`, an assignment
        match inner:
            case ast.Name(id=name, ctx=ast.Store()):
                names.add(name)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                names.add(name)
            case ast.ClassDef(name=name):
                names.add(name)
            case ast.alias():
                names.add((inner.asname or inner.name).split(".")[0])
            case ast.Subscript(value=ast.Name(id=name), ctx=ast.Store()):
                names.add(name)
            case ast.Attribute(value=ast.Name(id=name), ctx=ast.Store()):
                names.add(name)
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=change)):
                names |= {name} if change in _CHANGES else set()
    return names
