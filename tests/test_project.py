"""The project's files agree with each other, and the wheel is enough to start the course."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
ON_CONDA = {"torch": "pytorch"}
PLATFORMS_OWN = re.compile(r"nvidia-|cuda-|triton$|setuptools$")

pytestmark = pytest.mark.skipif(
    not (ROOT / "Makefile").exists(), reason="the files of the project need a clone"
)


def ranges() -> dict[str, Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    listed = [*project["dependencies"], *project["optional-dependencies"]["test"]]
    return {canonicalize_name(item.name): item for item in map(Requirement, listed)}


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pairs = [line.split("==") for line in lines if not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in pairs}


def test_each_range_admits_the_tested_pin():
    tested = pins()
    outside = {
        name: tested.get(name)
        for name, wanted in ranges().items()
        if not wanted.specifier.contains(tested.get(name, "0"))
    }
    assert outside == {}


def test_no_range_has_an_upper_end():
    assert [str(item) for item in ranges().values() if re.search("[<~=]=|<", str(item))] == []


@pytest.mark.skipif(sys.platform != "linux", reason="other systems need a few packages more")
def test_each_indirect_dependency_is_pinned():
    todo, seen = list(ranges()), set()
    while todo:
        name = todo.pop()
        if name in seen or PLATFORMS_OWN.match(name):
            continue
        seen.add(name)
        try:
            needed = [Requirement(line) for line in requires(name) or []]
        except PackageNotFoundError:
            continue
        extras = [item for item in needed if not item.marker or item.marker.evaluate({"extra": ""})]
        todo += [canonicalize_name(item.name) for item in extras]
    assert sorted(seen - set(pins())) == []


def test_conda_and_pyproject_have_the_same_ranges():
    listed = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    pip = [line for group in listed if isinstance(group, dict) for line in group["pip"]]
    assert pip[-1] == "--editable ."
    texts = [line for line in listed if isinstance(line, str)] + pip[:-1]
    conda = {item.name: item.specifier for item in map(Requirement, texts)}
    assert str(conda.pop("python")) == ">=3.11"
    conda.pop("pip")
    assert conda == {ON_CONDA.get(name, name): item.specifier for name, item in ranges().items()}


def test_no_file_of_the_set_up_names_an_address():
    named = [
        name
        for name in ("constraints.txt", "environment.yml", "pyproject.toml", "Makefile", ".ci/run")
        if "://" in (ROOT / name).read_text()
    ]
    assert named == []


def test_the_readme_calls_a_lesson_ready_when_it_is_there():
    rows = re.findall(
        r"^\| (\d\d) \|.*\| ready \|$", (ROOT / "README.md").read_text(), re.MULTILINE
    )
    assert rows == sorted(path.name[:2] for path in (ROOT / "lessons").glob("*.ipynb"))


@pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")
def test_make_says_which_python_it_needs(tmp_path):
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    command = ["make", "lab", "PYTHON=false"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode != 0
    assert 'pruneedu needs Python 3.11 or newer, and "false" is not that.' in run.stdout
    assert not (tmp_path / ".venv").exists()


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    """The wheel, unpacked as pip would, far from the clone."""
    pytest.importorskip("hatchling")
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = out.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(out / "site")
    return out / "site"


def test_the_wheel_carries_the_lessons_and_no_solution(unpacked):
    lessons = {path.name: path.read_bytes() for path in (ROOT / "lessons").glob("*.ipynb")}
    shipped = (unpacked / "pruneedu" / "course" / "notebooks").glob("*.ipynb")
    assert {path.name: path.read_bytes() for path in shipped} == lessons
    assert {path.name for path in unpacked.iterdir() if path.suffix != ".dist-info"} == {"pruneedu"}
    assert list(unpacked.glob("*.dist-info/licenses/LICENSE"))


def test_the_wheel_starts_the_course_without_the_clone(unpacked, tmp_path):
    code = "import sys, pruneedu.cli as cli; print(cli.__file__); sys.exit(cli.main(['start']))"
    environment = {**os.environ, "PYTHONPATH": str(unpacked)}
    run = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.startswith(str(unpacked))
    copied = {path.name for path in (tmp_path / "my-lessons").glob("*.ipynb")}
    assert copied == {path.name for path in (ROOT / "lessons").glob("*.ipynb")}
    assert "00_start_here.ipynb: copied" in run.stdout
