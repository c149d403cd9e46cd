"""Runs of the grader: options, resuming, and what goes wrong; with a stand-in for the sandbox."""

import ast
import inspect
import json
from pathlib import Path

import pytest
from a_class import InProcess, Made, notebook, write

from pruneedu import course
from pruneedu.course.exercises import find
from pruneedu.course.stubs import solution, stub
from pruneedu.grading import grade as grading
from pruneedu.grading import marking, results, running
from pruneedu.grading.grade import grade
from pruneedu.grading.html_page import LIMITS_ONLY

SPARSITY, ACCURACY = (find(name)[1] for name in ("sparsity", "accuracy"))
RIGHT = solution(SPARSITY.reference)
WRONG = f"def {SPARSITY.name}(*args, **kwargs):\n    return 'none'"


@pytest.fixture(autouse=True)
def sandbox(monkeypatch):
    monkeypatch.setattr(grading, "Sandbox", InProcess)
    InProcess.ran = 0
    return InProcess


@pytest.fixture
def folders(tmp_path) -> tuple[Path, Path]:
    write(tmp_path / "in", [Made("ada.ipynb", notebook(RIGHT)), Made("bob.ipynb", notebook(WRONG))])
    return tmp_path / "in", tmp_path / "out"


def run(folders, **options) -> int:
    return grade(*folders, **{"isolation": "limits", "seed": 3, **options})


def record(folders, learner: str) -> dict:
    (path,) = (folders[1] / "submissions").glob(f"{learner}-*.json")
    return json.loads(path.read_text())


def points(folders) -> dict[str, str]:
    lines = (folders[1] / "gradebook.csv").read_text().splitlines()[1:]
    rows = [line.replace('"', "").split(",") for line in lines]
    return {row[0]: f"{row[3]} {row[5]}" for row in rows if row[2] == SPARSITY.name}


def files(out: Path) -> dict[str, tuple[int, bytes]]:
    found = (path for path in out.rglob("*") if path.is_file())
    return {str(path): (path.stat().st_mtime_ns, path.read_bytes()) for path in found}


def test_the_gradebook_has_a_row_for_each_learner_and_exercise_that_occurs(folders):
    assert run(folders) == 0
    assert (folders[1] / "gradebook.csv").read_text().splitlines() == [
        '"learner","lesson","exercise","points","max_points","status"',
        f'"ada","00","sparsity",{SPARSITY.points},{SPARSITY.points},"passed"',
        f'"ada","00","accuracy",0,{ACCURACY.points},"missing"',
        f'"bob","00","sparsity",0,{SPARSITY.points},"failed"',
        f'"bob","00","accuracy",0,{ACCURACY.points},"missing"',
    ]


def test_a_second_run_changes_nothing_and_runs_nothing(folders):
    run(folders)
    before, ran = files(folders[1]), InProcess.ran
    assert run(folders, workers=2) == 0
    assert InProcess.ran == ran == 2
    assert files(folders[1]) == before


def test_only_a_changed_notebook_is_graded_again(folders):
    run(folders)
    (folders[0] / "bob.ipynb").write_bytes(notebook(RIGHT))
    run(folders)
    assert InProcess.ran == 3
    assert points(folders)["bob"] == f"{SPARSITY.points} passed"


@pytest.mark.parametrize("content", ["", "{", "[]", '{"marks": [3]}', '{"marks": []}'])
def test_a_record_that_is_not_whole_is_made_again(folders, content):
    run(folders)
    before = files(folders[1] / "submissions")
    path = next((folders[1] / "submissions").glob("ada-*.json"))
    path.write_text(content)
    run(folders)
    assert path.read_bytes() == before[str(path)][1]


def test_the_seed_is_secret_recorded_and_read_again(folders):
    run(folders, seed=None)
    recorded = json.loads((folders[1] / "grading.json").read_text())
    assert 0 <= recorded["seed"] < 2**32
    assert record(folders, "ada")["options"] == recorded
    before = files(folders[1])
    run(folders, seed=None)
    assert files(folders[1]) == before
    for page in folders[1].rglob("*.html"):
        assert str(recorded["seed"]) not in page.read_text()


def test_two_classes_get_different_seeds(folders, tmp_path):
    outs = (tmp_path / str(i) for i in range(5))
    seeds = {results.settle(out, tmp_path, None, "limits", 60).seed for out in outs}
    assert len(seeds) == 5


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"seed": 4}, "another seed;"),
        ({"timeout": 5}, "another timeout 60, not 5;"),
        ({"isolation": "namespaces"}, "another isolation 'limits', not 'namespaces';"),
    ],
)
def test_other_options_than_the_recorded_ones_are_refused(folders, monkeypatch, options, said):
    monkeypatch.setattr(grading.isolation, "available", lambda: None)
    run(folders)
    before = files(folders[1])
    with pytest.raises(ValueError, match=said):
        run(folders, **options)
    assert files(folders[1]) == before


