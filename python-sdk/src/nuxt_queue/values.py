"""JSON that loses nothing a queue carries; the protocol page has the table of tags."""

from __future__ import annotations

import base64
import json
import math
import sys
from datetime import date, datetime, timezone
from enum import Enum
from pathlib import PurePath
from typing import Any, Callable

from .errors import QueueError

SAFE = 2**53 - 1
MAX_DEPTH = 200

# Made once: `json.dumps` makes one for each call that is not all defaults.
_encode = json.JSONEncoder(allow_nan=False, separators=(",", ":")).encode


def dumps(value: Any) -> str:
    """Writes a value on one line.

    Raises QueueError ``VALUE_UNSUPPORTED`` with the path of what cannot travel.
    """
    try:
        text = _encode(value)
        if _is_json(value):
            return text
    except (TypeError, ValueError, RecursionError):
        pass  # Something that has to be converted, or cannot be: the walk finds out.
    return _encode(tag(value))


def _is_json(value: Any) -> bool:
    """Whether JSON says just this value, which has no cycles. Most do, and need not be copied."""
    left = [value]
    while left:
        item = left.pop()
        kind = type(item)
        if kind is str or kind is bool or item is None:
            continue
        if kind is int:
            if not -SAFE <= item <= SAFE:
                return False
        elif kind is dict:
            if len(item) == 1 and _looks_tagged(item) or not all(type(key) is str for key in item):
                return False
            left.extend(item.values())
        elif kind is list:
            left.extend(item)
        elif kind is not float or item == 0 and math.copysign(1, item) < 0:
            return False
    return True


def loads(line: bytes) -> Any:
    """Reads what ``dumps`` wrote, and any other JSON. Raises ValueError for what is no JSON."""
    # Decoded here, since `loads` would look for other encodings first.
    value = json.loads(line.decode("utf-8"))
    return untag(value) if b'"$' in line else value


def tag(value: Any, path: tuple[str, ...] = ()) -> Any:
    """The value in terms of JSON."""
    if value is None or value is True or value is False or type(value) is str:
        return value
    if isinstance(value, Enum):
        return tag(value.value, path)
    if isinstance(value, int):
        return int(value) if -SAFE <= value <= SAFE else {"$bigint": str(int(value))}
    if isinstance(value, float):
        return _tag_float(value)
    if isinstance(value, str):
        return str(value)
    if len(path) > MAX_DEPTH:
        raise _unsupported(value, path, "It refers to itself, or nests too deeply. ")
    if isinstance(value, (list, tuple)):
        return [tag(item, (*path, str(index))) for index, item in enumerate(value)]
    if isinstance(value, dict):
        return _tag_dict(value, path)
    return _tag_other(value, path)


def _tag_float(value: float) -> Any:
    if math.isfinite(value):
        return {"$number": "-0"} if value == 0 and math.copysign(1, value) < 0 else value
    return {"$number": "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"}


def _tag_dict(value: dict[Any, Any], path: tuple[str, ...]) -> Any:
    members: dict[str, Any] = {}
    for key, member in value.items():
        if not isinstance(key, str):
            raise _unsupported(key, (*path, repr(key)), "Keys are strings. ")
        members[key] = tag(member, (*path, key))
    return {"$object": members} if _looks_tagged(members) else members


def _tag_other(value: Any, path: tuple[str, ...]) -> Any:
    if isinstance(value, datetime):
        moment = value.astimezone(timezone.utc)
        return {"$date": moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"}
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, (bytes, bytearray, memoryview)):
        return {"$bytes": base64.b64encode(value).decode("ascii")}
    if isinstance(value, PurePath):
        return str(value)
    # Looked up rather than imported: who has no such object has no need of the module.
    if _is_instance(value, "uuid", "UUID") or _is_instance(value, "decimal", "Decimal"):
        return str(value)
    dataclasses = sys.modules.get("dataclasses")
    if dataclasses and dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return tag(fields, path)
    hint = "A set has no order: pass sorted(…). " if isinstance(value, (set, frozenset)) else ""
    raise _unsupported(value, path, hint)


def _is_instance(value: Any, module: str, name: str) -> bool:
    loaded = sys.modules.get(module)
    return loaded is not None and isinstance(value, getattr(loaded, name))


def untag(value: Any) -> Any:
    """The value that JSON stands for."""
    if isinstance(value, list):
        return [untag(item) for item in value]
    if not isinstance(value, dict):
        return value
    if _looks_tagged(value):
        ((name, content),) = value.items()
        read = _READERS.get(name)
        if name == "$object" and isinstance(content, dict):
            return {key: untag(member) for key, member in content.items()}
        if read:
            try:
                return read(content)
            except (TypeError, ValueError, KeyError, OverflowError):
                pass  # Not one of ours after all.
    return {key: untag(member) for key, member in value.items()}


def _read_date(content: str) -> Any:
    if content is None:
        return None
    return datetime.strptime(content, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=timezone.utc)


_ODD = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf, "-0": -0.0}
_READERS: dict[str, Callable[[Any], Any]] = {
    "$date": _read_date,
    "$bigint": int,
    "$bytes": lambda content: base64.b64decode(content),
    "$undefined": lambda _content: None,
    "$number": lambda content: _ODD[content],
}


def _looks_tagged(value: dict[str, Any]) -> bool:
    return len(value) == 1 and str(next(iter(value))).startswith("$")


def _unsupported(value: Any, path: tuple[str, ...], hint: str) -> QueueError:
    where = f' at "{".".join(path[:10])}"' if path else ""
    kind = type(value).__name__
    plain = "Pass plain data: dicts, lists, strings, numbers, booleans, None, datetime, bytes, dataclasses."
    message = f"A {kind}{where} cannot travel through a queue. {hint}{plain}"
    return QueueError("VALUE_UNSUPPORTED", message, details={"kind": kind, "path": list(path[:10])})
