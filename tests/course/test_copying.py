"""Whatever a learner and the course do to a lesson, no line that the learner wrote is lost."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pruneedu.course.copying import lessons_folder, start

NAME = "02_magnitude.ipynb"
NEW = "02_magnitude.new.ipynb"


@pytest.fixture
def course(tmp_path):
    """A course of one lesson, and the path of the learner's folder, which is not there yet."""
    lessons = tmp_path / "lessons"
    lessons.mkdir()
    (lessons / NAME).write_text("version 1")
    return lessons, tmp_path / "mine"


def test_a_lesson_is_copied_into_a_new_folder(course):
    lessons, mine = course
    assert start(mine, lessons) == {NAME: "copied"}
    assert (mine / NAME).read_text() == "version 1"


def test_the_learners_lines_stay_while_the_course_stands_still(course):
    lessons, mine = course
    start(mine, lessons)
    (mine / NAME).write_text("version 1, solved")
    assert start(mine, lessons) == {NAME: "yours, left as it is"}
    assert (mine / NAME).read_text() == "version 1, solved"
    assert sorted(path.name for path in mine.glob("*.ipynb")) == [NAME]


def test_an_untouched_lesson_is_brought_up_to_date(course):
    lessons, mine = course
    start(mine, lessons)
    (lessons / NAME).write_text("version 2")
    assert start(mine, lessons) == {NAME: "updated"}
    assert (mine / NAME).read_text() == "version 2"


def test_a_deleted_lesson_comes_back(course):
    lessons, mine = course
    start(mine, lessons)
    (mine / NAME).unlink()
    assert start(mine, lessons) == {NAME: "copied"}
    assert (mine / NAME).read_text() == "version 1"


def test_a_clash_keeps_both_and_is_told_once(course):
    lessons, mine = course
    start(mine, lessons)
    (mine / NAME).write_text("version 1, solved")
    (lessons / NAME).write_text("version 2")
    assert start(mine, lessons)[NAME].endswith("the new version is 02_magnitude.new.ipynb")
    assert (mine / NAME).read_text() == "version 1, solved"
    assert (mine / NEW).read_text() == "version 2"
    assert start(mine, lessons) == {NAME: "yours, left as it is"}


def test_a_second_clash_does_not_take_the_first_new_version_away(course):
    lessons, mine = course
    start(mine, lessons)
    (mine / NAME).write_text("version 1, solved")
    (lessons / NAME).write_text("version 2")
    start(mine, lessons)
    (mine / NEW).write_text("version 2, solved")
    (lessons / NAME).write_text("version 3")
    assert start(mine, lessons)[NAME].endswith("02_magnitude.new2.ipynb")
    assert (mine / NEW).read_text() == "version 2, solved"
    assert (mine / "02_magnitude.new2.ipynb").read_text() == "version 3"


def test_a_file_that_was_there_before_the_course_is_the_learners(course):
    lessons, mine = course
    mine.mkdir()
    (mine / NAME).write_text("from last year")
    start(mine, lessons)
    assert (mine / NAME).read_text() == "from last year"
    assert (mine / NEW).read_text() == "version 1"


def test_a_copy_that_was_cut_off_before_its_record_is_taken_up(course):
    lessons, mine = course
    start(mine, lessons)
    (mine / ".pruneedu" / "shipped.json").unlink()
    assert start(mine, lessons) == {NAME: "already there"}
    (lessons / NAME).write_text("version 2")
    assert start(mine, lessons) == {NAME: "updated"}


def test_a_lesson_that_the_course_dropped_stays(course):
    lessons, mine = course
    start(mine, lessons)
    (lessons / NAME).rename(lessons / "03_gradients.ipynb")
    assert start(mine, lessons) == {"03_gradients.ipynb": "copied"}
    assert (mine / NAME).exists()


