"""A learner at work: every stub, mistake, hint and solution of a lesson, in a notebook's kernel."""

import nbformat
import pytest
from answer_cells import cell
from nbclient import NotebookClient

from pruneedu.course.exercises import lessons
from pruneedu.course.stubs import solution, stub


def run(cells: list[str], folder) -> list[str]:
    """Run cells in a fresh kernel; return what each of them shows, errors too."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
    client = NotebookClient(
        notebook, timeout=120, allow_errors=True, resources={"metadata": {"path": str(folder)}}
    )
    client.execute()
    return ["".join(_text(out) for out in cell.outputs) for cell in notebook.cells]


def _text(output) -> str:
    if output.output_type == "error":
        return "\n".join(output.traceback)
    return output.get("text", "") or output.get("data", {}).get("text/plain", "")


@pytest.mark.parametrize("lesson", lessons().values(), ids=lambda lesson: lesson.number)
def test_a_lesson_by_hand(lesson, tmp_path, monkeypatch):
    monkeypatch.setenv("PRUNEEDU_HOME", str(tmp_path / "home"))
    setup = f'from pruneedu.course import Lesson\nlesson = Lesson("{lesson.number}")'
    cells, expected = [setup], [()]
    for exercise in lesson.exercises:
        name, check = exercise.name, f"lesson.check({exercise.name})"
        cells += [stub(exercise.reference), check, f'lesson.source("{name}")']
        expected += [(), ("not attempted",), ("is shown once yours passes",)]
        for number, mistake in enumerate(exercise.mistakes):
            hint = min(number, 2)
            cells += [f"{cell(mistake.function, exercise)}\n{check}"]
            expected += [
                (mistake.says, f"Hint {hint + 1} of 3: {exercise.hints[hint]}", "CheckFailed")
            ]
        cells += [solution(exercise.reference), check, f'lesson.source("{name}")']
        expected += [(), (f"{name} passes",), ("<IPython.core.display.HTML object>",)]
    shown = run([*cells, "lesson.progress()"], tmp_path)
    for source, text, words in zip(cells, shown, expected, strict=False):
        for word in words:
            assert word.replace("**", "") in text.replace("**", ""), f"{source}\n---\n{text}"
    assert shown[-1].count(": passed") == len(lesson.exercises)


FIT = """
import time, torch
from pruneedu import fit
from pruneedu.data import Split
train = Split(x=torch.eye(2).repeat(50, 1), y=torch.tensor([0, 1] * 50))
fitted = fit(torch.nn.Linear(2, 2), train, epochs=3, after_epoch=lambda model: time.sleep(0.2))
"""


def test_a_bar_of_fit_leaves_text_that_ends_blank_and_no_widget(tmp_path):
    """A widget would be saved with the notebook, and be an error where it is opened again."""
    cell = nbformat.v4.new_code_cell(FIT)
    notebook = nbformat.v4.new_notebook(cells=[cell])
    NotebookClient(notebook, timeout=60).execute()
    assert {(out.output_type, out.name) for out in cell.outputs} == {("stream", "stdout")}
    bars = "".join(out.text for out in cell.outputs).split("\r")  # each written over the one before
    assert "1/3" in bars[2]
    assert bars[-2:] == [" " * max(map(len, bars)), ""]
    assert "widgets" not in notebook.metadata
