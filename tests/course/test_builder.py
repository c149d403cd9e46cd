"""One source makes two notebooks, and the check finds every difference but outputs."""

import ast
import copy
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from pruneedu.course import builder
from pruneedu.course.builder import build, make
from pruneedu.course.exercises import find, lessons
from pruneedu.course.stubs import solution, stub

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "solutions").glob("[0-9][0-9]_*.py"))

SOURCE = """\
# %% [markdown]
# # A lesson
#
# With words.

# %%
import os

# %% tags=["nbval-ignore-output"]
my_guess = 50  # your guess, in per cent

# %% [markdown]
# ## An exercise

# %% exercise="sparsity"
from pruneedu.tensors import sparsity

# %%
print(os.environ.get("PRUNEEDU_QUICK"), len(os.listdir(os.environ["PRUNEEDU_HOME"])))


# %%
def helper():
    return 3


# %%
lesson.quiz("sets", answer="b")
"""
RUNS = SOURCE.replace('lesson.quiz("sets", answer="b")', "helper()")


@pytest.fixture
def clone(tmp_path):
    """A clone with one small lesson."""
    (tmp_path / "solutions").mkdir()
    (tmp_path / "solutions" / "00_small.py").write_text(RUNS)
    return tmp_path


@pytest.fixture
def built(clone, monkeypatch):
    """A clone that was built, but for the run."""
    monkeypatch.setattr(builder, "_execute", lambda notebook, folder: None)
    build(clone)
    return clone


def sources(notebook) -> list[str]:
    return [cell.source for cell in notebook.cells]


def test_the_solution_holds_the_answers_and_the_lesson_holds_stubs():
    solved, open_ = make(SOURCE, solved=True), make(SOURCE, solved=False)
    reference = find("sparsity")[1].reference
    assert sources(solved) == [
        "# A lesson\n\nWith words.",
        "import os",
        "my_guess = 50  # your guess, in per cent",
        "## An exercise",
        solution(reference),
        'print(os.environ.get("PRUNEEDU_QUICK"), len(os.listdir(os.environ["PRUNEEDU_HOME"])))',
        "def helper():\n    return 3",
        'lesson.quiz("sets", answer="b")',
    ]
    changed = {2: "my_guess = ...  # your guess, in per cent", 4: stub(reference)}
    changed[7] = 'lesson.quiz("sets", answer=...)'
    expected = [changed.get(i, source) for i, source in enumerate(sources(solved))]
    assert sources(open_) == expected


def test_tags_are_kept_and_nothing_else_is_in_the_metadata():
    for solved in (True, False):
        notebook = make(SOURCE, solved)
        nbformat.validate(notebook)
        found = [dict(cell.metadata) for cell in notebook.cells]
        assert found == [
            {},
            {},
            {"tags": ["nbval-ignore-output"]},
            {},
            {"tags": ["exercise"]},
        ] + 3 * [{}]
        assert notebook.metadata.language_info == {"name": "python"}


def test_a_check_may_raise_and_run_all_goes_on():
    cell = '# %% tags=["slow"]\nlesson.check(sparsity)\n\n# %%\nprint("lesson.check(sparsity)")\n'
    for solved in (True, False):
        check, other = make(cell, solved).cells
        assert check.metadata == {"tags": ["slow", "raises-exception"]}
        assert other.metadata == {}


LESSON = """\
class lesson:
    def check(function):
        print(function())
        assert function() == 1
"""


def run_all(answer: str, folder: Path) -> nbformat.NotebookNode:
    """Run a lesson with this answer to its end; only the tag lets it go on after an error."""
    cells = (LESSON, f"def one(): return {answer}", "lesson.check(one)", "print(1 + 1)")
    notebook = make("".join(f"# %%\n{cell}\n\n" for cell in cells), solved=True)
    NotebookClient(notebook, timeout=60, resources={"metadata": {"path": str(folder)}}).execute()
    return notebook