def notebook(*cells: str, tags=(), **ran) -> str:
    """A notebook with a cell for each source; `ran` is what a run left in each."""
    made = [
        {"cell_type": "code", "id": f"c{i}", "metadata": {"tags": list(tags)}, "source": cell}
        | {"execution_count": None, "outputs": []}
        | ran
        for i, cell in enumerate(cells)
    ]
    return json.dumps({"cells": made, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


RAN = {"execution_count": 3, "outputs": [{"output_type": "stream", "text": "4"}]}


def test_a_lesson_that_was_only_run_is_brought_up_to_date(course):
    lessons, mine = course
    (lessons / NAME).write_text(notebook("a = 1\n", "a"))
    start(mine, lessons)
    ran = notebook(["a = ", "1\n"], "a", **RAN)
    (mine / NAME).write_text(ran)
    assert start(mine, lessons) == {NAME: "already there"}
    assert (mine / NAME).read_text() == ran
    for new in (notebook("a = 2\n", "a"), notebook("a = 2\n", "a", tags=["raises-exception"])):
        (lessons / NAME).write_text(new)
        assert start(mine, lessons) == {NAME: "updated"}
        assert (mine / NAME).read_text() == new


@pytest.mark.parametrize(
    "learners",
    [
        notebook("a = 1\n", "a + 1", **RAN),
        notebook("a = 1\n", "a", "", **RAN),
        notebook("a = 1\n"),
        notebook("a", "a = 1\n"),
        notebook("a = 1\n", "a", cell_type="markdown"),
        notebook("a = 1\n", "a", attachments={"mine.png": {}}),
        notebook("a = 1\n", "a")[:-1],
        "",
        "[" * 100_000,
        "\0",
        '{"cells": {"a": 1}}',
        '{"cells": [{"source": 3}]}',
    ],
)
def test_whatever_else_was_changed_is_the_learners(course, learners):
    lessons, mine = course
    (lessons / NAME).write_text(notebook("a = 1\n", "a"))
    start(mine, lessons)
    (mine / NAME).write_text(learners)
    assert start(mine, lessons) == {NAME: "yours, left as it is"}
    (lessons / NAME).write_text(notebook("a = 2\n", "a"))
    assert start(mine, lessons)[NAME].endswith("the new version is 02_magnitude.new.ipynb")
    assert (mine / NAME).read_text() == learners


@pytest.mark.parametrize("record", ["{", "[1, 2]", '"a"', '{"a": "b"}'])
def test_a_damaged_record_is_named(course, record):
    lessons, mine = course
    start(mine, lessons)
    (mine / ".pruneedu" / "shipped.json").write_text(record)
    with pytest.raises(ValueError, match=r"shipped\.json is damaged: delete it"):
        start(mine, lessons)


def test_the_courses_own_folder_is_refused(course):
    lessons, _ = course
    with pytest.raises(ValueError, match="name another folder"):
        start(lessons, lessons)
    assert [path.name for path in lessons.iterdir()] == [NAME]


def test_the_shipped_lessons_are_found():
    names = [path.name for path in lessons_folder().glob("*.ipynb")]
    assert any(name.startswith("00_") for name in names)


STEPS = st.tuples(
    st.sampled_from(["start", "solve", "run", "delete", "release", "undo"]),
    st.sampled_from([NAME, NEW]),
)


@settings(max_examples=80, deadline=None)
@given(story=st.lists(STEPS, min_size=1, max_size=15))
def test_after_any_story_each_line_of_the_learner_is_in_the_folder(tmp_path_factory, story):
    """The oracle knows no rule: it keeps the cells that the learner wrote and did not delete."""
    root = tmp_path_factory.mktemp("story")
    lessons, mine = root / "lessons", root / "mine"
    lessons.mkdir()
    (lessons / NAME).write_text(notebook("version 0"))
    start(mine, lessons)
    written = {}
    for number, (step, name) in enumerate(story):
        path = mine / name
        if step == "start":
            start(mine, lessons)
        elif step == "solve" and path.exists():
            written[name] = [*cells(path), f"line {number}"]
            path.write_text(notebook(*written[name]))
        elif step == "run" and path.exists():
            path.write_text(notebook(*cells(path), **RAN))
        elif step == "delete":
            written.pop(name, None)
            path.unlink(missing_ok=True)
        elif step in ("release", "undo"):
            (lessons / NAME).write_text(notebook(f"version {number if step == 'release' else 0}"))
        assert {name: cells(mine / name) for name in written} == written


def cells(path) -> list[str]:
    return [cell["source"] for cell in json.loads(path.read_text())["cells"]]
