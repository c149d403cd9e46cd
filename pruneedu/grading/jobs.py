"""What goes into the sandbox and what comes out of it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Job:
    """One answer to run.

    source: Python source of the learner's definitions.
    function: the name to call.
    cases: packed arguments.
    hidden: dotted paths of the library functions that must raise meanwhile.
    needs_dynamo: whether it is likely to make an optimizer or take a gradient by `torch.func`, the
        first of which imports `torch._dynamo` for 1.5 s: the server then does it for all to come.
    """

    source: str
    function: str
    cases: tuple[bytes, ...]
    hidden: tuple[str, ...] = ()
    needs_dynamo: bool = False


@dataclass(frozen=True)
class Outcome:
    """What came back: bytes that nobody has looked at yet.

    observations: one for each case, in order, as far as they came.
    ended: "finished" when all came; "timeout", "too much output", "killed" (by a signal) or
        "exited" (it ended its own process); "failed to start" is no fault of the answer.
    detail: a sentence.
    seconds: how long it ran.
    """

    observations: tuple[bytes, ...]
    ended: str
    detail: str
    seconds: float
