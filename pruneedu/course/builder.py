"""Build the notebooks from their one source: `solutions/NN_topic.py`, text in percent format.

A cell marked `exercise="name"` becomes the solution in `solutions/` and the stub in `lessons/`.
A line that ends with `# your guess` keeps its right-hand side in `solutions/` only, as does the
answer of `lesson.quiz("name", answer="b")`.
"""

import re
from pathlib import Path

import nbformat

from pruneedu.course.exercises import find
from pruneedu.course.stubs import solution, stub

_GUESS = re.compile(r"^(\s*\w+ = ).*?(\s+# your guess.*)$", re.MULTILINE)
_ANSWER = re.compile(r'(lesson\.quiz\("[\w-]+", )[^)]*(\))')
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
        A sentence for each notebook that was written or, when checking, that differs.

    Raises:
        FileNotFoundError: there is no source.
    """
    root = root or Path.cwd()
    sources = sorted((root / "solutions").glob("[0-9][0-9]_*.py"))
    if not sources:
        raise FileNotFoundError(f"{root / 'solutions'} has no NN_topic.py: run this in the clone")
    said = []
    for source in sources:
        for folder, solved in (("solutions", True), ("lessons", False)):
            path = root / folder / f"{source.stem}.ipynb"
            notebook = make(source.read_text(encoding="utf-8"), solved)
            said += _compare(path, notebook) if check else _write(path, notebook, solved)
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
        name = cell.metadata.pop("exercise", None)
        if name:
            cell.source = _exercise_cell(name, solved)
            cell.metadata["tags"] = ["exercise"]
        elif not solved and cell.cell_type == "code":
            cell.source = _ANSWER.sub(r"\1...\2", _GUESS.sub(r"\1...\2", cell.source))
        cell.id = _cell_id(f"exercise {name}" if name else heading, used)
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    return notebook


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
    import tempfile

    from nbclient import NotebookClient

    with tempfile.TemporaryDirectory() as home:
        client = NotebookClient(
            notebook, timeout=300, resources={"metadata": {"path": str(folder)}}
        )
        client.execute(env={**_environment(), "PRUNEEDU_HOME": home})
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # times of the run: they would change at each build


def _environment() -> dict[str, str]:
    """The environment of a full run; a progress bar would stay in the output as a dead widget."""
    import os

    kept = {key: value for key, value in os.environ.items() if key != "PRUNEEDU_QUICK"}
    return {**kept, "TQDM_DISABLE": "1"}


def _compare(path: Path, notebook: nbformat.NotebookNode) -> list[str]:
    """Compare cells, ids and metadata with the file; outputs and counts are left alone."""
    if not path.exists():
        return [f"{path} is missing: run `pruneedu build`"]
    there = nbformat.read(path, as_version=4)
    if _essence(there) == _essence(notebook):
        return []
    pairs = zip(_essence(there)[1:], _essence(notebook)[1:], strict=False)
    first = next((new[0] for old, new in pairs if old != new), "the number of cells")
    return [f"{path} differs from its source at {first}: run `pruneedu build`"]


def _essence(notebook: nbformat.NotebookNode) -> list:
    metadata = {key: notebook.metadata.get(key) for key in _METADATA}
    metadata["language_info"] = {"name": "python"}
    cells = [(c.id, c.cell_type, c.source, dict(c.metadata)) for c in notebook.cells]
    return [metadata, *cells]
