"""The system calls of Linux that shut a process in: namespaces, a root of its own, no privileges.

This file imports nothing of the package, so that the server can be shut in before it imports torch.
Run as a file it tries all of it, which is how `available` knows.
"""

import ctypes
import os
import platform
import random
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

_NEW_MOUNTS, _NEW_CGROUP, _NEW_UTS, _NEW_IPC = 0x00020000, 0x02000000, 0x04000000, 0x08000000
_NEW_USER, _NEW_PIDS, _NEW_NETWORK = 0x10000000, 0x20000000, 0x40000000
_NOSUID, _NODEV, _NOEXEC, _BIND, _RECURSIVE, _PRIVATE = 0x2, 0x4, 0x8, 0x1000, 0x4000, 0x40000
_DETACH = 2  # umount2
_SYS_MOUNT_SETATTR, _HERE, _AT_RECURSIVE = 442, -100, 0x8000
_ATTRIBUTES_READ_ONLY_NOSUID = (3).to_bytes(8, sys.byteorder) + bytes(24)  # struct mount_attr
_SET_DEATH_SIGNAL, _DROP_BOUND, _NO_NEW_PRIVILEGES = 1, 24, 38  # prctl
_CAPABILITY_VERSION_3 = 0x20080522
_INSIDE = 1000  # the learner's user id, as seen by the learner
_DEVICES = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom")
_CLOSED = "/closed"  # holds the texts that stand in for files
SCRATCH = "/scratch"  # the only folder to write in; /tmp too, unless a library is read from there


@cache
def available() -> str | None:
    """None where a process can be shut in here, else the sentence why not. It really tries."""
    if sys.platform != "linux":
        return f"namespaces are Linux's own, and this is {platform.system()}"
    command = [sys.executable, "-I", "-S", __file__]
    probe = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    if probe.returncode == 0:
        return None
    return (probe.stderr.strip().splitlines() or [f"the probe ended with {probe.returncode}"])[-1]


@dataclass(frozen=True)
class Enclosure:
    """What is needed to shut children in once the machine's files are out of sight.

    proc: a descriptor of /proc. spare: ids that own nothing, where this process is root.
    """

    proc: int
    spare: range | None


def become_init() -> None:
    """Go on as the first process of a process namespace: when it ends, all that it started ends.

    Raises:
        OSError: that is not allowed here.
    """
    uid, gid = os.geteuid(), os.getegid()
    if _spare_ids():
        _call("unshare", _NEW_PIDS | _NEW_MOUNTS)
    else:
        proc = os.open("/proc", os.O_RDONLY)
        _call("unshare", _NEW_PIDS | _NEW_MOUNTS | _NEW_USER)
        _map_ids(proc, f"{uid} {uid} 1", f"{gid} {gid} 1")
        os.close(proc)
    pid = os.fork()
    if pid:
        os._exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) & 0xFF)
    _call("prctl", _SET_DEATH_SIGNAL, int(signal.SIGKILL))


def enclosure() -> Enclosure:
    """Note, while /proc can still be seen, what `fork_init` and `enter_namespaces` need."""
    return Enclosure(os.open("/proc", os.O_RDONLY), _spare_ids())


@contextmanager
def new_root(shown: Iterable[str]) -> Iterator[str]:
    """Change to a root, after `become_init`, that has nothing but the files and folders `shown`.

    A link among them stays a link. Afterwards all of it is read-only.

    Yields:
        The folder in which the old root can still be seen, to furnish the new one from.
    """
    real = {path: os.path.realpath(path) for path in (*shown, *_DEVICES)}
    links = {path for path in real if os.path.islink(path)}
    _mount("none", "/", _RECURSIVE | _PRIVATE)
    _mount("tmpfs", "/tmp", _NOSUID | _NODEV, "tmpfs", "mode=755")
    os.mkdir("/tmp/old")
    _call("pivot_root", "/tmp", "/tmp/old")
    os.chdir("/")
    for path, target in real.items():
        if path in links:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            os.symlink(target, path)
        else:
            bind(f"/old{target}", path)
    yield "/old"
    _call("umount2", "/old", _DETACH)
    os.rmdir("/old")
    for folder in (SCRATCH, _CLOSED):
        os.mkdir(folder)
    if not os.path.exists("/tmp"):
        os.symlink(SCRATCH, "/tmp")
    _read_only("/")


def fork_init(enclosure: Enclosure) -> int:
    """Fork, after `become_init`; the child is the first process of a namespace of its own."""
    home = os.open("self/ns/pid", os.O_RDONLY, dir_fd=enclosure.proc)
    _call("unshare", _NEW_PIDS)
    pid = -1
    try:
        pid = os.fork()
        return pid
    finally:
        if pid:  # the parent, also when it could not fork
            _call("setns", home, _NEW_PIDS)
        os.close(home)


