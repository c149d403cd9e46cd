"""From one function to two cells: its solution, and the stub that a learner fills in."""

import ast
import inspect
import re
import symtable
import sys
from collections.abc import Callable
from functools import cache
from types import ModuleType

BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"


def solution(function: Callable) -> str:
    """Return a cell with the function's source, its private helpers, and the imports they need."""
    source = "\n\n\n".join(inspect.getsource(f).rstrip() for f in (function, *helpers(function)))
    return imports(function, source) + without_marks(source)


def helpers(function: Callable) -> list[Callable]:
    """Return the private functions of its module that a function needs: they belong to the answer.

    Checks of arguments (`_check_…`) do not: an answer imports them.
    """
    module = sys.modules[function.__module__]
    found: dict[str, Callable] = {}
    todo = [function]
    while todo:
        for name in sorted(free_names(inspect.getsource(todo.pop()))):
            helper = inspect.unwrap(getattr(module, name, None))
            private = name.startswith("_") and not name.startswith("_check")
            if private and inspect.isfunction(helper) and name not in found:
                found[name] = helper
                todo.append(helper)
    return sorted(found.values(), key=lambda f: f.__code__.co_firstlineno)


def stub(function: Callable) -> str:
    """Return a cell with the signature and the docstring, and an error in place of the body.

    Where the source marks `### BEGIN SOLUTION` … `### END SOLUTION`, only what is between is cut.
    """
    source = inspect.getsource(function)
    lines, node = source.splitlines(), ast.parse(source).body[0]
    marks = [i for i, line in enumerate(lines) if line.strip() in (BEGIN, END)]
    documented = ast.get_docstring(node) is not None
    start = node.body[0].end_lineno if documented else node.body[0].lineno - 1
    first, last = marks or (start, len(lines) - 1)
    indent = re.match(r"\s*", lines[first]).group() if marks else "    "
    hole = f'{indent}raise NotImplementedError("{function.__name__}: write your answer here")'
    text = "\n".join([*lines[:first], hole, *lines[last + 1 :]])
    return imports(function, text) + text


def is_stub(node: ast.stmt, function: Callable) -> bool:
    """Whether a statement is the function's untouched stub, whatever its docstring."""
    return isinstance(node, ast.FunctionDef) and _bare(node) == _bare_stub(function)


def same_code(one: ast.FunctionDef, other: ast.FunctionDef) -> bool:
    """Whether two functions take the same arguments and do the same, but for their docstrings."""
    return _bare(one) == _bare(other)


@cache
def _bare_stub(function: Callable) -> str:
    return _bare(ast.parse(stub(function)).body[-1])


def _bare(node: ast.FunctionDef) -> str:
    """The syntax tree without docstring, name or positions."""
    body = node.body[1:] if ast.get_docstring(node) is not None else node.body
    return ast.dump(ast.Module(body, [])) + ast.dump(node.args)


def imports(function: Callable, source: str) -> str:
    """Return the import lines for the names that `source` takes from the function's module.

    Names that the module imports for its annotations only (`if TYPE_CHECKING:`) are among them: in
    a cell annotations are evaluated.
    """
    module = sys.modules[function.__module__]
    for_types = _imports_for_types(module)
    plain, chosen = set(), {}
    for name in sorted(free_names(source)):
        value = getattr(module, name, None)
        if isinstance(value, ModuleType):
            parent, _, last = value.__name__.rpartition(".")
            if parent and last == name:
                chosen.setdefault(parent, []).append(name)
            else:
                alias = "" if value.__name__ == name else f" as {name}"
                plain.add(f"import {value.__name__}{alias}")
        elif hasattr(module, name):
            chosen.setdefault(_home(value, name, module), []).append(name)
        elif name in for_types:
            plain.add(for_types[name])
    lines = [
        *sorted(plain, key=lambda line: (line.startswith("from"), line)),
        *(f"from {m} import {', '.join(n)}" for m, n in sorted(chosen.items())),
    ]
    return "\n".join(lines) + "\n\n\n" if lines else ""


def _imports_for_types(module: ModuleType) -> dict[str, str]:
    """Return the line that imports a name, for each name that only type checkers see."""
    lines = {}
    for block in ast.parse(inspect.getsource(module)).body:
        if not isinstance(block, ast.If) or ast.unparse(block.test) != "TYPE_CHECKING":
            continue
        for node in block.body:
            for alias in node.names:
                node.names = [alias]
                lines[alias.asname or alias.name] = ast.unparse(node)
    return lines


def free_names(source: str) -> set[str]:
    """Return the names that a piece of source reads and does not bind inside its functions.

    >>> sorted(free_names("def f(a, b=C):\\n    d = a\\n    return g(d)"))
    ['C', 'g']
    """
    table = symtable.symtable(source, "cell", "exec")
    bound = {s.get_name() for s in table.get_symbols() if s.is_assigned() or s.is_imported()}
    bound |= {s.get_name() for s in table.get_symbols() if s.is_namespace()}
    return {n for n in _globals(table) if n not in bound}


def _globals(table: symtable.SymbolTable) -> set[str]:
    top = table.get_type() == "module"
    names = {
        symbol.get_name()
        for symbol in table.get_symbols()
        if (symbol.is_referenced() and (top or symbol.is_global())) or symbol.is_declared_global()
    }
    return names.union(*(_globals(child) for child in table.get_children()))


def without_marks(source: str) -> str:
    """Return a source without the lines that mark where a stub is cut."""
    return "\n".join(line for line in source.splitlines() if line.strip() not in (BEGIN, END))


def without_docstring(source: str) -> str:
    """Return the source of a function without its docstring, for readers who have just read it.

    >>> print(without_docstring("def f(x):\\n    'Double.'\\n    return 2 * x"))
    def f(x):
        return 2 * x
    """
    lines, node = source.splitlines(), ast.parse(source).body[0]
    if ast.get_docstring(node) is None or len(node.body) == 1:
        return source.rstrip()
    first, last = node.body[0].lineno, node.body[0].end_lineno
    return "\n".join(lines[: first - 1] + lines[last:])


def _home(value, name: str, module: ModuleType) -> str:
    """The module to import a name from: the package's public list, or where it is defined."""
    import pruneedu

    if name in pruneedu.__all__ and getattr(pruneedu, name) is value:
        return "pruneedu"
    home = getattr(value, "__module__", None)
    return home if home and hasattr(sys.modules.get(home), name) else module.__name__
