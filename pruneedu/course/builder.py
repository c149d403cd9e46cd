"""Build the notebooks from their one source: `solutions/NN_topic.py`, text in percent format.

A cell marked `exercise="name"` becomes the solution in `solutions/` and the stub in `lessons/`.
A line that ends with `# your guess` keeps its right-hand side in `solutions/` only, as does the
answer of `lesson.quiz("name", answer="b")`. A cell that calls `lesson.check` may raise:
Run All goes on after it.
"""

import ast
import json
import os
import re
import tempfile
from pathlib import Path

import nbformat

from pruneedu.course.exercises import find
from pruneedu.course.stubs import solution, stub

_GUESS = re.compile(r"^(\w+ = ).*?(\s+# your guess.*)$", re.MULTILINE)
_ANSWER = re.compile(r'(lesson\.quiz\("[\w-]+", answer=)"\w+"(\))')
_CHECK = re.compile(r"^lesson\.check\(", re.MULTILINE)
_METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def build(root: Path | None = None, check: bool = False) -> list[str]:
    """Write both notebooks of each lesson, or compare them with what would be written.

    Args:
        root: the folder with `solutions/` and `lessons/`; the current one by default.
        check: compare only, and execute nothing.

    Returns:
        A sentence for each notebook that was written or, when checking, that differs; and for
        each that has no source.

    Raises:
        FileNotFoundError: there is no source.
        ValueError: a guess or an answer is written so that it would stay in the lesson.
    """
    root = root or Path.cwd()
    sources = sorted((root / "solutions").glob("[0-9][0-9]_*.py"))
    if not sources:
        raise FileNotFoundError(f"{root / 'solutions'} has no NN_topic.py: run this in the clone")
    said = []
    for folder in ("solutions", "lessons"):
        for source in sources:
            solved, path = folder == "solutions", root / folder / f"{source.stem}.ipynb"
            notebook = make(source.read_text(encoding="utf-8"), solved)
            said += _compare(path, notebook) if check else _write(path, notebook, solved)
        made = {source.stem for source in sources}
        strays = (path for path in (root / folder).glob("*.ipynb") if path.stem not in made)
        said += [f"{path} has no source: delete it" for path in sorted(strays)]
    return said


def make(text: str, solved: bool) -> nbformat.NotebookNode:
    """Make a notebook of a lesson's source, without outputs; `solved` says which of the two."""
    import jupytext

    notebook = jupytext.reads(text, fmt="py:percent")
    notebook.metadata = nbformat.from_dict(_METADATA)
    used: dict[str, int] = {}
    heading = "start"
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and (
            title := re.search(r"^#+ (.+)$", cell.source, re.MULTILINE)
        ):
            heading = title.group(1)
        cell.metadata.pop("lines_to_next_cell", None)  # jupytext's, about blank lines of the source
        name = cell.metadata.pop("exercise", None)
        if name:
            cell.source = _exercise_cell(name, solved)
            cell.metadata["tags"] = ["exercise"]
        elif not solved and cell.cell_type == "code":
            cell.source = _unanswered(cell.source)
        if cell.cell_type == "code" and _CHECK.search(cell.source):
            # Jupyter's own tag. Without it a wrong answer would end Run All, and what a learner who
            # is stuck may read on would not run.
            cell.metadata["tags"] = [*cell.metadata.get("tags", []), "raises-exception"]
        cell.id = _cell_id(f"exercise {name}" if name else heading, used)
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    return notebook


def _unanswered(source: str) -> str:
    """Take guesses and answers out of a cell; refuse one that is written in another form."""
    source = _ANSWER.sub(r"\1...\2", _GUESS.sub(r"\1...\2", source))
    for line in source.splitlines():
        if "# your guess" in line and "= ... " not in line:
            raise ValueError(f"write a guess as `my_guess = 3  # your guess`, not as {line!r}")
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "lesson.quiz":
            given = [*node.args[1:], *(keyword.value for keyword in node.keywords)]
            if [ast.unparse(value) for value in given] != ["..."]:
                form = 'lesson.quiz("name", answer="b")'
                raise ValueError(f"write a question as `{form}`, not as {ast.unparse(node)!r}")
    return source


def _exercise_cell(name: str, solved: bool) -> str:
    function = find(name)[1].reference
    return solution(function) if solved else stub(function)


def _cell_id(heading: str, used: dict[str, int]) -> str:
    """An id from the heading above the cell, so that an edit elsewhere leaves it as it is."""
    slug = re.sub(r"[^a-z0-9]+", "-", heading.lower()).strip("-")[:50]
    used[slug] = used.get(slug, 0) + 1
    return f"{slug}-{used[slug]}"


def _write(path: Path, notebook: nbformat.NotebookNode, execute: bool) -> list[str]:
    if execute:
        _execute(notebook, path.parent)
    path.parent.mkdir(exist_ok=True)
    new = path.with_suffix(".new")
    new.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8")
    new.replace(path)
    return [f"{path}: written"]


def _execute(notebook: nbformat.NotebookNode, folder: Path) -> None:
    from nbclient import NotebookClient

    with tempfile.TemporaryDirectory() as home:
        client = NotebookClient(
            notebook,
            timeout=300,
            store_widget_state=False,  # a widget leaves a picture beside it
            resources={"metadata": {"path": str(folder)}},
        )
        client.execute(env={**_environment(), "PRUNEEDU_HOME": home})
    # What the run adds would change at each build: times, the version of Python.
    notebook.metadata = nbformat.from_dict(_METADATA)
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)


def _environment() -> dict[str, str]:
    """The environment of a full run; the text of a progress bar would differ at each build."""
    kept = {key: value for key, value in os.environ.items() if key != "PRUNEEDU_QUICK"}
    return {**kept, "TQDM_DISABLE": "1"}


def _compare(path: Path, notebook: nbformat.NotebookNode) -> list[str]:
    """Compare cells, ids and metadata with the file; outputs and counts are left alone."""
    if not path.exists():
        return [f"{path} is missing: run `pruneedu build`"]
    wanted, wanted_cells = _essence(nbformat.writes(notebook))
    try:
        there, cells = _essence(path.read_text(encoding="utf-8"))
    except (ValueError, KeyError, TypeError, AttributeError):
        return [f"{path} cannot be read as a notebook: run `pruneedu build`"]
    pairs = zip(cells, wanted_cells, strict=False)
    places = [f"cell {new['id']}" for old, new in pairs if old != new]
    if len(cells) != len(wanted_cells):
        places.append(f"its number of cells ({len(cells)}, not {len(wanted_cells)})")
    if there != wanted:
        places.append("its metadata")
    return [
        f"{path} differs from its source at {place}: run `pruneedu build`" for place in places[:1]
    ]


def _essence(text: str) -> tuple[dict, list[dict]]:
    """What a notebook's JSON says of the notebook, and of each cell but what a run leaves in it."""
    notebook = json.loads(text)
    cells = [
        {
            **{
                key: value
                for key, value in cell.items()
                if key not in ("outputs", "execution_count")
            },
            "source": "".join(cell["source"]),
        }
        for cell in notebook.pop("cells")
    ]
    return notebook, cells
