"""Finding and reading submissions: nothing is followed, nobody is lost without a word."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pruneedu.grading import submissions
from pruneedu.grading.submissions import Submission, UnreadableError, collect, decode, read


def by_file(folder: Path) -> dict[str, Submission]:
    return {one.file: one for one in collect(folder)[0]}


def test_the_name_under_the_folder_is_the_learners(tmp_path):
    (tmp_path / "ada.ipynb").write_text("{}")
    (tmp_path / "bob").mkdir()
    (tmp_path / "bob" / "02.ipynb").write_text("{}")
    (tmp_path / "bob" / "03.IPYNB").write_text("{}")
    found, ignored = collect(tmp_path)
    assert ignored == []
    assert [(one.learner, one.file, one.problem) for one in found] == [
        ("ada", "ada.ipynb", ""),
        ("bob", "bob/02.ipynb", ""),
        ("bob", "bob/03.IPYNB", ""),
    ]


def test_hidden_files_and_checkpoints_are_left_aside(tmp_path):
    for name in ("ada/.ipynb_checkpoints", ".git", "ada/.hidden"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "old.ipynb").write_text("{}")
    (tmp_path / ".eve.ipynb").write_text("{}")
    (tmp_path / "ada" / "02.ipynb").write_text("{}")
    assert list(by_file(tmp_path)) == ["ada/02.ipynb"]


def test_only_notebooks_and_folders_that_hold_one_are_submissions(tmp_path):
    for name in ("eve.ipynb", "nobody", "files", "ada/more"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("bob.zip", "notes.txt", "files/data.csv", "ada/02.ipynb", "ada/data.csv"):
        (tmp_path / name).write_text("1")
    found, ignored = collect(tmp_path)
    assert [(one.learner, one.file) for one in found] == [
        ("ada", "ada/02.ipynb"),
        ("eve", "eve.ipynb"),
    ]
    assert ignored == ["ada/data.csv", "ada/more", "bob.zip", "files/", "nobody/", "notes.txt"]
    with pytest.raises(UnreadableError, match="a folder where a notebook was expected"):
        read(found[1])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may open every folder")
def test_a_folder_that_cannot_be_opened_is_a_submission_that_cannot_be_read(tmp_path):
    (tmp_path / "ada").mkdir(mode=0)
    ((found,), ignored) = collect(tmp_path)
    assert (found.learner, ignored) == ("ada", [])
    with pytest.raises(UnreadableError, match="the folder cannot be opened"):
        read(found)


def test_links_are_not_followed(tmp_path):
    secret = tmp_path / "secret.ipynb"
    secret.write_text("the teacher's")
    folder = tmp_path / "class"
    (folder / "ada").mkdir(parents=True)
    (folder / "eve.ipynb").symlink_to(secret)
    (folder / "mal").symlink_to(tmp_path, target_is_directory=True)
    (folder / "ada" / "02.ipynb").symlink_to(secret)
    found, ignored = collect(folder)
    assert ([one.file for one in found], ignored) == (["ada/02.ipynb", "eve.ipynb"], ["mal"])
    for one in found:
        with pytest.raises(UnreadableError, match="links are not followed"):
            read(one)


def test_a_file_that_became_a_link_or_a_pipe_is_not_opened(tmp_path):
    for name in ("link.ipynb", "pipe.ipynb"):
        (tmp_path / name).write_text("{}")
    (link, pipe), _ = collect(tmp_path)
    link.path.unlink()
    link.path.symlink_to("/etc/passwd")
    pipe.path.unlink()
    os.mkfifo(pipe.path)
    with pytest.raises(UnreadableError, match="cannot be opened"):
        read(link)
    with pytest.raises(UnreadableError, match="not a regular file"):
        read(pipe)


def test_a_large_file_is_refused_before_it_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(submissions, "MAX_NOTEBOOK", 1_000_000)
    (tmp_path / "fits.ipynb").write_bytes(b" " * 1_000_000)
    with open(tmp_path / "large.ipynb", "wb") as file:
        file.truncate(1 << 40)  # a terabyte, of which nothing is stored
    (fits, large), _ = collect(tmp_path)
    assert len(read(fits)) == 1_000_000
    with pytest.raises(UnreadableError, match="larger than 1 MB: clear its outputs"):
        read(large)


def test_decoding():
    assert decode("\ufeff{}".encode()) == "{}"
    with pytest.raises(UnreadableError, match="zip archive"):
        decode(b"PK\x03\x04...")
    with pytest.raises(UnreadableError, match="not UTF-8"):
        decode("é".encode("latin-1"))


def test_a_folder_that_is_not_there_or_empty_is_named(tmp_path):
    with pytest.raises(ValueError, match="is not a folder"):
        collect(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="holds no submissions"):
        collect(tmp_path)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), unique=True))
def test_slugs_are_safe_and_differ(names):
    slugs = [Submission("x", name, Path("x")).slug for name in names]
    assert len({slug.lower() for slug in slugs}) == len(names)
    assert all(slug.replace("-", "").replace("_", "").isalnum() for slug in slugs)
    assert all(slug.isascii() and len(slug) <= 69 for slug in slugs)


@pytest.mark.parametrize(
    "name", [b"\xff\xfe.ipynb", b'quote"<b>.ipynb', b"two\nlines.ipynb", b"=1+1.ipynb"]
)
def test_odd_names_are_read(tmp_path, name):
    path = Path(os.fsdecode(os.path.join(os.fsencode(tmp_path), name)))
    path.write_text("{}")
    ((found,), _) = collect(tmp_path)
    assert read(found) == b"{}"
    assert found.file.encode()  # it can be written
