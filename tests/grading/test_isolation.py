import json
import os
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

import pruneedu
from pruneedu.course.plain import pack, unpack
from pruneedu.grading import frames, isolation, limits, syscall_filter, view
from pruneedu.grading.jobs import Job
from pruneedu.grading.sandbox import Sandbox

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")


def run_alone(module, script):
    """What a script prints as JSON, in a process that has only `module`, whose names it may use."""
    start = f"import json, os, runpy, sys; globals().update(runpy.run_path({module.__file__!r}))\n"
    command = [sys.executable, "-I", "-S", "-c", start + script]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    return json.loads(done.stdout)


def test_available_is_none_or_a_sentence():
    reason = isolation.available()
    assert reason is None or (len(reason) > 10 and "\n" not in reason)


def test_available_tells_why_the_probe_failed(monkeypatch, tmp_path):
    probe = tmp_path / "probe.py"
    probe.write_text("import sys; sys.exit('a warning\\nno user namespaces')")
    monkeypatch.setattr(isolation, "__file__", str(probe))
    assert isolation.available.__wrapped__() == "no user namespaces"


@LINUX
def test_a_system_call_that_is_refused_is_named():
    with pytest.raises(OSError, match=r"the system refuses umount2\(/nowhere, 2\): No such file"):
        isolation._call("umount2", "/nowhere", 2)


@LINUX
def test_spare_ids_are_high_and_only_root_has_them():
    spare = isolation._spare_ids()
    assert (spare is None) if os.geteuid() else (spare is None or spare[0] > 5_000)


# The filter of system calls

FILTERED = """
import ctypes, errno, threading
libc = ctypes.CDLL(None, use_errno=True)
libc.prctl(38, 1, 0, 0, 0)
install()
column = globals()["_MACHINES"][platform.machine()][0]
seen = {}
for name, numbers in globals()["_REFUSED"].items():
    ctypes.set_errno(0)
    result = libc.syscall(numbers[column], 0, 0, 0, 0, 0)
    seen[name] = [result, ctypes.get_errno()]
fork = globals()["_CLONE"][column]
seen["clone"] = [libc.syscall(fork, 0x10000000 | 17, 0, 0, 0, 0), ctypes.get_errno()]
threading.Thread(target=seen.update, args=({"thread": "runs"},)).start()
if (pid := os.fork()) == 0:
    os._exit(7)
seen["fork"] = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
print(json.dumps(seen))
"""


@LINUX
def test_the_filter_refuses_what_it_lists_and_lets_threads_and_forks_pass():
    seen = run_alone(syscall_filter, FILTERED)
    assert seen.pop("thread") == "runs"
    assert seen.pop("fork") == 7
    assert set(seen) == {*syscall_filter._REFUSED, "clone"}
    assert all(answer == [-1, 1] for answer in seen.values()), seen  # EPERM


@LINUX
def test_the_numbers_of_the_filter_are_the_kernels():
    headers = {
        "x86_64": Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
        "aarch64": Path("/usr/include/asm-generic/unistd.h"),
    }
    table = {**syscall_filter._REFUSED, "clone": syscall_filter._CLONE}
    checked = 0
    for machine, path in headers.items():
        if not path.exists():
            continue
        words = [line.split() for line in path.read_text().splitlines()]
        numbers = {w[1]: int(w[2]) for w in words if len(w) == 3 and w[2].isdigit()}
        for name, pair in table.items():
            assert numbers[f"__NR_{name}"] == pair[syscall_filter._MACHINES[machine][0]], name
            checked += 1
    if not checked:
        pytest.skip("the kernel's headers are not installed")


def test_a_machine_whose_calls_are_not_known_is_named(monkeypatch):
    assert syscall_filter.unknown_machine() is None
    monkeypatch.setattr(syscall_filter.platform, "machine", lambda: "riscv64")
    assert "riscv64" in syscall_filter.unknown_machine()


# Limits

LIMITED = """
import tempfile
given = Limits(timeout=2.5, memory=64 << 20, files=20, scratch=1000)
set_limits(given, address_space(os.open("/proc/self/statm", os.O_RDONLY)))
def caught(function):
    try:
        function()
    except (OSError, MemoryError) as error:
        return type(error).__name__
def write():
    with tempfile.TemporaryFile(buffering=0) as file:
        return file.write(bytes(5000))
print(json.dumps({
    "large": caught(lambda: bytearray(80 << 20)),
    "small": caught(lambda: bytearray(20 << 20)),
    "files": caught(lambda: [open("/dev/null") for _ in range(30)]),
    "written": write(),
    "cpu": resource.getrlimit(resource.RLIMIT_CPU),
    "core": resource.getrlimit(resource.RLIMIT_CORE),
    "processes": resource.getrlimit(resource.RLIMIT_NPROC),
}))
"""


