import errno
import inspect
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import pruneedu
from pruneedu.course.plain import NotPlainError, pack, unpack
from pruneedu.grading import isolation
from pruneedu.grading.jobs import Job
from pruneedu.grading.sandbox import Sandbox

PROJECT = Path(__file__).parents[2]
KEEP_TOP = ("pruneedu.pruning.selection.keep_top",)
TIMEOUT = 4.0

missing = isolation.available()
pytestmark = [
    pytest.mark.namespaces,
    pytest.mark.skipif(missing is not None, reason=f"no namespaces: {missing}"),
]


# What lies around the package in a clone, and what in the package must not be seen.
INSIDE = [".git", "solutions", "lessons", "tests", "pyproject.toml", "README.md"]
INSIDE += ["pruneedu/course/lessons", "pruneedu/course/notebooks", "pruneedu/grading"]


@pytest.fixture(scope="module")
def box():
    with Sandbox("namespaces", timeout=TIMEOUT, output=8 << 20, scratch=4 << 20) as box:
        yield box


def job(body, *cases, hidden=()):
    """A job whose function `f(x)` has this body; without cases, it is called once with 1."""
    source = "import os, sys, torch\ndef f(x):\n" + textwrap.indent(textwrap.dedent(body), "    ")
    packed = tuple(pack({"args": [case], "kwargs": {}}) for case in cases or (1,))
    return Job(source, "f", packed, hidden)


def results(outcome):
    """The values that came back; an error as its type's name."""
    seen = [unpack(observation) for observation in outcome.observations]
    return [one["result"] if "result" in one else one["error"]["type"] for one in seen]


def value(box, body, hidden=()):
    """What a body returns that runs to its end."""
    outcome = box.run(job(body, hidden=hidden))
    assert outcome.ended == "finished", outcome
    return results(outcome)[0]


def ends(box, body, *cases):
    """How a body ends, and what came back until then."""
    outcome = box.run(job(body, *cases))
    assert outcome.detail
    return outcome.ended, results(outcome)


@pytest.fixture(autouse=True)
def honest_afterwards(box):
    """Whatever a test did, the next honest answer is right."""
    yield
    a, b = torch.arange(6.0).reshape(2, 3), torch.ones(3, 2)
    outcome = box.run(job("return x @ torch.ones(3, 2)", a))
    assert outcome.ended == "finished", outcome
    assert torch.equal(results(outcome)[0], a @ b)


# Honest answers


def test_one_observation_for_each_case_in_order(box):
    outcome = box.run(job("return x * 2", 1, 2.5, "ab", [1, 2]))
    assert (outcome.ended, results(outcome)) == ("finished", [2, 5.0, "abab", [1, 2, 1, 2]])
    assert 0 < outcome.seconds < TIMEOUT


def test_a_threaded_product_and_an_optimizer_work_after_the_fork(box):
    body = """
    model = torch.nn.Linear(300, 300)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    before = model(x).square().mean()
    before.backward()
    optimizer.step()
    return bool(model(x).square().mean() < before)
    """
    outcome = box.run(replace(job(body, torch.randn(400, 300) / 100), needs_dynamo=True))
    assert results(outcome) == [True], outcome


def test_what_an_optimizer_imports_is_imported_once_for_all_jobs_to_come(box):
    first = replace(job("return 'torch._dynamo' in sys.modules"), needs_dynamo=True)
    assert results(box.run(first)) == [True]
    assert value(box, "return 'torch._dynamo' in sys.modules") is True


def test_random_numbers_are_the_same_in_every_run(box):
    body = """
    import random
    import numpy
    return [random.random(), float(numpy.random.rand()), torch.rand(()).item(), hash("a")]
    """
    assert value(box, body) == value(box, body)


def test_errors_come_back_as_observations(box):
    assert ends(box, "return 1 / x", 1, 0, 2) == ("finished", [1.0, "ZeroDivisionError", 0.5])


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("import nothing_like_this\ndef f(x): return x", "ModuleNotFoundError"),
        ("def f(x) return x", "SyntaxError"),
        ("def g(x): return x", "NameError"),
        ("raise SystemExit('bye')\ndef f(x): return x", "SystemExit"),
        ("f = 3", "TypeError"),
    ],
)
def test_definitions_that_fail_give_their_error_for_each_case(box, source, error):
    cases = job("", 1, 2).cases
    outcome = box.run(Job(source, "f", cases))
    assert (outcome.ended, results(outcome)) == ("finished", [error, error])


