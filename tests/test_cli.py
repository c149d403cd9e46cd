"""Each command hands its words on as they are, and says what goes wrong in one sentence."""

import importlib
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from pruneedu import cli
from pruneedu.course import copying
from pruneedu.models import mlp
from pruneedu.storage import contents_of, encode


@pytest.fixture
def stand_in(monkeypatch):
    """Put a recording function in the place of `module.name`; it returns the given value."""

    def place(module: str, name: str, returns):
        calls = []

        def recorder(*arguments, **options):
            calls.append((arguments, options))
            return returns

        parent, _, child = module.rpartition(".")
        stand = SimpleNamespace(**{name: recorder})
        monkeypatch.setitem(sys.modules, module, stand)
        monkeypatch.setattr(importlib.import_module(parent), child, stand, raising=False)
        return calls

    return place


def test_start_copies_and_names_the_next_step(tmp_path, capsys):
    folder = tmp_path / "mine"
    assert cli.main(["start", str(folder)]) == 0
    assert {path.name for path in folder.glob("*.ipynb")} == {
        path.name for path in copying.lessons_folder().glob("*.ipynb")
    }
    assert capsys.readouterr().out.endswith(f"Next: pruneedu lab {folder}\n")


def test_start_goes_to_my_lessons_by_default(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cli.main(["start"])
    assert (tmp_path / "my-lessons").is_dir()


@pytest.fixture
def jupyterlab(monkeypatch):
    """Stand in for JupyterLab; return the words and the folder of each start."""
    from jupyterlab import labapp

    calls = []
    monkeypatch.setattr(labapp.LabApp, "serverapp_config", {})
    monkeypatch.setattr(labapp, "main", lambda words: calls.append((words, Path.cwd())))
    monkeypatch.setenv("PATH", os.environ["PATH"])
    return calls


def test_lab_copies_then_opens_jupyterlab_there(tmp_path, jupyterlab, capsys):
    assert cli.main(["lab", str(tmp_path), "--no-browser", "--port", "8890"]) == 0
    assert jupyterlab == [(["--no-browser", "--port", "8890"], tmp_path)]
    assert list(tmp_path.glob("*.ipynb"))
    assert "Next:" not in capsys.readouterr().out


@pytest.mark.parametrize("words", [["--allow-root"], ["--port", "8890", "--no-browser"], []])
def test_lab_takes_options_of_jupyterlab_without_a_folder(words, tmp_path, monkeypatch, jupyterlab):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["lab", *words]) == 0
    assert jupyterlab == [(words, tmp_path / "my-lessons")]


def test_the_help_of_lab_is_its_own(capsys, jupyterlab):
    with pytest.raises(SystemExit):
        cli.main(["lab", "--help"])
    assert "options of JupyterLab" in capsys.readouterr().out
    assert jupyterlab == []


def test_a_terminal_of_jupyterlab_finds_the_command(tmp_path, jupyterlab, monkeypatch):
    monkeypatch.setenv("PATH", "/usr/bin")
    cli.main(["lab", str(tmp_path)])
    programs = str(Path(sys.executable).parent)
    assert os.environ["PATH"].split(os.pathsep) == [programs, "/usr/bin"]


def test_without_a_terminal_the_shells_of_jupyterlab_keep_the_path(
    tmp_path, jupyterlab, monkeypatch
):
    from jupyterlab.labapp import LabApp

    monkeypatch.setattr(LabApp, "serverapp_config", {"open_browser": True})
    monkeypatch.setenv("SHELL", "/bin/dash")
    cli.main(["lab", str(tmp_path)])
    expected = {"shell_command": ["/bin/dash"]}
    assert LabApp.serverapp_config == {"open_browser": True, "terminado_settings": expected}


def test_in_a_terminal_the_shells_of_jupyterlab_are_left_alone(tmp_path, jupyterlab, monkeypatch):
    from jupyterlab.labapp import LabApp

    monkeypatch.setattr(LabApp, "serverapp_config", {})
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    cli.main(["lab", str(tmp_path)])
    assert LabApp.serverapp_config == {}


def test_a_reader_that_leaves_ends_a_command_quietly():
    code = "import sys; from pruneedu import cli; sys.exit(cli.main(['doctor']))"
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([sys.executable, "-c", code], stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, b"")


