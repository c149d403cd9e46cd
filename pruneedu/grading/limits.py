"""What one job may use, and the system calls that hold it to that."""

import math
import os
import resource
from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """What one job may use.

    timeout: wall-clock seconds.
    memory: bytes of a process, beyond what the library takes already.
    processes: processes and threads together.
    files: open files of a process.
    scratch: bytes in its folder, and in one file.
    output: bytes that are read from it.
    """

    timeout: float = 10.0
    memory: int = 1 << 30
    processes: int = 8
    files: int = 64
    scratch: int = 64 << 20
    output: int = 64 << 20


def address_space(statm: int | None) -> int | None:
    """Bytes that a process has mapped; None where the system does not tell (macOS).

    Arguments: statm, a descriptor of its /proc/…/statm, if there is one.
    """
    if statm is None:
        return None
    return int(os.pread(statm, 100, 0).split()[0]) * os.sysconf("SC_PAGE_SIZE")


def set_limits(limits: Limits, mapped: int | None) -> None:
    """Hold this process and all that it starts to `limits`, for good.

    Args:
        limits: what it may use.
        mapped: bytes mapped already; a torch for GPUs maps gigabytes by its import.
    """
    seconds = math.ceil(limits.timeout) + 1  # of computing, for what escapes the clock on the wall
    bounds = {
        "RLIMIT_CPU": seconds,
        "RLIMIT_NPROC": limits.processes,
        "RLIMIT_NOFILE": limits.files,
        "RLIMIT_FSIZE": limits.scratch,
        "RLIMIT_CORE": 0,
        "RLIMIT_MSGQUEUE": 0,
        "RLIMIT_SIGPENDING": 16,  # also timers, whose firing costs whoever runs just then
    }
    if mapped is not None:
        bounds["RLIMIT_AS"] = mapped + limits.memory
    for name, bound in bounds.items():
        kind = getattr(resource, name, None)  # some are Linux's own
        if kind is not None:
            hard = resource.getrlimit(kind)[1]
            bound = bound if hard == resource.RLIM_INFINITY else min(bound, hard)
            resource.setrlimit(kind, (bound, bound))