def test_another_version_is_refused(folders, monkeypatch):
    run(folders)
    monkeypatch.setattr(results, "version", lambda _: "99")
    with pytest.raises(ValueError, match="another version"):
        run(folders)


def test_another_class_is_refused_and_the_first_ones_results_stay(folders, tmp_path):
    write(tmp_path / "other", [Made("cy.ipynb", notebook(RIGHT))])
    run(folders)
    before = files(folders[1])
    said = rf"holds the results of {folders[0]}, not of {tmp_path / 'other'}: name another.*--out"
    with pytest.raises(ValueError, match=said):
        run((tmp_path / "other", folders[1]))
    assert files(folders[1]) == before


def test_a_class_is_known_again_by_another_way_to_it(folders, monkeypatch):
    run(folders)
    monkeypatch.chdir(folders[0])
    assert run((Path("../in"), folders[1])) == 0
    assert InProcess.ran == 2


def test_learners_added_later_are_graded_too(folders):
    run(folders)
    write(folders[0], [Made("cy.ipynb", notebook(RIGHT))])
    assert run(folders) == 0
    assert InProcess.ran == 3
    assert sorted(points(folders)) == ["ada", "bob", "cy"]


def test_what_was_graded_with_other_sources_is_graded_again(folders, monkeypatch, capsys):
    run(folders)
    assert record(folders, "ada")["options"]["sources"] == results.sources()
    monkeypatch.setattr(results, "sources", lambda: "changed")
    run(folders)
    assert InProcess.ran == 4
    assert "all of the class is graded again" in capsys.readouterr().out
    assert record(folders, "ada")["options"]["sources"] == "changed"
    run(folders)
    assert InProcess.ran == 4
    assert "graded again" not in capsys.readouterr().out


def test_the_sources_are_those_of_the_package_and_a_comment_changes_them(tmp_path, monkeypatch):
    package = Path(course.__file__).parents[1]
    for folder in ("grading", "course/lessons"):
        (tmp_path / folder).mkdir(parents=True)
    cases, module = tmp_path / "course/lessons/cases.py", tmp_path / "grading/results.py"
    cases.write_text("SEED = 1\n")
    monkeypatch.setattr(results, "__file__", str(module))
    before = results.sources.__wrapped__()
    cases.write_text("SEED = 2\n")
    after = results.sources.__wrapped__()
    cases.rename(cases.with_name("other.py"))
    assert len({before, after, results.sources.__wrapped__()}) == 3
    monkeypatch.setattr(results, "__file__", str(package / "grading/results.py"))
    assert results.sources.__wrapped__() == results.sources()


def test_what_is_no_notebook_is_ignored_and_said(folders, capsys):
    for name in ("notes.txt", "b<i>.zip"):
        (folders[0] / name).write_text("no notebook")
    (folders[0] / "nobody").mkdir()
    assert run(folders) == 0
    assert sorted(points(folders)) == ["ada", "bob"]
    said = capsys.readouterr().out
    assert "only .ipynb files are submissions: 3 ('b<i>.zip', 'nobody/', 'notes.txt')." in said
    page = (folders[1] / "index.html").read_text()
    assert "<li><bdi>b&lt;i&gt;.zip</bdi></li>" in page


def test_a_submission_that_cannot_be_read_makes_the_exit_status_1(folders, capsys):
    (folders[0] / "cy.ipynb").write_text("")
    assert run(folders) == run(folders) == 1
    assert points(folders)["cy"] == "0 unreadable"
    assert "cannot be read: 1. The summary says why." in capsys.readouterr().out


def test_a_cell_that_is_not_python_is_named_at_its_exercise(folders):
    broken = f"# mine\ndef {SPARSITY.name}(masks)\n    return <b>0</b>"
    (folders[0] / "ada.ipynb").write_bytes(notebook("x = 1", broken))
    run(folders)
    first, second = record(folders, "ada")["marks"]
    said = "**sparsity**: its cell is not valid Python: line 2: `def sparsity(masks)`."
    assert (first["status"], first["lines"][0]) == ("failed", said)
    assert second["status"] == "missing"
    (page,) = (folders[1] / "feedback").glob("ada-*")
    assert "line 2: <code>def sparsity(masks)</code>" in page.read_text()


