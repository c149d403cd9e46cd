"""Plain data as bytes: what may cross between a learner's function and the one who judges it.

A message is a JSON description, then the tensors as one safetensors block. Nothing in it can run.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import numpy as np
import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from pruneedu.data import Split

MAX_DESCRIPTION = 1_000_000  # bytes of JSON
MAX_VALUES = 100_000  # numbers, strings, lists …: as many as so much JSON can describe
MAX_TENSORS = 64_000_000  # bytes of tensors
MAX_DEPTH = 40
MAX_DIGITS = 300
_DTYPES = {
    *(torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64),
    *(torch.bfloat16, torch.float16, torch.float32, torch.float64),
}
_HINTS = {"numpy": "call torch.from_numpy(...)", "torch": "return a plain torch.Tensor"}


class NotPlainError(ValueError):
    """A value or a message that is not plain data; the sentence says what it is."""


@dataclass(frozen=True)
class Tool:
    """A function that a case hands to the learner's function, by its name in `course.tools`."""

    name: str
    options: dict


@dataclass(frozen=True)
class ModelState:
    """A model that was received: its state dict, never the model itself."""

    state: dict


def pack(value) -> bytes:
    """Turn plain data into bytes.

    Args:
        value: made of None, bool, int, float, str, list, tuple, dict (keys: str or int), NumPy's
            single numbers (which become Python's), dense tensors, splits of a data set, models of
            `pruneedu.models` and tools, each of exactly that type.

    Returns:
        Bytes for `unpack`.

    Raises:
        NotPlainError: names the first value that is something else, or the limit that is passed.

    >>> unpack(pack({"kept": [1, 0.5, torch.tensor([True])]}))
    {'kept': [1, 0.5, tensor([True])]}
    """
    draft = _Draft()
    text = json.dumps(_describe(value, draft, "the value", MAX_DEPTH)).encode()
    if len(text) > MAX_DESCRIPTION:
        raise NotPlainError(
            f"the value takes {len(text):,} bytes without its tensors; "
            f"at most {MAX_DESCRIPTION:,} are accepted"
        )
    block = safetensors.torch.save(draft.tensors)
    _check_header(block)
    return len(text).to_bytes(8, "big") + text + block


def unpack(data: bytes, build: bool = False):
    """Read what `pack` wrote, without trusting it.

    Args:
        data: the bytes.
        build: whether to make real models and tools of their descriptions, for messages that the
            caller wrote itself. Otherwise a model is read as a `ModelState`.

    Returns:
        The value, sharing nothing with the packed one.

    Raises:
        NotPlainError: the bytes are not such a message, or pass a limit.
    """
    size = int.from_bytes(data[:8], "big")
    if size > MAX_DESCRIPTION or len(data) > 2 * MAX_DESCRIPTION + MAX_TENSORS:
        raise NotPlainError("the message is larger than is accepted")
    text, block = data[8 : 8 + size], data[8 + size :]
    _check_header(block)
    try:
        node = json.loads(text, parse_int=_refuse, parse_float=_refuse, parse_constant=_refuse)
        tensors = safetensors.torch.load(block)
        value = _restore(node, tensors, build, MAX_DEPTH)
    except NotPlainError:
        raise
    except (  # what the readers raise for bytes that nobody packed
        ArithmeticError,
        AssertionError,
        LookupError,
        RuntimeError,
        TypeError,
        ValueError,
        safetensors.SafetensorError,
    ) as error:
        raise NotPlainError(f"the message cannot be read ({type(error).__name__})") from None
    if tensors:
        raise NotPlainError("the message holds a tensor that it does not describe")
    return value


def _check_header(block: bytes) -> None:
    """Refuse more tensors than a few thousand: each costs memory, also without an entry."""
    if int.from_bytes(block[:8], "little") > MAX_DESCRIPTION:
        raise NotPlainError("the message holds more tensors than are accepted")


@dataclass
class _Draft:
    """What a message has come to while it is written."""

    tensors: dict[str, Tensor] = field(default_factory=dict)
    nbytes: int = 0
    values: int = 0


def _describe(value, draft: _Draft, where: str, depth: int) -> list:
    """Describe `value` as JSON lists that start with the type's name; tensors go to the draft."""
    if isinstance(value, np.generic):  # NumPy's single numbers, which its functions return
        value = value.item()
    kind = type(value)
    draft.values += 1
    if depth == 0:
        raise NotPlainError(f"{where} is nested more than {MAX_DEPTH} deep")
    if draft.values > MAX_VALUES:
        raise NotPlainError(f"the value holds more than {MAX_VALUES:,} numbers, strings and lists")
    if kind in (list, tuple, Split):
        items = enumerate(value)
        return [kind.__name__, [_describe(v, draft, f"{where}[{i}]", depth - 1) for i, v in items]]
    if kind is dict:
        return ["dict", [_pair(k, v, draft, where, depth - 1) for k, v in value.items()]]
    if kind in (Tensor, nn.Parameter):
        return ["tensor", _store(value, draft, where)]
    if kind is Tool:
        return ["Tool", value.name, _describe(value.options, draft, where, depth - 1)]
    if kind is ModelState:
        return ["model", ["NoneType", None], _describe(value.state, draft, where, depth - 1)]
    if isinstance(value, nn.Module):
        made_by = list(getattr(value, "architecture", ())) or None
        parts = (made_by, dict(nn.Module.state_dict(value)))
        return ["model", *(_describe(part, draft, where, depth - 1) for part in parts)]
    return [kind.__name__, _scalar(value, where)]