def enter_namespaces(enclosure: Enclosure, scratch: int, texts: Mapping[str, str]) -> None:
    """Leave the parent's mounts, network, shared memory and names; and, unless root, its user ids.

    Args:
        enclosure: what was noted by the parent.
        scratch: bytes that its own SCRATCH may hold.
        texts: what single files shall read, by their names.
    """
    flags = _NEW_MOUNTS | _NEW_NETWORK | _NEW_IPC | _NEW_UTS | _NEW_CGROUP
    uid, gid = os.geteuid(), os.getegid()
    if enclosure.spare:
        _call("unshare", flags)
    else:
        _call("unshare", flags | _NEW_USER)
        _map_ids(enclosure.proc, f"{_INSIDE} {uid} 1", f"{_INSIDE} {gid} 1")
    _tell_kernel(enclosure.proc, "oom_score_adj", "1000")  # the first to go when memory runs out
    _mount("tmpfs", _CLOSED, _NOSUID | _NODEV | _NOEXEC, "tmpfs", "mode=755")
    for number, (path, text) in enumerate(texts.items()):
        with open(f"{_CLOSED}/{number}", "x", encoding="utf-8") as file:
            file.write(text)
        bind(f"{_CLOSED}/{number}", path)
        _read_only(path)
    _read_only(_CLOSED)
    options = f"size={scratch},nr_inodes=10000,mode=1777"
    _mount("tmpfs", SCRATCH, _NOSUID | _NODEV | _NOEXEC, "tmpfs", options)


def drop_privileges(enclosure: Enclosure) -> None:
    """Give up all capabilities for good; root, whom limits do not bind, becomes nobody's user."""
    capability = 0
    while _libc().prctl(_DROP_BOUND, ctypes.c_ulong(capability), 0, 0, 0) == 0:
        capability += 1
    if enclosure.spare:
        identity = random.SystemRandom().choice(enclosure.spare)
        os.setgroups([])
        os.setresgid(identity, identity, identity)
        os.setresuid(identity, identity, identity)
    header = _CAPABILITY_VERSION_3.to_bytes(4, sys.byteorder) + bytes(4)
    _call("capset", header, bytes(24))
    _call("prctl", _NO_NEW_PRIVILEGES, 1, 0, 0, 0)


def _spare_ids() -> range | None:
    """Ids that own nothing, where this process is root and may take one; else None."""
    if os.geteuid() != 0:
        return None
    with open("/proc/self/uid_map", encoding="ascii") as file:
        rows = [[int(number) for number in line.split()] for line in file]
    first, _, count = max(rows, key=lambda row: row[2])
    return range(first + count // 2, first + count - 1) if count > 10_000 else None


def _map_ids(proc: int, users: str, groups: str) -> None:
    for name, text in (("setgroups", "deny"), ("uid_map", users), ("gid_map", groups)):
        _tell_kernel(proc, name, text)


def _tell_kernel(proc: int, name: str, text: str) -> None:
    file = os.open(f"self/{name}", os.O_WRONLY, dir_fd=proc)
    try:
        os.write(file, text.encode())
    finally:
        os.close(file)


@contextmanager
def passing_folder(path: str) -> Iterator[None]:
    """Have a folder in memory for as long as the context lasts; what was bound from it stays."""
    os.mkdir(path)
    _mount("tmpfs", path, _NOSUID | _NODEV, "tmpfs", "mode=755")
    yield
    _call("umount2", path, _DETACH)
    os.rmdir(path)


def bind(source: str, target: str) -> None:
    """Show a file or folder at another place too, which is made if need be."""
    if os.path.isdir(source):
        os.makedirs(target, exist_ok=True)
    elif not os.path.exists(target):
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(target, "x", encoding="utf-8"):
            pass
    _mount(source, target, _BIND | _RECURSIVE)


def _read_only(path: str) -> None:
    attributes = _ATTRIBUTES_READ_ONLY_NOSUID
    _call("syscall", _SYS_MOUNT_SETATTR, _HERE, path, _AT_RECURSIVE, attributes, len(attributes))


def _mount(source: str, target: str, flags: int, kind: str = "none", options: str = "") -> None:
    _call("mount", source, target, kind, flags, options)


def _call(name: str, *arguments: int | str | bytes) -> None:
    """Make a system call; OSError that names it and its arguments when it fails."""
    plain = [
        ctypes.c_long(a) if isinstance(a, int) else os.fsencode(a) if isinstance(a, str) else a
        for a in arguments
    ]
    if getattr(_libc(), name)(*plain) < 0:
        shown = ", ".join(str(a) for a in arguments if not isinstance(a, bytes))
        code = ctypes.get_errno()
        raise OSError(code, f"the system refuses {name}({shown}): {os.strerror(code)}")


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _probe() -> None:
    become_init()
    shut = enclosure()
    with new_root(["/usr/lib"]):
        pass
    pid = fork_init(shut)
    if pid:
        os._exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) & 0xFF)
    enter_namespaces(shut, scratch=1 << 20, texts={})
    drop_privileges(shut)


if __name__ == "__main__":
    try:
        _probe()
    except OSError as error:
        sys.exit(error.strerror)
