"""The trusted side's door to untrusted code: jobs go in, bytes come out. It runs none of it."""

import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Literal, Self

from pruneedu.grading import frames, syscall_filter
from pruneedu.grading import isolation as namespaces
from pruneedu.grading.jobs import Job, Outcome
from pruneedu.grading.limits import Limits

# Namespaces come before the imports, so that the process that only waits stays small.
_BOOT = """
import json, runpy, sys
settings, file, folder = json.loads(sys.argv[1]), *sys.argv[2:]
if settings["namespaces"]:
    runpy.run_path(file)["become_init"]()
if folder not in sys.path:
    sys.path.insert(0, folder)
from pruneedu.grading.server import main
main(**settings)
"""
_ONE_THREAD = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
_ENVIRONMENT = {
    **dict.fromkeys(_ONE_THREAD, "1"),
    "CUDA_VISIBLE_DEVICES": "",
    "LANG": "C.UTF-8",
    "PATH": os.defpath,
    "PYTHONHASHSEED": "0",  # the same marks twice, whatever the order of a set
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",  # fewer, larger pages halve the time of a fork
}
_KEPT = ("LD_LIBRARY_PATH", "TMPDIR")
_START = 180.0  # seconds that the imports may take on a slow disk
_GRACE = 20.0  # seconds beyond the time limit until a sandbox that does not answer is given up


class Sandbox:
    """A fork server and the way to it, as a context manager. Threads may call `run` at once.

    The server starts with the context and takes as long as importing torch does. Import it there
    too, if need be, before you `wait`.

    Args:
        isolation: "namespaces", or "limits", out of which a hostile answer can break.
        limits: those fields of `limits.Limits` that are not to be the default.

    Raises:
        ValueError: another isolation.
        RuntimeError: no namespaces here.
    """

    def __init__(
        self, isolation: Literal["namespaces", "limits"] = "namespaces", **limits: float
    ) -> None:
        """Note what to start; nothing runs yet."""
        if isolation not in ("namespaces", "limits"):
            raise ValueError(f"isolation is {isolation!r}: choose 'namespaces' or 'limits'")
        self.limits = Limits(**limits)
        self._namespaces = isolation == "namespaces"
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        """Start the server."""
        reason = self._namespaces and (syscall_filter.unknown_machine() or namespaces.available())
        if reason:
            raise RuntimeError(f"no namespaces here: {reason}")
        self._start()
        return self

    def __exit__(self, *_) -> None:
        """End the server and with it whatever still runs in it."""
        self._control.close()  # the server takes this as its end
        self._errors.close()
        try:
            self._server.wait(_GRACE)
        except subprocess.TimeoutExpired:
            self._server.kill()
            self._server.wait()

    def wait(self) -> None:
        """Wait until the server has imported the library.

        Raises:
            RuntimeError: it cannot, with the reason.
        """
        with self._lock:
            self._wait()

    def run(self, job: Job) -> Outcome:
        """Run one job; whatever the learner's code does, an outcome comes back."""
        data, far_data = socket.socketpair()
        status, far_status = socket.socketpair()
        with data, status:
            with far_data, far_status:
                self._hand_over(job, far_data, far_status)
            for one in (data, status):
                one.settimeout(self.limits.timeout + _GRACE)
            observations, overflow = self._converse(data, job)
            finished = len(observations) == len(job.cases)
            if finished or overflow:
                with suppress(OSError):  # it may have ended
                    status.shutdown(socket.SHUT_WR)  # nothing more is waited for
            report = _read_report(status)
        if finished:
            report |= {"ended": "finished", "detail": "every case came back"}
        elif overflow:
            report |= {"ended": "too much output", "detail": overflow}
        return Outcome(observations=tuple(observations), **report)

    def _start(self) -> None:
        self._control, far = socket.socketpair()
        self._errors, self._ready = tempfile.TemporaryFile(), False  # noqa: SIM115
        settings = {"limits": asdict(self.limits), "namespaces": self._namespaces}
        arguments = json.dumps({**settings, "control": far.fileno()})
        package = Path(__file__).parents[2]
        with far:
            self._server = subprocess.Popen(
                [sys.executable, "-P", "-c", _BOOT, arguments, namespaces.__file__, str(package)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._errors,
                env=_ENVIRONMENT | {name: os.environ[name] for name in _KEPT if name in os.environ},
                pass_fds=[far.fileno()],
                start_new_session=True,
            )

    def _wait(self) -> None:
        if self._ready:
            return
        self._control.settimeout(_START)
        with suppress(TimeoutError):
            self._ready = self._control.recv(5) == b"ready"
        if not self._ready:
            self._errors.seek(0)
            lines = self._errors.read().decode(errors="replace").strip().splitlines()
            reason = lines[-1] if lines else f"nothing came within {_START:g} s"
            raise RuntimeError(f"the sandbox's server did not start: {reason}")

    def _hand_over(self, job: Job, *far: socket.socket) -> None:
        """Give the server its ends of a job's two connections; start it again if it has died."""
        with self._lock:
            if self._server.poll() is not None:
                self._control.close()
                self._errors.close()
                self._start()
            self._wait()
            message = json.dumps([job.hidden, job.needs_dynamo]).encode()
            with suppress(BrokenPipeError):  # it died just now: no report will come
                socket.send_fds(self._control, [message], [one.fileno() for one in far])

    def _converse(self, data: socket.socket, job: Job) -> tuple[list[bytes], str]:
        """Send the job; return its observations, and a sentence if there was too much to read."""
        header = {"source": job.source, "function": job.function, "cases": len(job.cases)}
        observations: list[bytes] = []
        with suppress(OSError):  # it has ended or does not answer: the report says which
            for message in (json.dumps(header).encode(), *job.cases):
                frames.send(data, message)
            try:
                for observation in islice(frames.receive(data, self.limits.output), len(job.cases)):
                    observations += [observation]
            except OverflowError as error:
                return observations, str(error)
        return observations, ""


def _read_report(status: socket.socket) -> dict:
    """Read how a child ended."""
    with suppress(OSError):
        for message in frames.receive(status, limit=1 << 16):
            return json.loads(message)
    return {"ended": "failed to start", "detail": "the sandbox did not answer", "seconds": 0.0}