def test_a_reference_that_does_not_exist_is_the_graders_fault(box):
    outcome = box.run(job("return x", hidden=("pruneedu.pruning.selection.nothing",)))
    assert outcome.ended == "failed to start"
    assert outcome.observations == ()
    assert "no function pruneedu.pruning.selection.nothing" in outcome.detail


def test_several_threads_share_a_sandbox(box):
    with ThreadPoolExecutor(4) as pool:
        outcomes = list(pool.map(lambda n: box.run(job(f"return x * {n}", n)), range(12)))
    assert [results(outcome) for outcome in outcomes] == [[n * n] for n in range(12)]


# Ending its own process, and never ending


def test_sys_exit_is_an_error_like_another(box):
    assert ends(box, "sys.exit(x)", 0, 1) == ("finished", ["SystemExit", "SystemExit"])


def test_os_exit_ends_the_answer_with_what_had_come_back(box):
    assert ends(box, "if x == 2: os._exit(0)\nreturn x", 1, 2, 3) == ("exited", [1])


def test_a_crash_ends_the_answer(box):
    ended, seen = ends(box, "import ctypes\nctypes.string_at(0)")
    assert (ended, seen) == ("killed", [])


def test_endless_answers_end_at_the_time_limit_and_their_siblings_finish(box):
    deaf = """
    import signal, time
    for number in (signal.SIGTERM, signal.SIGALRM, signal.SIGINT, signal.SIGXCPU):
        signal.signal(number, lambda *_: None)
    while True:
        time.sleep(1)
    """
    fork_bomb = """
    while True:
        try:
            if os.fork() == 0:
                os.setsid()
        except OSError:
            pass
    """
    bodies = ["while True: pass", deaf, "os.closerange(0, 100)\nwhile True: pass", fork_bomb]
    bodies.append("import time\ntime.sleep(1)\nreturn 'honest'")
    start = time.monotonic()
    with ThreadPoolExecutor(len(bodies)) as pool:
        *endless, honest = pool.map(lambda body: ends(box, body), bodies)
    assert endless == [("timeout", [])] * 4
    assert honest == ("finished", ["honest"])
    assert time.monotonic() - start < 3 * TIMEOUT


# Using too much


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("return torch.ones(200_000_000_000).sum().item()", "RuntimeError"),
        ("return len(bytes(1 << 40))", "MemoryError"),
        ("kept = []\nwhile True: kept.append(torch.empty(1 << 24))", "RuntimeError"),
        (
            "import signal, threading\nwhile True: threading.Thread(target=signal.pause).start()",
            "RuntimeError",
        ),
        ("return [open('/dev/null') for _ in range(1000)]", "OSError"),
        ("with open('/scratch/big', 'wb') as file: file.write(bytes(5 << 20))", "OSError"),
        ("for n in range(5): open(f'/scratch/{n}', 'wb').write(bytes(1 << 20))", "OSError"),
        ("for n in range(20_000): open(f'/scratch/{n}', 'wb').close()", "OSError"),
        ("y = []\nfor _ in range(100_000): y = [y]\nreturn y", "NotPlainError"),
        ("return 10 ** 100_000", "NotPlainError"),
    ],
)
def test_too_much_is_refused(box, body, error):
    assert ends(box, body) == ("finished", [error])


def test_timers_are_counted(box):
    body = """
    import ctypes
    create, timer, made = ctypes.CDLL(None).timer_create, ctypes.c_void_p(), 0
    while made < 1000 and create(0, None, ctypes.byref(timer)) == 0:
        made += 1
    return made
    """
    assert 0 < value(box, body) <= 16


def test_processes_are_counted_and_none_stays(box):
    body = """
    started = 0
    try:
        while True:
            if os.fork() == 0:
                os.setsid()
                signal.pause()
            started += 1
    except BlockingIOError:
        return started
    """
    assert value(box, "import signal\n" + textwrap.dedent(body)) < box.limits.processes
    assert len(processes(command_of(box))) == 2


def processes(command):
    """The processes of a sandbox: without a job, the server and the one that waits for it."""
    return [p.name for p in Path("/proc").glob("[0-9]*") if command in _command_line(p)]


def command_of(box):
    return "\0".join(box._server.args)


def _command_line(process):
    try:
        return (process / "cmdline").read_text()
    except OSError:
        return ""


def test_fifty_megabytes_of_printing_and_a_question_cost_nothing(box):
    body = """
    print("x" * 50_000_000)
    print("x" * 50_000_000, file=sys.stderr)
    try:
        input("?")
    except EOFError:
        return "no answer"
    """
    assert value(box, body) == "no answer"


def test_more_output_than_allowed_ends_the_answer(box):
    ended, seen = ends(box, "return torch.zeros(1 << 20)", *range(4))  # 4 MB each, 8 MB allowed
    assert ended == "too much output"
    assert len(seen) == 1


