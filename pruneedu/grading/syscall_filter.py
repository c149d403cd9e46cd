"""A filter that refuses the system calls through which namespaces and limits could be passed by."""

import ctypes
import errno
import platform
import struct

# Numbers of x86_64 and of aarch64, from the kernel's unistd.h.
_REFUSED = {
    # A new user namespace would bring back privileges: mounts, and memory that no limit counts.
    "unshare": (272, 97),
    "setns": (308, 268),
    # A door into another process.
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "pidfd_getfd": (438, 438),
    # A keyring is inherited, so siblings would share it.
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    # Memory that lives on without being mapped: RLIMIT_AS does not count it.
    "shmget": (29, 194),
    "msgget": (68, 186),
    "semget": (64, 190),
    "memfd_create": (319, 279),
    # Some families, such as AF_VSOCK, know no network namespaces.
    "socket": (41, 198),
    # Large and young parts of the kernel that no exercise needs.
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
}
_CLONE = (56, 220)
_CLONE3 = (435, 435)  # its flags are out of a filter's reach; libc falls back to clone
_MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}  # column, AUDIT_ARCH
_NEW_NAMESPACES = 0x7E020000  # CLONE_NEWNS, CGROUP, UTS, IPC, USER, PID, NET
_X32 = 0x40000000  # x86_64's second table of calls starts here

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16  # offsets in struct seccomp_data
_PR_SET_SECCOMP, _MODE_FILTER = 22, 2


def unknown_machine() -> str | None:
    """None where the numbers of the system calls are known, else the sentence that they are not."""
    if platform.machine() in _MACHINES:
        return None
    return f"the system calls of {platform.machine()} are not known, only {', '.join(_MACHINES)}"


def install() -> None:
    """Refuse the calls above to this process, which has no_new_privs, and all that it starts.

    Raises:
        OSError: the kernel does not take the filter.
    """
    program = _program()
    code = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("HxxxxxxQ", len(program) // 8, ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    mode, pointer = ctypes.c_ulong(_MODE_FILTER), ctypes.c_char_p(header)
    if libc.prctl(_PR_SET_SECCOMP, mode, pointer, ctypes.c_ulong(0), ctypes.c_ulong(0)):
        raise OSError(ctypes.get_errno(), "the kernel does not take a filter of system calls")


def _program() -> bytes:
    column, architecture = _MACHINES[platform.machine()]
    steps = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
        *_refuse(_AT_LEAST, _X32, errno.ENOSYS),
        *_refuse(_EQUAL, _CLONE3[column], errno.ENOSYS),
    ]
    for numbers in _REFUSED.values():
        steps += _refuse(_EQUAL, numbers[column], errno.EPERM)
    steps += [(_EQUAL, 0, 3, _CLONE[column]), (_LOAD, 0, 0, _FIRST_ARGUMENT)]
    steps += [*_refuse(_ANY_BIT, _NEW_NAMESPACES, errno.EPERM), (_RETURN, 0, 0, _ALLOW)]
    return b"".join(struct.pack("HBBI", *step) for step in steps)


def _refuse(test: int, value: int, error: int) -> list[tuple[int, int, int, int]]:
    return [(test, 0, 1, value), (_RETURN, 0, 0, _ERRNO | error)]