def test_run_all_goes_on_after_a_failing_check_and_nbval_still_sees_it_fail(tmp_path):
    """nbval takes any error of a tagged cell: that the outputs differ has to be enough."""
    passing, failing = run_all("1", tmp_path), run_all("2", tmp_path)
    assert failing.cells[2].outputs[-1].ename == "AssertionError"
    assert failing.cells[3].outputs == passing.cells[3].outputs
    broken = copy.deepcopy(passing)
    broken.cells[1].source = failing.cells[1].source
    for name, notebook in (("passing", passing), ("broken", broken)):
        nbformat.write(notebook, tmp_path / f"{name}.ipynb")
    words = "-m pytest -q -p no:cacheprovider -p no:python -o addopts= --nbval --nbval-current-env"
    run = [sys.executable, *words.split(), "passing.ipynb", "broken.ipynb"]
    said = subprocess.run(run, cwd=tmp_path, check=False, capture_output=True, text=True).stdout
    assert "FAILED broken.ipynb::Cell 2" in said
    assert "1 failed, 7 passed" in said


@pytest.mark.parametrize(
    "guess",
    [
        'my_guess = "b"  # your guess',
        "my_guess = [1, 2]  # your guess: two numbers",
        "a = 1  # your guess",
    ],
)
def test_a_guess_is_taken_out(guess):
    source = make(f"# %%\n{guess}\n", solved=False).cells[0].source
    name, words = guess.split(" = ")[0], guess.split("  # ")[1]
    assert source == f"{name} = ...  # {words}"


@pytest.mark.parametrize(
    "cell",
    [
        'lesson.quiz("sets", "b")',
        'lesson.quiz(\n    "sets",\n    answer="b",\n)',
        'lesson.quiz(name="sets", answer="b")',
        "lesson.quiz('sets', answer='b')",
        'lesson.quiz("sets")',
        "my_guess: int = 3  # your guess",
        "if True:\n    my_guess = 3  # your guess",
    ],
)
def test_an_answer_that_would_stay_in_the_lesson_is_refused(cell):
    with pytest.raises(ValueError, match=r"^write a (question|guess) as `"):
        make(f"# %%\n{cell}\n", solved=False)
    assert make(f"# %%\n{cell}\n", solved=True).cells[0].source == cell


def test_an_unknown_exercise_is_named():
    with pytest.raises(KeyError, match="there is no exercise 'half'"):
        make('# %% exercise="half"\nhalf\n', solved=False)


def ids(text: str) -> list[str]:
    return [cell.id for cell in make(text, solved=False).cells]


def test_ids_are_valid_unique_and_the_same_in_both_notebooks():
    for text in (SOURCE, *(path.read_text() for path in SOURCES)):
        found = ids(text)
        assert len(set(found)) == len(found)
        assert all(re.fullmatch(r"[a-z0-9-]{1,64}", one) for one in found)
        assert found == [cell.id for cell in make(text, solved=True).cells]


def test_an_edit_leaves_the_ids_of_the_cells_as_they_are():
    assert ids(SOURCE.replace("import os", "import sys\nimport os")) == ids(SOURCE)
    longer = SOURCE.replace("# %% [markdown]\n# ## An", "# %%\nnew = 1\n\n# %% [markdown]\n# ## An")
    assert [one for one in ids(longer) if one in ids(SOURCE)] == ids(SOURCE)
    assert "exercise-sparsity-1" in ids(SOURCE)


def test_a_build_is_what_the_check_asks_for(built):
    assert build(built, check=True) == []
    names = [str(path.relative_to(built)) for path in sorted(built.rglob("*.*"))]
    assert names == ["lessons/00_small.ipynb", "solutions/00_small.ipynb", "solutions/00_small.py"]


def edited(path: Path, change) -> None:
    notebook = json.loads(path.read_text())
    change(notebook)
    path.write_text(json.dumps(notebook))


def _source(notebook):
    notebook["cells"][1]["source"] = "import sys"


def _id(notebook):
    notebook["cells"][1]["id"] = "other"


def _kind(notebook):
    notebook["cells"][1]["cell_type"] = "raw"


def _tag(notebook):
    notebook["cells"][2]["metadata"]["tags"].append("raises-exception")


def _removed(notebook):
    del notebook["cells"][-1]


def _added(notebook):
    notebook["cells"].append(dict(notebook["cells"][-1], id="more"))


def _swapped(notebook):
    notebook["cells"].reverse()


def _language(notebook):
    notebook["metadata"]["language_info"]["version"] = "3.99"


def _widgets(notebook):
    notebook["metadata"]["widgets"] = {}


def _minor(notebook):
    notebook["nbformat_minor"] = 4