@LINUX
def test_limits_bind():
    assert run_alone(limits, LIMITED) == {
        "large": "MemoryError",
        "small": None,
        "files": "OSError",
        "written": 1000,
        "cpu": [4, 4],
        "core": [0, 0],
        "processes": [8, 8],
    }


# Messages


def test_messages_arrive_whole_however_they_are_cut():
    here, there = socket.socketpair()
    with here, there:
        sent = [b"", b"x" * 70_000, b"end"]
        stream = b"".join(len(m).to_bytes(8, "big") + m for m in sent)
        for start in range(0, len(stream), 9_001):
            here.sendall(stream[start : start + 9_001])
        here.shutdown(socket.SHUT_WR)
        assert list(frames.receive(there, limit=len(stream))) == sent


def test_a_message_that_is_cut_short_does_not_arrive():
    here, there = socket.socketpair()
    with here, there:
        frames.send(here, b"one")
        here.sendall((100).to_bytes(8, "big") + b"only this")
        here.shutdown(socket.SHUT_WR)
        assert list(frames.receive(there, limit=1000)) == [b"one"]


@pytest.mark.parametrize("claimed", [2_000, 2**63])
def test_more_bytes_than_allowed_are_refused_whatever_they_claim(claimed):
    here, there = socket.socketpair()
    with here, there:
        here.sendall(claimed.to_bytes(8, "big") + bytes(2_000))
        with pytest.raises(OverflowError, match="more than 1,000 bytes"):
            list(frames.receive(there, limit=1_000))


# The view of the package


def test_the_view_has_the_library_and_neither_lessons_nor_grader(tmp_path):
    package = Path(pruneedu.__file__).parent
    view.write_view(package, tmp_path / "view")
    seen = {str(p.relative_to(tmp_path / "view")) for p in (tmp_path / "view").rglob("*")}
    assert {"pruning/selection.py", "course/plain.py", "__init__.py"} <= seen
    forbidden = ("course/lessons", "course/notebooks/", "grading", "__pycache__")
    assert not [name for name in seen if name.startswith(forbidden) or "__pycache__" in name]
    same = (package / "tensors.py").read_bytes() == (tmp_path / "view/tensors.py").read_bytes()
    assert same


def test_the_view_leaves_out_what_must_be_left_out(tmp_path):
    source = tmp_path / "source"
    for name in ("course/lessons/a/cases.py", "course/notebooks/02.ipynb", "course/notebooks.py"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text("x")
    view.write_view(source, tmp_path / "view")
    files = [p.relative_to(tmp_path / "view") for p in (tmp_path / "view").rglob("*.*")]
    assert files == [Path("course/notebooks.py")]


def test_shown_folders_hold_the_libraries_and_not_the_project():
    shown = [Path(path) for path in view.shown_folders()]
    for module in (json, torch, pytest):
        assert any(Path(module.__file__).is_relative_to(folder) for folder in shown), module
    project = Path(__file__).parents[2]
    assert not any(project.is_relative_to(folder) for folder in shown)
    assert not any((folder / "solutions").exists() for folder in shown)


# A sandbox that has no namespaces


def test_another_isolation_is_refused():
    with pytest.raises(ValueError, match="isolation is 'none': choose"):
        Sandbox("none")


def test_without_namespaces_it_refuses(monkeypatch):
    monkeypatch.setattr(isolation, "available", lambda: "the machine has none")
    with pytest.raises(RuntimeError, match="no namespaces here: the machine has none"), Sandbox():
        pass


def test_a_server_that_cannot_start_says_why(monkeypatch):
    monkeypatch.setattr("pruneedu.grading.sandbox._BOOT", "raise SystemExit('no such library')")
    with (
        Sandbox("limits") as box,
        pytest.raises(RuntimeError, match="did not start: no such library"),
    ):
        box.wait()


@LINUX  # whose limits bind
def test_limits_alone_still_end_what_takes_too_long_or_too_much():
    bodies = [
        "return x + 1",
        "while True: pass",
        "os._exit(0)",
        "return len(bytes(1 << 40))",
        "open('mine', 'w').close(); return [os.listdir(), os.getcwd() == os.environ['HOME']]",
        "return os.getcwd()",
    ]
    case = pack({"args": [1], "kwargs": {}})
    jobs = [Job(f"import os\ndef f(x):\n    {body}", "f", (case,)) for body in bodies]
    with Sandbox("limits", timeout=4) as box, ThreadPoolExecutor(len(jobs)) as pool:
        outcomes = list(pool.map(box.run, jobs))
    ways = [outcome.ended for outcome in outcomes]
    assert ways == ["finished", "timeout", "exited", "finished", "finished", "finished"]
    seen = [unpack(one) for outcome in outcomes for one in outcome.observations]
    assert seen[0]["result"] == 2
    assert seen[1]["error"]["type"] == "MemoryError"
    assert seen[2]["result"] == [["mine"], True]
    assert not os.path.exists(seen[3]["result"])
