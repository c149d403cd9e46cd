import subprocess
import sys

import pytest

import pruneedu
from pruneedu import pruning


def test_each_public_name_is_there_and_is_offered():
    assert all(getattr(pruneedu, name) is not None for name in pruneedu.__all__)
    assert set(pruneedu.__all__) < set(dir(pruneedu))


def test_what_pruning_exports_is_public():
    assert set(pruning.__all__) <= set(pruneedu.__all__)


def test_a_name_that_is_not_there_is_no_attribute():
    with pytest.raises(AttributeError, match="'prune'"):
        pruneedu.prune  # noqa: B018


def test_the_command_line_starts_without_pytorch():
    code = "import sys, pruneedu.cli; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
