"""Run a function on one case and write down what happened, as plain data.

The notebook, the tests and the sandbox all come through here, so that they judge the same thing.
"""

import linecache
import traceback
from collections.abc import Callable

import torch
from torch import Tensor, nn

from pruneedu.course.plain import NotPlainError, Tool, pack, unpack

# Characters of an error's type, of its own text, and of the line that it arose in.
MAX_NAME, MAX_MESSAGE, MAX_LINE = 80, 500, 120


def observe(function: Callable, case: bytes) -> bytes:
    """Call `function` on the arguments of a packed case.

    It never raises, whatever the function does; only Ctrl-C passes.

    Args:
        function: the learner's.
        case: `pack({"args": [...], "kwargs": {...}})`.

    Returns:
        A packed dict: "result", or "error" with its type, message and line; "gradient", where the
        result is a scalar that training could lower; and "after", the arguments as the call left
        them, or None where they are no longer plain data.

    >>> unpack(observe(abs, pack({"args": [-2], "kwargs": {}})))
    {'result': 2, 'after': {'args': [-2], 'kwargs': {}}}
    """
    sent, live = unpack(case), unpack(case, build=True)
    _leave_gradients(live)
    seen = {}
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            seen["result"] = function(*live["args"], **live["kwargs"])
            seen |= _gradient(seen["result"], live)
        pack(seen)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        seen = {"error": _describe_error(error, function)}
    try:
        return pack({**seen, "after": _after(sent, live)})
    except Exception:  # whatever the arguments have become
        return pack({**seen, "after": None})


def read_observation(message: bytes) -> dict:
    """Read what `observe` packed, without trusting it; what it did not pack is read as an error.

    Returns:
        A dict with "result" and "gradient", or with "error"; and with "after".
    """
    try:
        seen = unpack(message)
    except NotPlainError as error:
        return raised("NotPlainError", str(error))
    seen = seen if type(seen) is dict else {}
    after, error = seen.get("after"), seen.get("error")
    if type(error) is dict and all(type(error.get(k)) is str for k in ("type", "message", "line")):
        return raised(error["type"], error["message"], after, error["line"])
    if "result" in seen and "error" not in seen:
        return {"result": seen["result"], "gradient": seen.get("gradient"), "after": after}
    return raised("NotPlainError", "the observation is malformed")


def raised(kind: str, message: str = "", after: object = None, line: str = "") -> dict:
    """Return an observed error, its text cut short and made printable: the learner chose it."""
    error = {
        "type": _printable(kind, MAX_NAME),
        "message": _printable(message, MAX_MESSAGE),
        "line": _printable(line, MAX_LINE),
    }
    return {"error": error, "after": after}


def own_line(error: BaseException, function: Callable) -> str:
    """Return the text of the line, in the function's own cell, that an error came through last.

    It is empty where no line of that cell had a part in it, or its text is not known.
    """
    cell = getattr(getattr(function, "__code__", None), "co_filename", None)
    steps = traceback.walk_tb(error.__traceback__)
    lines = [(number, f.f_globals) for f, number in steps if f.f_code.co_filename == cell]
    return linecache.getline(cell, *lines[-1]).strip() if lines else ""


def _models(live: dict) -> list[nn.Module]:
    return [a for a in (*live["args"], *live["kwargs"].values()) if isinstance(a, nn.Module)]


def _leave_gradients(live: dict) -> None:
    """Give the models old gradients, as training leaves them: an answer that adds to them shows."""
    for model in _models(live):
        for weight in model.parameters():
            weight.grad = torch.ones_like(weight)


def _gradient(result: object, live: dict) -> dict:
    """The gradient of a scalar: a penalty that lost it has the right value and trains nothing."""
    named = (pair for model in _models(live) for pair in model.named_parameters())
    weights = {name: weight for name, weight in named if weight.requires_grad}
    if not (weights and type(result) is Tensor and result.ndim == 0 and result.requires_grad):
        return {}
    found = torch.autograd.grad(
        result, list(weights.values()), allow_unused=True, materialize_grads=True
    )
    return {"gradient": dict(zip(weights, found, strict=True))}


def _after(sent: dict, live: dict) -> dict:
    """The arguments after the call; a tool stays the description that was sent."""
    args = [
        s if isinstance(s, Tool) else a for s, a in zip(sent["args"], live["args"], strict=True)
    ]
    kwargs = {
        k: s if isinstance(s, Tool) else live["kwargs"].get(k) for k, s in sent["kwargs"].items()
    }
    return {"args": args, "kwargs": kwargs}


def _describe_error(error: BaseException, function: Callable) -> dict[str, str]:
    try:
        return {
            "type": _text(type(error).__name__, MAX_NAME),
            "message": _text(str(error), MAX_MESSAGE),
            "line": _text(own_line(error, function), MAX_LINE),
        }
    except BaseException:  # its own text may raise whatever it likes
        return {"type": "an error", "message": "", "line": ""}


def _text(text: str, most: int) -> str:
    """The start of a text, as exactly a `str`, without what no file can hold."""
    return str.encode(text, errors="replace").decode()[:most]


def _printable(text: str, most: int) -> str:
    return "".join(
        c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text[:most]
    )
