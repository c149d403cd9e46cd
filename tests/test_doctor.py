"""The doctor on this machine, and on a machine whose torch and torchvision do not fit."""

import platform
import sys
from importlib.metadata import version

import pytest

from pruneedu import doctor
from pruneedu.grading import isolation


@pytest.fixture
def broken_torchvision(tmp_path, monkeypatch):
    """A torchvision that fails as the registry's does over a CPU-only torch."""
    monkeypatch.delitem(sys.modules, "torchvision", raising=False)
    fault = 'raise RuntimeError("operator torchvision::nms does not exist")\n'
    (tmp_path / "torchvision.py").write_text(fault)
    monkeypatch.syspath_prepend(tmp_path)


def test_a_healthy_machine_gets_its_facts(capsys):
    assert doctor.report() == 0
    out = capsys.readouterr().out
    facts = dict(
        line.split(maxsplit=1) for line in out.splitlines() if line[:6] in ("Python", "torch ")
    )
    assert facts == {"Python": platform.python_version(), "torch": version("torch")}
    assert "digits" in out
    assert "uninstall" not in out


def test_the_mismatch_is_named_with_its_mend(broken_torchvision, capsys):
    assert doctor.report() == 1
    out = capsys.readouterr().out
    assert "operator torchvision::nms does not exist" in out
    pip = f"{sys.executable} -m pip"
    assert f"{pip} uninstall --yes torch torchvision" in out
    assert f"{pip} install torch torchvision --index-url {doctor.CPU_BUILDS}" in out
    assert f"\n{'torch':<14} {version('torch')}\n" in out


def test_a_torchvision_that_is_not_there_has_the_same_mend(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchvision", None)
    assert "torchvision" in doctor.torchvision_fault()
    assert "install torch torchvision" in doctor.mend()


def test_a_missing_package_is_named_with_its_install(monkeypatch):
    monkeypatch.setattr(doctor, "PACKAGES", ("a-package-that-is-not-there",))
    row = dict(doctor.versions())["a-package-that-is-not-there"]
    assert row == f"missing: {sys.executable} -m pip install a-package-that-is-not-there"


def test_a_data_folder_that_is_not_there_does_not_stop_the_doctor(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("PRUNEEDU_DATA", str(tmp_path / "nowhere"))
    assert doctor.report() == 0
    assert str(tmp_path / "nowhere") in capsys.readouterr().out


def test_a_machine_without_namespaces_is_told_why(monkeypatch, capsys):
    monkeypatch.setattr(isolation, "available", lambda: "namespaces are Linux's own")
    doctor.report()
    assert f"{'grading':<14} namespaces are Linux's own" in capsys.readouterr().out
