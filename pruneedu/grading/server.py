"""The fork server: imports the library once, then forks a child for each job. It holds no secret.

It runs as a process of its own, which `sandbox.Sandbox` starts.
"""

import gc
import importlib
import json
import os
import select
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from pruneedu.course.closing import closed_version
from pruneedu.grading import frames, isolation
from pruneedu.grading.limits import Limits
from pruneedu.grading.view import show_package, shown_folders
from pruneedu.grading.worker import Setting, report, work
from pruneedu.seeds import seed_everything

# What a learner's function may need; the tensors that come back need ctypeslib.
_LIBRARY = ("math", "numpy", "numpy.ctypeslib", "pruneedu", "pruneedu.course.tools")
_DYNAMO = "torch._dynamo"  # what the first optimizer or `torch.func.grad` of a process imports
_TASKS, _SIZES = "/proc/self/task", "/proc/self/statm"
_SECRET = "pruneedu.course.lessons"


@dataclass(frozen=True)
class _Child:
    status: socket.socket
    scratch: str
    started: float


def main(control: int, limits: dict, namespaces: bool) -> None:
    """Serve the trusted side at the other end of the descriptor `control` until it closes it."""
    os.umask(0o022)
    for name in _LIBRARY:
        importlib.import_module(name)
    if _SECRET in sys.modules:
        raise RuntimeError(f"the library imports {_SECRET}: a learner's code could read the cases")
    enclosure = isolation.enclosure() if namespaces else None
    tasks, sizes = (
        os.open(path, os.O_RDONLY) if os.path.exists(path) else None for path in (_TASKS, _SIZES)
    )
    setting = Setting(Limits(**limits), sizes, tasks, enclosure)
    if namespaces:
        with isolation.new_root(shown_folders()) as old:
            show_package(old)
        # torch._dynamo wants a folder to be there; the children write into one of their own.
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = isolation.SCRATCH
    importlib.invalidate_caches()
    seed_everything(0)  # what it reads and imports is then there for all children
    _freeze()
    with socket.socket(fileno=control) as connection:
        connection.sendall(b"ready")
        os.dup2(0, 2)  # nobody reads what is written from here on
        _serve(connection, setting)
    os._exit(0)  # taking a thousand modules down one by one would take 0.2 s


def _freeze() -> None:
    """Keep the collector of a child off the library: it would write to, and so copy, its pages."""
    gc.collect()
    gc.freeze()


def _serve(control: socket.socket, setting: Setting) -> None:
    """Start the jobs that come in, stop those that are late or not waited for, report the ended."""
    children: dict[int, _Child] = {}
    stopped: dict[int, str] = {}  # why a child that still has to end was killed
    woken = _wake_when_a_child_ends()
    while True:
        running = {pid: child for pid, child in children.items() if pid not in stopped}
        ready = _wait([control, woken], running.values(), setting.limits.timeout)
        if control in ready:
            message, descriptors, *_ = socket.recv_fds(control, 4096, 2)
            if not message:
                break
            paths, needs_dynamo = json.loads(message)
            hidden = tuple(paths)
            _prepare(hidden, needs_dynamo)
            children.update(_start(hidden, *map(_socket, descriptors), setting))
        if woken in ready:
            woken.recv(4096)
        for pid, child in running.items():
            late = time.monotonic() >= child.started + setting.limits.timeout
            if late or child.status in ready:
                stopped[pid] = "timeout" if late else "killed"
                _kill(pid)
        for pid, code in _ended():
            _close(children.pop(pid), *_reason(code, stopped.pop(pid, ""), setting.limits.timeout))
    for pid, child in children.items():
        _kill(pid)
        _close(child, "killed", "the grader went away")


def _prepare(hidden: tuple[str, ...], needs_dynamo: bool) -> None:
    """Do once, for all children, what each would do."""
    with suppress(Exception):  # the child that fails will say why
        closed_version(hidden)
    if needs_dynamo and _DYNAMO not in sys.modules:
        importlib.import_module(_DYNAMO)
        _freeze()


def _wake_when_a_child_ends() -> socket.socket:
    woken, wake = socket.socketpair()
    wake.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake.detach())
    return woken


def _wait(sockets: list, children, timeout: float) -> list:
    """The sockets that have news, the children's too; maybe none, once the oldest is too old."""
    first = min((child.started for child in children), default=None)
    pause = None if first is None else max(0.0, first + timeout - time.monotonic())
    return select.select([*sockets, *(child.status for child in children)], [], [], pause)[0]


def _socket(descriptor: int) -> socket.socket:
    return socket.socket(fileno=descriptor)


def _start(
    hidden: tuple[str, ...], data: socket.socket, status: socket.socket, setting: Setting
) -> dict[int, _Child]:
    """Fork a child for the job that comes over `data`; the child itself never returns."""
    scratch = isolation.SCRATCH if setting.enclosure else tempfile.mkdtemp(prefix="pruneedu-")
    child = _Child(status, scratch, time.monotonic())
    with data:
        try:
            pid = _fork(setting)
        except OSError as error:
            _close(child, "failed to start", str(error))
            return {}
        if pid == 0:
            work(data, status, setting, scratch, hidden)
    return {pid: child}


def _fork(setting: Setting) -> int:
    if setting.tasks is not None and (threads := len(os.listdir(setting.tasks))) != 1:
        raise OSError(f"the server has {threads} threads, so its children could hang")
    return isolation.fork_init(setting.enclosure) if setting.enclosure else os.fork()


def _kill(pid: int) -> None:
    for kill in (os.kill, os.killpg):
        with suppress(ProcessLookupError, PermissionError):
            kill(pid, signal.SIGKILL)


def _ended() -> Iterator[tuple[int, int]]:
    """Reap the children that have ended: each one's id and exit code, minus the signal if one."""
    with suppress(ChildProcessError):
        while (result := os.waitpid(-1, os.WNOHANG))[0]:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(result[0], signal.SIGKILL)  # what it left running, without namespaces
            yield result[0], os.waitstatus_to_exitcode(result[1])


def _reason(code: int, stopped: str, timeout: float) -> tuple[str, str]:
    """How a child ended: one of the words of `sandbox.Outcome`, and a sentence."""
    if stopped == "timeout":
        return "timeout", f"it was still running after {timeout:g} s"
    if stopped:
        return "killed", "the grader had read enough"
    if code >= 0:
        return "exited", f"the code ended its own process, with exit code {code}"
    if -code == signal.SIGKILL:
        return "killed", "the system ended the process, most likely because memory ran out"
    return "killed", f"the process was ended by signal {-code} ({signal.strsignal(-code)})"


def _close(child: _Child, ended: str, detail: str) -> None:
    with suppress(OSError):  # the trusted side may wait no more
        frames.send(child.status, report(ended, detail, time.monotonic() - child.started))
    child.status.close()
    if child.scratch != isolation.SCRATCH:
        shutil.rmtree(child.scratch, ignore_errors=True)