def test_a_broken_cell_beside_the_stub_or_an_answer_is_named_too(folders):
    broken = f"async def {SPARSITY.name}(masks) return"
    (folders[0] / "ada.ipynb").write_bytes(notebook(stub(SPARSITY.reference), broken))
    (folders[0] / "bob.ipynb").write_bytes(notebook(RIGHT, broken))
    run(folders)
    assert points(folders) == {"ada": "0 failed", "bob": f"{SPARSITY.points} passed"}
    said = "Another `sparsity` does not count: its cell is not valid Python: line 1"
    assert any(line.startswith(said) for line in record(folders, "bob")["marks"][0]["lines"])


def test_only_copies_of_some_length_are_listed(folders):
    keep_top = find("keep_top")[1]
    cells = [solution(e.reference) for e in (keep_top, find("magnitude")[1])]
    (folders[0] / "ada.ipynb").write_bytes(notebook(*cells))
    run(folders)
    copied = {m["exercise"]: m["copied"] for m in record(folders, "ada")["marks"]}
    assert copied["keep_top"]
    assert not copied["magnitude"]  # one line, which anybody would write


def test_without_namespaces_it_refuses_and_says_what_to_do(folders, monkeypatch):
    monkeypatch.setattr(grading.isolation, "available", lambda: "this is Plan 9")
    with pytest.raises(RuntimeError, match=r"this is Plan 9.*--isolation limits"):
        run(folders, isolation="namespaces")
    assert not folders[1].exists()


def test_limits_are_shown_on_every_page(folders, monkeypatch):
    run(folders)
    pages = list(folders[1].rglob("*.html"))
    assert len(pages) == 3
    assert all(LIMITS_ONLY in page.read_text() for page in pages)
    monkeypatch.setattr(grading.isolation, "available", lambda: None)
    shut_in = folders[0], folders[0].parent / "shut-in"
    run(shut_in, isolation="namespaces")
    assert not any(LIMITS_ONLY in page.read_text() for page in shut_in[1].rglob("*.html"))


def test_one_submission_cannot_stop_the_run(folders, monkeypatch):
    whole = marking.mark_notebook

    def fails_for_bob(text, *rest):
        if "none" in text:
            raise ZeroDivisionError("a <fault>")
        return whole(text, *rest)

    monkeypatch.setattr(running, "mark_notebook", fails_for_bob)
    assert run(folders) == 1
    said = ["This could not be graded: ZeroDivisionError: a <fault>. A person will look at it."]
    assert (record(folders, "bob")["status"], record(folders, "bob")["notes"]) == (
        "not graded",
        said,
    )
    assert points(folders) == {"ada": f"{SPARSITY.points} passed", "bob": "0 not graded"}
    assert "ZeroDivisionError: a &lt;fault&gt;" in (folders[1] / "index.html").read_text()
    monkeypatch.setattr(running, "mark_notebook", whole)
    assert run(folders) == 0  # what could not be graded is tried again
    assert points(folders)["bob"] == "0 failed"


def test_a_fault_in_one_exercise_costs_that_one_only(folders, monkeypatch):
    def judge(exercise, *_):
        raise RecursionError("deep")

    (folders[0] / "ada.ipynb").write_bytes(notebook(RIGHT, solution(ACCURACY.reference)))
    whole = marking.judge
    monkeypatch.setattr(
        marking, "judge", lambda e, *rest: (judge if e is ACCURACY else whole)(e, *rest)
    )
    assert run(folders) == 1
    statuses = {mark["exercise"]: mark["status"] for mark in record(folders, "ada")["marks"]}
    assert statuses == {"sparsity": "passed", "accuracy": "not graded"}


def test_a_sandbox_that_fails_is_no_fault_of_the_answer(folders, monkeypatch):
    outcome = marking.Outcome((), "failed to start", "no memory left", 0.0)
    monkeypatch.setattr(InProcess, "run", lambda *_: outcome)
    assert run(folders) == 1
    assert points(folders) == {"ada": "0 not graded", "bob": "0 not graded"}


@pytest.mark.parametrize(
    ("ended", "status"),
    [("timeout", "timeout"), ("killed", "ended early"), ("exited", "ended early")],
)
def test_cases_before_the_end_count(folders, monkeypatch, ended, status):
    whole = InProcess.run
    part = next(iter(SPARSITY.parts))
    first = [case.part for case in SPARSITY.cases(3)].count(part)

    def cut_short(self, job):
        seen = whole(self, job).observations[:first]
        return marking.Outcome(seen, ended, "nothing came back", 1.0)

    monkeypatch.setattr(InProcess, "run", cut_short)
    assert run(folders) == 0
    earned = SPARSITY.parts[part]
    assert points(folders)["ada"] == f"{earned} {status}"
    (mark, _) = record(folders, "ada")["marks"]
    cases = len(SPARSITY.cases(3))
    assert f"Nothing came back, with {first} of {cases} cases answered." in mark["lines"]
    assert not any("before all cases" in line for line in mark["lines"])