CHANGES = {
    _source: "at cell a-lesson-2",
    _id: "at cell a-lesson-2",
    _kind: "at cell a-lesson-2",
    _tag: "at cell a-lesson-3",
    _removed: "at its number of cells (7, not 8)",
    _added: "at its number of cells (9, not 8)",
    _swapped: "at cell a-lesson-1",
    _language: "at its metadata",
    _widgets: "at its metadata",
    _minor: "at its metadata",
}


@pytest.mark.parametrize("folder", ["lessons", "solutions"])
@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_the_check_finds_every_difference_and_says_where(built, change, folder):
    path = built / folder / "00_small.ipynb"
    edited(path, change)
    said = f"{path} differs from its source {CHANGES[change]}: run `pruneedu build`"
    assert build(built, check=True) == [said]


def test_outputs_and_counts_are_no_difference(built):
    def ran(notebook):
        for cell in notebook["cells"]:
            if cell["cell_type"] == "code":
                cell["execution_count"] = 7
                cell["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "3"}]

    edited(built / "solutions" / "00_small.ipynb", ran)
    assert build(built, check=True) == []


def test_a_change_of_the_source_is_a_difference_of_both(built):
    source = built / "solutions" / "00_small.py"
    source.write_text(source.read_text().replace("import os", "import sys, os"))
    assert len(build(built, check=True)) == 2


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "{}", '{"cells": 3}', '{"cells": [{}]}'])
def test_a_file_that_is_no_notebook_is_a_difference(built, text):
    path = built / "lessons" / "00_small.ipynb"
    path.write_text(text)
    assert build(built, check=True) == [
        f"{path} cannot be read as a notebook: run `pruneedu build`"
    ]


def test_a_notebook_that_is_missing_or_has_no_source_is_a_difference(built):
    path = built / "lessons" / "00_small.ipynb"
    path.rename(path.with_name("01_other.ipynb"))
    assert build(built, check=True) == [
        f"{path} is missing: run `pruneedu build`",
        f"{path.with_name('01_other.ipynb')} has no source: delete it",
    ]


def test_without_a_source_there_is_nothing_to_build(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"has no NN_topic\.py: run this in the clone"):
        build(tmp_path)


def test_a_build_runs_the_solution_in_full_and_away_from_the_learners_progress(clone, monkeypatch):
    monkeypatch.setenv("PRUNEEDU_QUICK", "1")
    monkeypatch.setenv("PRUNEEDU_HOME", str(clone / "mine"))
    assert build(clone) == [
        f"{clone / folder / '00_small.ipynb'}: written" for folder in ("solutions", "lessons")
    ]
    assert build(clone, check=True) == []
    solved, open_ = (
        nbformat.read(clone / folder / "00_small.ipynb", as_version=4)
        for folder in ("solutions", "lessons")
    )
    assert solved.cells[5].outputs[0].text == "None 0\n"
    assert solved.cells[7].outputs[0].data["text/plain"] == "3"
    assert not any(cell.get("outputs") for cell in open_.cells)
    assert os.environ["PRUNEEDU_QUICK"] == "1"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_no_lesson_gives_an_answer_away(path):
    notebook = make(path.read_text(), solved=False)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    text = "\n".join(cell.source for cell in code)
    calls = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
    guesses = {ast.unparse(c.args[0]) for c in calls if ast.unparse(c.func) == "lesson.reveal"}
    assert guesses
    for guess in guesses:
        assert re.search(rf"^{guess} = \.\.\.  # your guess", text, re.MULTILINE)
    asked = [ast.unparse(call) for call in calls if ast.unparse(call.func) == "lesson.quiz"]
    record = lessons()[path.stem[:2]]
    assert asked == [f"lesson.quiz('{name}', answer=...)" for name in record.quiz]
    exercises = [cell.source for cell in code if "exercise" in cell.metadata.get("tags", [])]
    assert exercises == [stub(exercise.reference) for exercise in record.exercises]
    for cell in code:
        tags = cell.metadata.get("tags", [])
        assert not {"raises-exception", "nbval-ignore-output"} <= set(tags), "nbval sees no failure"
    checked = [ast.unparse(c.args[0]) for c in calls if ast.unparse(c.func) == "lesson.check"]
    assert checked == [exercise.name for exercise in record.exercises]
