"""nbval passes a notebook without outputs unread: each solution must hold something to compare."""

import re
from pathlib import Path

import nbformat
import pytest

from pruneedu.plotting.notebook import html

ROOT = Path(__file__).parents[1]
COMPARED_AT_LEAST = 5


def compared(notebook: nbformat.NotebookNode) -> int:
    """Count the code cells with text that nbval compares; it compares no picture and no widget."""
    return sum(
        cell.cell_type == "code"
        and "nbval-ignore-output" not in cell.metadata.get("tags", [])
        and any(_is_text(output) for output in cell.outputs)
        for cell in notebook.cells
    )


def _is_text(output: nbformat.NotebookNode) -> bool:
    """Tell text that says something from the name of an object, such as `<Figure size …>`."""
    if output.output_type == "stream":
        return output.name == "stdout"
    return not output.get("data", {}).get("text/plain", "<").startswith("<")


@pytest.mark.parametrize("path", sorted(ROOT.glob("solutions/*.ipynb")), ids=lambda path: path.stem)
def test_a_solution_has_outputs_that_are_compared(path):
    assert compared(nbformat.read(path, as_version=4)) >= COMPARED_AT_LEAST


@pytest.mark.parametrize("path", sorted(ROOT.glob("lessons/*.ipynb")), ids=lambda path: path.stem)
def test_a_lesson_has_no_output(path):
    cells = nbformat.read(path, as_version=4).cells
    assert [cell.id for cell in cells if cell.get("outputs")] == []


def test_both_folders_hold_the_same_lessons():
    solutions, lessons = (
        sorted(path.name for path in ROOT.glob(f"{folder}/*.ipynb"))
        for folder in ("solutions", "lessons")
    )
    assert solutions == lessons
    assert "00_start_here.ipynb" in lessons


def test_a_cell_without_comparable_output_does_not_count():
    v4 = nbformat.v4
    text = v4.new_output("stream", name="stdout", text="3\n")
    picture = v4.new_output("display_data", data={"image/png": "", "text/plain": "<Figure>"})
    warning = v4.new_output("stream", name="stderr", text="3\n")
    cells = [v4.new_code_cell("1", outputs=[output]) for output in (text, picture, warning)]
    ignored = v4.new_code_cell("2", outputs=[text], metadata={"tags": ["nbval-ignore-output"]})
    notebook = v4.new_notebook(cells=[*cells, ignored, v4.new_code_cell("3")])
    assert compared(notebook) == 1


def test_of_a_figure_its_text_alternative_is_compared_and_its_bytes_are_not():
    from matplotlib.figure import Figure
    from nbval.plugin import get_sanitize_patterns

    figure = Figure()
    figure.alt = "accuracy falls from 96% to 10%"
    ((pattern, replacement),) = get_sanitize_patterns((ROOT / "tests/nbval.cfg").read_text())
    shown = re.sub(pattern, replacement, html(figure))
    assert shown == '<img src="PICTURE" alt="accuracy falls from 96% to 10%">'