def _scalar(value, where: str) -> bool | str | None:
    kind = type(value)
    if kind in (bool, type(None)):
        return value
    if kind is str:
        if not value.isascii() and value.encode(errors="replace").decode() != value:
            raise NotPlainError(f"{where} holds a character that no file can hold (a surrogate)")
        return value
    if kind is int:
        if abs(value) >= 10**MAX_DIGITS:
            raise NotPlainError(f"{where} is an integer of more than {MAX_DIGITS} digits")
        return str(value)
    if kind is float:
        return value.hex()
    name = kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"
    known = "return numbers, strings, lists, dicts, tensors"
    hint = _HINTS.get(kind.__module__.split(".")[0], known)
    raise NotPlainError(f"{where} is of type {name}, which is not plain data: {hint}")


def _pair(key, value, draft: _Draft, where: str, depth: int) -> list:
    if type(key) not in (str, int):
        raise NotPlainError(f"{where} has a key of type {type(key).__name__}; use strings")
    inner = f"{where}[{key!r:.60}]"
    return [_describe(key, draft, inner, 1), _describe(value, draft, inner, depth)]


def _store(value: Tensor, draft: _Draft, where: str) -> str:
    if value.layout is not torch.strided or value.dtype not in _DTYPES or value.is_meta:
        kind = f"a {value.layout} tensor of {value.dtype} on {value.device}"
        raise NotPlainError(f"{where} is {kind}: return a dense tensor of numbers or truth values")
    draft.nbytes += value.numel() * value.element_size()
    if draft.nbytes > MAX_TENSORS:
        raise NotPlainError(
            f"{where} has shape {tuple(value.shape)}: with it the tensors take {draft.nbytes:,} "
            f"bytes, and at most {MAX_TENSORS:,} are accepted"
        )
    name = str(len(draft.tensors))
    draft.tensors[name] = value.detach().cpu().clone(memory_format=torch.contiguous_format)
    return name


def _restore(node, tensors: dict[str, Tensor], build: bool, depth: int):
    """Make the value that a node describes; each tensor is taken once."""
    if depth == 0:
        raise NotPlainError(f"the message is nested more than {MAX_DEPTH} deep")

    def inner(node):
        return _restore(node, tensors, build, depth - 1)

    match node:
        case ["NoneType", None as value] | ["bool", bool(value)]:
            return value
        case ["str", str(value)]:
            value.encode()  # refuses what no file can hold
            return value
        case ["int", str(digits)] if len(digits) <= MAX_DIGITS + 1:
            return int(digits)
        case ["float", str(digits)]:
            return float.fromhex(digits)
        case ["list", [*items]]:
            return [inner(item) for item in items]
        case ["tuple", [*items]]:
            return tuple(inner(item) for item in items)
        case ["Split", [x, y]]:
            return Split(inner(x), inner(y))
        case ["dict", [*pairs]]:
            return _dict([(inner(key), inner(value)) for key, value in pairs])
        case ["tensor", str(name)]:
            return _tensor(tensors.pop(name))
        case ["Tool", str(name), options]:
            return _tool(name, inner(options), build)
        case ["model", architecture, state]:
            return _model(inner(architecture), inner(state), build)
    raise NotPlainError("the message holds a kind of value that is not known")


def _dict(pairs: list[tuple]) -> dict:
    made = dict(pairs)
    if len(made) < len(pairs) or any(type(key) not in (str, int) for key in made):
        raise NotPlainError("the message has a dict with a key that is double or no string")
    return made


def _tensor(tensor: Tensor) -> Tensor:
    if tensor.dtype not in _DTYPES:
        raise NotPlainError(f"the message holds a tensor of {tensor.dtype}")
    # A byte that is neither 0 nor 1 would be true, and count for more than one.
    return tensor.view(torch.uint8) != 0 if tensor.dtype == torch.bool else tensor


def _tool(name: str, options: dict, build: bool):
    if type(options) is not dict:
        raise NotPlainError("the message has a tool whose options are no dict")
    if not build:
        return Tool(name, options)
    from pruneedu.course import tools

    return tools.bind(name, **options)


def _model(architecture, state: dict, build: bool) -> nn.Module | ModelState:
    if type(state) is not dict:
        raise NotPlainError("the message has a model whose state is no dict")
    if not build:
        return ModelState(state)
    from pruneedu import models

    name, config = architecture
    model = models.build(name, **config)
    model.load_state_dict(state)
    return model


def _refuse(text: str):
    raise NotPlainError("the message has a bare number")