def test_the_better_of_two_notebooks_counts(folders):
    (folders[0] / "ada").mkdir()
    (folders[0] / "ada" / "again.ipynb").write_bytes(notebook(WRONG, solution(ACCURACY.reference)))
    run(folders)
    text = (folders[1] / "gradebook.csv").read_text()
    assert f'"ada","00","sparsity",{SPARSITY.points},{SPARSITY.points},"passed"' in text
    assert f'"ada","00","accuracy",{ACCURACY.points},{ACCURACY.points},"passed"' in text


def test_an_open_exercise_is_replaced_by_the_library_for_the_one_that_needs_it(
    folders, monkeypatch
):
    jobs = []
    outcome = marking.Outcome((), "exited", "it ended", 0.0)
    monkeypatch.setattr(InProcess, "run", lambda _, job: jobs.append(job) or outcome)
    uses = "def prune_iteratively(*args):\n    return (keep_top, cubic)"
    mine = "def cubic():\n    return 1"
    cells = stub(find("keep_top")[1].reference), mine, uses
    (folders[0] / "ada.ipynb").write_bytes(notebook(*cells))
    (folders[0] / "bob.ipynb").unlink()
    run(folders)
    job = next(job for job in jobs if job.function == "prune_iteratively")
    imported, rest = job.source.split("\n", 1)
    assert imported.startswith("from pruneedu.pruning.selection import keep_top")
    assert rest == f"{mine}\n{uses}"
    assert job.hidden == ("pruneedu.pruning.schedules.prune_iteratively",)


def test_a_helper_named_like_another_lessons_exercise_makes_no_lesson(folders):
    magnitude, keep_top = (solution(find(name)[1].reference) for name in ("magnitude", "keep_top"))
    (folders[0] / "ada.ipynb").write_bytes(notebook(RIGHT, magnitude, keep_top))
    (folders[0] / "bob.ipynb").unlink()
    run(folders)
    assert {mark["lesson"] for mark in record(folders, "ada")["marks"]} == {"02"}


def test_the_trusted_side_runs_no_line_of_a_submission(folders, monkeypatch, tmp_path):
    trap = f"open({str(tmp_path / 'ran')!r}, 'w')"
    cells = f"x = {trap}\nclass A:\n    {trap}", f"def sparsity(masks, y={trap}):\n    return x, A"
    (folders[0] / "ada.ipynb").write_bytes(notebook(*cells, "!touch ran", "%run ran"))
    outcome = marking.Outcome((), "exited", "it ended.", 0.0)
    monkeypatch.setattr(InProcess, "run", lambda *_: outcome)
    assert run(folders) == 0
    assert points(folders)["ada"] == "0 ended early"
    assert not (tmp_path / "ran").exists()


def test_the_trusted_side_has_no_call_that_runs_source():
    names = (
        "grade",
        "running",
        "marking",
        "submissions",
        "gradebook",
        "results",
        "pages",
        "summary",
    )
    paths = [Path(inspect.getfile(grading)).with_name(f"{name}.py") for name in names]
    folder = Path(course.__file__).parent
    paths += [folder / f"{name}.py" for name in ("notebooks", "stubs", "judging", "plain")]
    for path in paths:
        calls = [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Call)]
        called = {call.func.id for call in calls if isinstance(call.func, ast.Name)}
        assert not called & {"exec", "eval", "compile", "__import__", "open_code"}, path


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"workers": 0}, "at least one worker"),
        ({"timeout": 0}, "some time"),
        ({"seed": -1}, "seed is -1"),
        ({"seed": 2**32}, "whole number from 0"),
        ({"isolation": "hope"}, "isolation is 'hope'"),
    ],
)
def test_options_that_cannot_be_used_are_named(folders, change, said):
    with pytest.raises(ValueError, match=said):
        run(folders, **change)
    assert not folders[1].exists()


def test_results_do_not_go_into_the_submissions(folders):
    with pytest.raises(ValueError, match="look like a learner's"):
        grade(folders[0], folders[0] / "results", isolation="limits")
    with pytest.raises(ValueError, match="look like a learner's"):
        grade(folders[0], folders[0], isolation="limits")


@pytest.mark.parametrize("name", ["submissions", "feedback"])
def test_submissions_do_not_lie_where_results_go(folders, name):
    folders[0].rename(folders[0].with_name(name))
    for inside in (name, f"{name}/ada"):
        with pytest.raises(ValueError, match=rf"keeps its results \({name}\): name another"):
            run((folders[0].parent / inside, folders[0].parent))
    assert run((folders[0].with_name(name), folders[1])) == 0


def test_a_damaged_grading_json_is_named(folders):
    run(folders)
    (folders[1] / "grading.json").write_text("{")
    with pytest.raises(ValueError, match="the seed of this class is lost"):
        run(folders)