# Writing into descriptors

WRITE = """
for descriptor in range(100):
    try:
        for _ in range({times}):
            os.write(descriptor, bytes([255]) * 100_000)
    except OSError:
        pass
"""


@pytest.mark.parametrize(
    ("body", "ended"),
    [
        ("os.closerange(0, 100)", "exited"),
        (WRITE.format(times=1), "exited"),
        (WRITE.format(times=1000), "too much output"),
    ],
)
def test_rubbish_in_every_descriptor_costs_the_answer_alone(box, body, ended):
    assert ends(box, body) == (ended, [])


def test_forged_messages_are_no_plain_data(box):
    body = (
        "for n in range(3, 100):\n    try: os.write(n, bytes(7) + b'3abc')\n    except OSError: 0"
    )
    outcome = box.run(job(body))
    assert len(outcome.observations) <= 1
    for observation in outcome.observations:
        with pytest.raises(NotPlainError):
            unpack(observation)


# Reading and writing files


def test_only_libraries_and_the_closed_package_can_be_read(box):
    body = f"""
    found = []
    for folder, folders, files in os.walk("/"):
        folders[:] = [name for name in folders if name not in ("lib", "lib64")]
        found += [os.path.join(folder, name) for name in files]
    project = [os.path.exists(os.path.join({str(PROJECT)!r}, name)) for name in {INSIDE!r}]
    return [found, project, os.listdir(os.environ["HOME"]), os.getcwd(), sorted(os.listdir("/dev"))]
    """
    found, project, home, folder, devices = value(box, body, hidden=KEEP_TOP)
    package = str(Path(pruneedu.__file__).parent)
    outside = [path for path in found if not path.startswith((package, "/dev/", "/closed/"))]
    assert outside == []
    assert not [path for path in found if "lessons" in path or path.endswith((".pyc", ".ipynb"))]
    assert f"{package}/pruning/selection.py" in found
    assert project == [False] * len(INSIDE)
    assert (home, folder, devices) == ([], "/scratch", ["null", "random", "urandom", "zero"])


def test_the_cases_cannot_be_imported_nor_found_in_memory(box):
    body = """
    import gc, importlib
    from types import ModuleType
    gc.unfreeze()
    seen = [one.__name__ for one in gc.get_objects() if isinstance(one, ModuleType)]
    for name in ("pruneedu.course.lessons", "pruneedu.course.lessons.lesson_02", "solutions"):
        try:
            importlib.import_module(name)
        except ModuleNotFoundError:
            seen.append("absent")
    return [name for name in seen if "lesson" in name or name == "absent"]
    """
    assert value(box, body) == ["pruneedu.course.lesson", "absent", "absent", "absent"]


def test_nothing_can_be_written_but_a_scratch_that_is_new_for_each_answer(box):
    places = [torch.__file__, pruneedu.__file__, "/x", "/closed/x", "/dev/x", "/usr/lib/x"]
    body = f"""
    seen = []
    for path in {places!r}:
        for attempt in (lambda: open(path, "a"), lambda: os.remove(path)):
            try:
                attempt()
                seen.append(path)
            except OSError:
                pass
    seen += os.listdir(".")
    with open("mine", "w") as file:
        file.write("mine")
    return [seen, os.listdir(".")]
    """
    assert value(box, body) == [[], ["mine"]]
    assert value(box, body) == [[], ["mine"]]


# The library's own reference


def test_the_reference_raises_under_every_name_and_reads_closed(box):
    body = """
    import gc, importlib, inspect
    import pruneedu as pe
    from types import FunctionType
    from pruneedu.pruning import selection
    scores = {"a": torch.tensor([3.0, 1.0, 2.0])}
    gc.unfreeze()
    functions = [one for one in gc.get_objects() if isinstance(one, FunctionType)]
    held = [function for function in functions if function.__name__ == "keep_top"]
    seen = []
    def attempt(function):
        try:
            seen.append(function(scores, 0.5))
        except RuntimeError as error:
            seen.append(str(error)[:50])
    for function in (pe.keep_top, pe.pruning.keep_top, selection.keep_top, *held):
        attempt(function)
    seen += [inspect.getsource(pe.keep_top).splitlines()[-1].strip()[:50]]
    attempt(importlib.reload(selection).keep_top)
    return [seen, LAST in open(selection.__file__).read(), list(pe.cubic(0.8, 2))]
    """
    last = inspect.getsource(pruneedu.keep_top).splitlines()[-1].strip()
    seen, in_file, others = value(
        box, f"LAST = {last!r}\n" + textwrap.dedent(body), hidden=KEEP_TOP
    )
    closed = "keep_top: the library's own version is closed whi"
    assert [text.removeprefix('raise RuntimeError("')[:30] for text in seen] == [closed[:30]] * 6
    assert not in_file
    assert others == pruneedu.cubic(0.8, 2)