def test_in_the_learners_folder_no_folder_has_to_be_named(
    tmp_path, monkeypatch, stand_in, jupyterlab, capsys
):
    monkeypatch.delenv("PRUNEEDU_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    Path(".pruneedu").mkdir()  # of a lesson that was opened elsewhere
    cli.main(["start"])
    monkeypatch.chdir("my-lessons")
    calls = stand_in("pruneedu.course.terminal", "check_lesson", returns=0)
    for words in (["start"], ["lab"], ["check", "02"], ["progress"]):
        assert cli.main(words) == 0
    assert calls == [(("02", Path()), {})]
    assert jupyterlab == [([], tmp_path / "my-lessons")]
    assert not Path("my-lessons").exists()


def test_check_hands_on_the_lesson_and_the_folder(stand_in):
    calls = stand_in("pruneedu.course.terminal", "check_lesson", returns=1)
    assert cli.main(["check", "02"]) == 1
    assert calls == [(("02", Path("my-lessons")), {})]


def test_grade_hands_on_every_option(stand_in):
    calls = stand_in("pruneedu.grading.grade", "grade", returns=0)
    words = "grade in --out out --workers 3 --timeout 5 --seed 7 --isolation limits"
    assert cli.main(words.split()) == 0
    options = {"workers": 3, "timeout": 5.0, "seed": 7, "isolation": "limits"}
    assert calls == [((Path("in"), Path("out")), options)]


@pytest.mark.parametrize("records", [0, 1])
def test_an_interrupted_grading_says_how_to_go_on_where_something_is_graded(
    tmp_path, monkeypatch, capsys, records
):
    def interrupted(submissions, out, **options):
        (out / "submissions").mkdir(parents=True)
        for number in range(records):
            (out / "submissions" / f"{number}.json").write_text("{}")
        raise KeyboardInterrupt

    monkeypatch.setattr("pruneedu.grading.grade.grade", interrupted)
    out = tmp_path / "out"
    assert cli.main(["grade", str(tmp_path), "--out", str(out)]) == 130
    said = f"pruneedu: the same command goes on from {out}\n"
    assert capsys.readouterr().err == said * records


def test_grade_isolates_by_namespaces_unless_told_otherwise(stand_in):
    calls = stand_in("pruneedu.grading.grade", "grade", returns=0)
    cli.main(["grade", "in", "--out", "out"])
    assert calls[0][1]["isolation"] == "namespaces"
    assert calls[0][1]["seed"] is None


@pytest.mark.parametrize(
    ("words", "said", "status"),
    [(["build"], ["a: written"], 0), (["build", "--check"], ["a differs"], 1), (["build"], [], 0)],
)
def test_build_prints_what_was_done_and_a_difference_fails_the_check(
    stand_in, capsys, words, said, status
):
    calls = stand_in("pruneedu.course.builder", "build", returns=said)
    assert cli.main(words) == status
    assert calls == [((), {"check": "--check" in words})]
    assert all(line in capsys.readouterr().out for line in said)


def test_progress_is_that_of_the_learners_folder(tmp_path, monkeypatch, capsys):
    from pruneedu.course import progress

    monkeypatch.delenv("PRUNEEDU_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(progress, "show", lambda: str(progress.home().resolve()))
    (tmp_path / "my-lessons").mkdir()
    assert cli.main(["progress"]) == 0
    assert capsys.readouterr().out == f"{tmp_path.resolve() / 'my-lessons' / '.pruneedu'}\n"


def test_an_error_of_the_package_is_one_sentence(tmp_path, capsys):
    lessons = copying.lessons_folder()
    assert cli.main(["start", str(lessons)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert "name another folder for yours" in captured.err


def test_a_folder_that_is_a_file_is_one_sentence(tmp_path, capsys):
    (tmp_path / "mine").write_text("a file")
    assert cli.main(["start", str(tmp_path / "mine")]) == 2
    assert f"{tmp_path / 'mine'} is a file: name a folder" in capsys.readouterr().err


def test_progress_without_lessons_says_how_to_get_them(tmp_path, capsys):
    assert cli.main(["progress", str(tmp_path / "mine")]) == 2
    assert f"`pruneedu start {tmp_path / 'mine'}` copies the lessons" in capsys.readouterr().err


def test_a_fault_keeps_its_traceback(monkeypatch):
    monkeypatch.setattr(copying, "start", lambda folder: {}["lesson"])
    with pytest.raises(KeyError):
        cli.main(["start"])
    monkeypatch.setattr(copying, "start", lambda folder: int("not a number"))
    with pytest.raises(ValueError, match="not a number"):
        cli.main(["start"])


def test_without_a_command_the_commands_are_listed(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["--help"])
    assert stop.value.code == 0
    out = capsys.readouterr().out
    for command in ("start", "lab", "check", "grade", "build", "run", "compress", "progress"):
        assert f"\n    {command} " in out


def test_inspect_tells_what_is_inside_and_refuses_what_is_no_such_file(tmp_path, capsys):
    file = tmp_path / "small.pe"
    file.write_bytes(encode(contents_of(mlp(4, 2))))
    assert cli.main(["inspect", str(file)]) == 0
    assert "mlp(sizes=(4, 2))" in capsys.readouterr().out
    file.write_bytes(file.read_bytes()[:-1])
    assert cli.main(["inspect", str(file)]) == 2
    assert capsys.readouterr().err.startswith("pruneedu: ")
    assert cli.main(["inspect", str(tmp_path / "absent.pe")]) == 2
