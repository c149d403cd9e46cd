"""Whatever a learner and the course do to a lesson, no line that the learner wrote is lost."""

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


@pytest.mark.parametrize("record", ["{", "[1, 2]", '"a"'])
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
    st.sampled_from(["start", "solve", "delete", "release", "undo"]),
    st.sampled_from([NAME, NEW]),
)


@settings(max_examples=80, deadline=None)
@given(story=st.lists(STEPS, min_size=1, max_size=15))
def test_after_any_story_each_line_of_the_learner_is_in_the_folder(tmp_path_factory, story):
    """The oracle knows no rule: it keeps what the learner wrote and did not delete."""
    root = tmp_path_factory.mktemp("story")
    lessons, mine = root / "lessons", root / "mine"
    lessons.mkdir()
    (lessons / NAME).write_text("version 0")
    start(mine, lessons)
    written = {}
    for number, (step, name) in enumerate(story):
        path = mine / name
        if step == "start":
            start(mine, lessons)
        elif step == "solve" and path.exists():
            written[name] = path.read_text() + f", line {number}"
            path.write_text(written[name])
        elif step == "delete":
            written.pop(name, None)
            path.unlink(missing_ok=True)
        elif step in ("release", "undo"):
            (lessons / NAME).write_text(f"version {number if step == 'release' else 0}")
        assert {name: (mine / name).read_text() for name in written} == written