def test_without_a_hidden_reference_the_library_is_whole(box):
    body = "import pruneedu as pe\nreturn pe.keep_top({'a': torch.tensor([3.0, 1.0])}, 0.5)['a']"
    assert value(box, body).tolist() == [True, False]


def test_a_patched_library_is_whole_again_for_the_next_answer(box):
    assert value(box, "torch.allclose = lambda *_: True\ntorch.add = None\nreturn 1") == 1
    assert value(box, "return torch.allclose(torch.ones(2), torch.zeros(2))") is False


# Reaching beyond the process


def test_no_signal_leaves_the_process_and_a_sibling_goes_on(box):
    body = """
    sent = []
    for pid in (1, -1, os.getppid(), *range(2, 3000)):
        try:
            os.kill(pid, 9)
            sent.append(pid)
        except ProcessLookupError:
            pass
    return [os.getpid(), sent]
    """
    with ThreadPoolExecutor(2) as pool:
        sibling = pool.submit(box.run, job("import time\ntime.sleep(1)\nreturn x"))
        assert value(box, body) == [1, [1, 0]]  # to itself, which as process 1 does not take it
        assert results(sibling.result()) == [1]


def test_a_daemon_ends_with_the_answer(box):
    body = """
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            signal.pause()
        os._exit(0)
    return "done"
    """
    assert value(box, "import signal\n" + textwrap.dedent(body)) == "done"
    assert len(processes(command_of(box))) == 2


def test_there_is_no_network(box):
    body = """
    import socket, urllib.request
    seen = []
    def attempt(function):
        try:
            seen.append(str(function()))
        except OSError as error:
            seen.append(type(error).__name__)
    attempt(lambda: socket.create_connection(("127.0.0.1", 22), timeout=1))
    attempt(lambda: urllib.request.urlopen("http://127.0.0.1/", timeout=1))
    for family in (socket.AF_INET, socket.AF_UNIX, 40):  # 40: AF_VSOCK, to the machine's host
        attempt(lambda: socket.socket(family))
    return seen
    """
    refused = ["PermissionError", "URLError", *["PermissionError"] * 3]
    assert value(box, body) == refused


def test_privileges_cannot_be_had_back(box):
    body = """
    import ctypes
    libc = ctypes.CDLL(None, use_errno=True)
    call = lambda result: ctypes.get_errno() if result == -1 else "done"
    return [
        call(libc.mount(b"none", b"/scratch", b"tmpfs", 0, b"")),
        call(libc.umount2(b"/scratch", 2)),
        call(libc.unshare(0x10000000)),
        call(libc.chroot(b"/scratch")),
        call(libc.ptrace(0, 0, 0, 0)),
        call(libc.setuid(0)),
        call(libc.setgid(0)),
        call(libc.setns(0, 0)),
        call(libc.sethostname(b"x", 1)),
        call(libc.shmget(0, 4096, 0o1600)),
        call(libc.memfd_create(b"x", 0)),
        os.getuid(),
    ]
    """
    *refused, user = value(box, body)
    assert set(refused) <= {errno.EPERM, errno.EINVAL}  # EINVAL: the id 0 does not exist here
    assert user > 0


# The server itself


def test_a_server_that_died_is_started_again(box):
    box._server.kill()
    box._server.wait()
    assert value(box, "return 2") == 2


TRUSTED = """
import sys, threading
from pathlib import Path
from pruneedu.course.plain import pack
from pruneedu.grading.sandbox import Job, Sandbox
with Sandbox("namespaces", timeout=60) as box:
    case = pack({"args": [1], "kwargs": {}})
    endless = Job("def f(x):\\n    while True: pass", "f", (case,))
    threading.Thread(target=box.run, args=(endless,)).start()
    Path(sys.argv[1]).write_text(chr(0).join(box._server.args))
    threading.Event().wait()
"""


def test_nothing_is_left_when_the_trusted_side_is_killed(tmp_path):
    note = tmp_path / "command"
    with subprocess.Popen([sys.executable, "-c", TRUSTED, str(note)]) as trusted:
        try:
            wait_until(note.exists)
            command = note.read_text()
            wait_until(lambda: len(processes(command)) == 3)  # with the endless answer
        finally:
            trusted.kill()
    wait_until(lambda: not processes(command))


def wait_until(true, seconds=60):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it has not happened"
        time.sleep(0.05)
