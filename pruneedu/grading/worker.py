"""What a child of the fork server does: read its job, shut itself in, run the learner's code."""

import json
import linecache
import os
import random
import signal
import socket
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import islice
from types import ModuleType

from pruneedu.course.closing import close, closed_version
from pruneedu.course.observing import observe
from pruneedu.grading import frames, syscall_filter
from pruneedu.grading.isolation import Enclosure, drop_privileges, enter_namespaces
from pruneedu.grading.limits import Limits, address_space, set_limits

_MOST_FILES = os.sysconf("SC_OPEN_MAX")  # the server's own limit, which is not the learner's
_ANSWER = "<answer>"  # stands for the file's name in tracebacks


@dataclass(frozen=True)
class Setting:
    """What a job runs in; only Linux has more than the limits.

    sizes: a descriptor of what the kernel says of the server's memory.
    tasks: a descriptor of the folder of its threads.
    enclosure: None without namespaces.
    """

    limits: Limits
    sizes: int | None
    tasks: int | None
    enclosure: Enclosure | None


def work(
    data: socket.socket,
    status: socket.socket,
    setting: Setting,
    scratch: str,
    hidden: tuple[str, ...],
) -> None:
    """Do one job and end the process; it never returns.

    Args:
        data: brings the job and takes its observations.
        status: takes the reason when the learner's code cannot be started, and is closed before
            its first line.
        setting: what it runs in.
        scratch: its own folder.
        hidden: dotted paths of the library functions to close.
    """
    try:
        try:
            _leave_server()
            incoming = frames.receive(data, sys.maxsize)
            job = json.loads(next(incoming))
            cases = list(islice(incoming, job["cases"]))
            _shut_in(setting, scratch, hidden)
        except Exception as error:
            frames.send(status, report("failed to start", f"{type(error).__name__}: {error}"))
            return
        _close_all_but(data.fileno())
        function = define(job["source"], job["function"])
        for case in cases:
            frames.send(data, observe(function, case))
        os._exit(0)
    finally:
        os._exit(1)


def report(ended: str, detail: str, seconds: float = 0.0) -> bytes:
    """Write how a job ended, for the trusted side."""
    return json.dumps({"ended": ended, "detail": detail, "seconds": seconds}).encode()


def define(source: str, name: str) -> Callable:
    """Run a learner's definitions; return the function `name`, or one that raises their error."""
    module = sys.modules["__main__"] = ModuleType("__main__")
    linecache.cache[_ANSWER] = (len(source), None, source.splitlines(keepends=True), _ANSWER)
    try:
        exec(compile(source, _ANSWER, "exec", dont_inherit=True), module.__dict__)
        if name not in module.__dict__:
            raise NameError(f"name '{name}' is not defined")
        return module.__dict__[name]
    except BaseException as error:
        return partial(_fail, error)


def _fail(error: BaseException, *_, **__) -> None:
    raise error


def _leave_server() -> None:
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()


def _shut_in(setting: Setting, scratch: str, hidden: tuple[str, ...]) -> None:
    """Close the references, enter the namespaces, set the limits: the last trusted act."""
    texts = close(closed_version(hidden))
    if setting.enclosure:
        enter_namespaces(setting.enclosure, setting.limits.scratch, texts)
    os.chdir(scratch)
    os.environ.update(HOME=scratch, TMPDIR=scratch, USER="learner")
    tempfile.tempdir = scratch
    random.seed(0)  # Python seeds it anew after a fork; NumPy and PyTorch keep the server's seed
    set_limits(setting.limits, address_space(setting.sizes))
    if setting.enclosure:
        drop_privileges(setting.enclosure)
        syscall_filter.install()


def _close_all_but(kept: int) -> None:
    """Close every descriptor above the standard three but one: also /proc, and the server's own."""
    os.closerange(3, kept)
    os.closerange(kept + 1, _MOST_FILES)
