"""Plain data as bytes: what may cross between a learner's function and the one who judges it.

A message is a JSON description, then the tensors as one safetensors block. Nothing in it can run.
"""

import json
import re
from dataclasses import dataclass

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

MAX_DESCRIPTION = 1_000_000  # bytes of JSON
MAX_TENSORS = 64_000_000  # bytes of tensors
MAX_DEPTH = 40
MAX_DIGITS = 300
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"')
_HINTS = {"numpy": "call .item() or torch.from_numpy(...)", "torch": "return a plain torch.Tensor"}


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

    Arguments: value, made of None, bool, int, float, str, list, tuple, dict, dense tensors, models of
    `pruneedu.models` and tools, each of exactly that type.
    Returns: bytes for `unpack`.
    Errors: NotPlainError names the first value that is something else, or the limit that is passed.

    >>> unpack(pack({"kept": [1, 0.5, torch.tensor([True])]}))
    {'kept': [1, 0.5, tensor([True])]}
    """
    tensors: dict[str, Tensor] = {}
    text = json.dumps(_describe(value, tensors, "the value", MAX_DEPTH)).encode()
    size = sum(tensor.nbytes for tensor in tensors.values())
    if len(text) > MAX_DESCRIPTION or size > MAX_TENSORS:
        raise NotPlainError(
            f"the value takes {len(text):,} bytes and {size:,} bytes of tensors; "
            f"at most {MAX_DESCRIPTION:,} and {MAX_TENSORS:,} are accepted"
        )
    return len(text).to_bytes(8, "big") + text + safetensors.torch.save(tensors)


def unpack(data: bytes, build: bool = False):
    """Read what `pack` wrote, without trusting it.

    Arguments: data, the bytes; build, True to make real models and tools of their descriptions: only
    for messages that the caller wrote itself. Otherwise a model is read as a `ModelState`.
    Returns: the value, sharing nothing with the packed one.
    Errors: NotPlainError when the bytes are not such a message or pass a limit.
    """
    size = int.from_bytes(data[:8], "big")
    text, block = data[8 : 8 + size], data[8 + size :]
    if size > MAX_DESCRIPTION or len(block) > MAX_TENSORS + MAX_DESCRIPTION or len(text) < size:
        raise NotPlainError("the message is larger than is accepted, or cut short")
    if _depth(text) > 3 * MAX_DEPTH:
        raise NotPlainError("the message is nested too deeply")
    try:
        description = json.loads(text, parse_int=_refuse_number, parse_float=_refuse_number)
        return _restore(description, safetensors.torch.load(block), build)
    except NotPlainError:
        raise
    except (
        ValueError,
        KeyError,
        IndexError,
        TypeError,
        RecursionError,
        safetensors.SafetensorError,
    ) as error:
        raise NotPlainError(f"the message cannot be read ({type(error).__name__})") from None


def _describe(value, tensors: dict[str, Tensor], where: str, depth: int):
    """Describe `value` as JSON lists that start with the type's name; tensors go to `tensors`."""
    kind = type(value)
    if depth == 0:
        raise NotPlainError(f"{where} is nested more than {MAX_DEPTH} deep")
    if kind in (bool, str, type(None)):
        return [kind.__name__, value]
    if kind is int:
        if abs(value) >= 10**MAX_DIGITS:
            raise NotPlainError(f"{where} is an integer of more than {MAX_DIGITS} digits")
        return ["int", str(value)]
    if kind is float:
        return ["float", value.hex()]
    if kind in (list, tuple):
        return [
            kind.__name__,
            [_describe(v, tensors, f"{where}[{i}]", depth - 1) for i, v in enumerate(value)],
        ]
    if kind is dict:
        pairs = []
        for key, item in value.items():
            if type(key) not in (str, int):
                raise NotPlainError(f"{where} has a key of type {_type_name(key)}; use strings")
            pairs.append([key, item])
        return [
            "dict",
            [
                [
                    _describe(k, tensors, where, 1),
                    _describe(v, tensors, f"{where}[{k!r}]", depth - 1),
                ]
                for k, v in pairs
            ],
        ]
    if kind in (Tensor, nn.Parameter):
        return ["tensor", _store(value, tensors, where)]
    if kind is Tool:
        return ["Tool", value.name, _describe(value.options, tensors, where, depth - 1)]
    if kind is ModelState:
        return ["model", ["NoneType", None], _describe(value.state, tensors, where, depth - 1)]
    if isinstance(value, nn.Module):
        architecture = list(getattr(value, "architecture", ())) or None
        state = dict(nn.Module.state_dict(value))
        return [
            "model",
            _describe(architecture, tensors, where, depth - 1),
            _describe(state, tensors, where, depth - 1),
        ]
    hint = _HINTS.get(
        kind.__module__.split(".")[0], "return numbers, strings, lists, dicts, tensors"
    )
    raise NotPlainError(f"{where} is of type {_type_name(value)}, which is not plain data: {hint}")


def _store(value: Tensor, tensors: dict[str, Tensor], where: str) -> str:
    if value.layout is not torch.strided or value.is_complex() or value.is_quantized:
        raise NotPlainError(f"{where} is a {value.layout} tensor of {value.dtype}; make it dense")
    if value.numel() * value.element_size() > MAX_TENSORS:
        raise NotPlainError(f"{where} has shape {tuple(value.shape)}: too large to send")
    name = str(len(tensors))
    tensors[name] = value.detach().cpu().clone(memory_format=torch.contiguous_format)
    return name


def _restore(node, tensors: dict[str, Tensor], build: bool):
    kind, content = node[0], node[1]
    if kind in ("bool", "str", "NoneType"):
        if type(content).__name__ != kind:
            raise NotPlainError(f"the message calls a {type(content).__name__} a {kind}")
        return content
    if kind == "int":
        if len(content) > MAX_DIGITS + 1:
            raise NotPlainError(f"the message has an integer of more than {MAX_DIGITS} digits")
        return int(content)
    if kind == "float":
        return float.fromhex(content)
    if kind in ("list", "tuple"):
        items = [_restore(item, tensors, build) for item in content]
        return items if kind == "list" else tuple(items)
    if kind == "dict":
        return {_restore(k, tensors, build): _restore(v, tensors, build) for k, v in content}
    if kind == "tensor":
        return tensors[content]
    if kind == "Tool":
        return _tool(content, _restore(node[2], tensors, build), build)
    if kind == "model":
        architecture, state = (_restore(part, tensors, build) for part in node[1:3])
        return _model(architecture, state) if build else ModelState(state)
    raise NotPlainError("the message holds a kind of value that is not known")


def _model(architecture, state: dict) -> nn.Module:
    from pruneedu import models

    name, config = architecture
    model = models.build(name, **config)
    model.load_state_dict(state)
    return model


def _tool(name: str, options: dict, build: bool):
    if not build:
        return Tool(name, options)
    from pruneedu.course import tools

    return tools.bind(name, **options)


def _depth(text: bytes) -> int:
    depth = deepest = 0
    for byte in _STRING.sub(b"", text):
        depth += (byte == 91) - (byte == 93)  # [ and ]
        deepest = max(deepest, depth)
    return deepest


def _refuse_number(text: str):
    raise NotPlainError("the message has a bare number")


def _type_name(value) -> str:
    kind = type(value)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"
