"""Converts Python values to JSON and back.

A value without a JSON notation becomes an object with a single key that starts with ``$``. The README has a table.
"""

from __future__ import annotations

import json
import sys

from .errors import QueueError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, NoReturn

    from typing_extensions import TypeGuard

#: The largest integer that a double, and so JavaScript's ``number``, holds exactly.
MAX_SAFE_INTEGER = 2**53 - 1
#: How deep values may nest.
MAX_DEPTH = 200

_STRINGS = frozenset({str})
_ATOMS = frozenset({str, bool, float, type(None)})
_encode = json.JSONEncoder(allow_nan=False, separators=(",", ":")).encode


def is_object(value: object) -> TypeGuard[dict[str, Any]]:
    """Returns whether a value is a JSON object."""
    return isinstance(value, dict)


def _is_array(value: object) -> TypeGuard[list[Any] | tuple[Any, ...]]:
    return isinstance(value, (list, tuple))


def dumps(value: object, at: Sequence[str] = ()) -> str:
    """Returns a value as ASCII JSON without a line break.

    Args:
        value: The value to convert.
        at: The path of the value in a larger one, for errors.

    Raises:
        QueueError: ``VALUE_UNSUPPORTED`` with the path of the unsupported member.

    Example:
        >>> dumps({"at": b"\\x00", "n": [1, float("nan")]})
        '{"at":{"$bytes":"AA=="},"n":[1,{"$number":"NaN"}]}'
    """
    if _is_plain(value, 0):
        try:
            text = _encode(value)
        except ValueError:  # a float that is not finite
            pass
        else:
            if "-0.0" not in text:
                return text
    return _encode(_convert(value, [*at], set()))


def _is_plain(value: object, depth: int) -> bool:
    """Returns whether the encoder of the standard library can convert a value. Checks leaves at the speed of C."""
    kind = type(value)
    if kind in _ATOMS:
        return True
    if kind is int:
        return -MAX_SAFE_INTEGER <= value <= MAX_SAFE_INTEGER  # type: ignore[operator]
    if kind is dict:
        members: dict[Any, Any] = value  # type: ignore[assignment]
        if not _STRINGS.issuperset(map(type, members)):
            return False
        if len(members) == 1 and next(iter(members))[:1] == "$":
            return False
        items: Any = members.values()
    elif kind is list:
        items = value
    else:
        return False
    if _ATOMS.issuperset(map(type, items)):
        return True
    if depth >= MAX_DEPTH:
        return False
    for item in items:
        if type(item) not in _ATOMS and not _is_plain(item, depth + 1):
            return False
    return True


def _convert(value: Any, path: list[str], parents: set[int]) -> Any:
    """Converts values without a JSON notation to that of the protocol, and refuses unsupported values."""
    if isinstance(value, _enum_type()):
        value = value.value
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, int):
        value = int(value)
        return value if -MAX_SAFE_INTEGER <= value <= MAX_SAFE_INTEGER else {"$bigint": str(value)}
    if isinstance(value, float):
        return _convert_float(float(value))
    if _is_bytes(value):
        from base64 import b64encode

        return {"$bytes": b64encode(value).decode("ascii")}
    if _is_array(value) or is_object(value) or _is_dataclass(value):
        return _convert_container(value, path, parents)
    return _convert_library_type(value, path)


def _is_dataclass(value: object) -> bool:
    return hasattr(type(value), "__dataclass_fields__")


def _convert_float(value: float) -> object:
    if value != value:
        return {"$number": "NaN"}
    if value in (float("inf"), float("-inf")):
        return {"$number": "Infinity" if value > 0 else "-Infinity"}
    return {"$number": "-0"} if value == 0 and str(value)[0] == "-" else value


def _convert_container(value: Any, path: list[str], parents: set[int]) -> object:
    if id(value) in parents:
        _refuse("a value that refers to itself", path)
    if len(parents) > MAX_DEPTH:
        _refuse(f"a value that nests deeper than {MAX_DEPTH}", path)
    parents.add(id(value))
    if _is_array(value):
        out: Any = [_convert(item, [*path, str(index)], parents) for index, item in enumerate(value)]
    else:
        out = {key: _convert(item, [*path, key], parents) for key, item in _members(value, path)}
        if len(out) == 1 and next(iter(out)).startswith("$"):
            out = {"$object": out}
    parents.discard(id(value))
    return out


def _members(value: Any, path: list[str]) -> list[tuple[str, Any]]:
    if not is_object(value):
        return [(field.name, getattr(value, field.name)) for field in sys.modules["dataclasses"].fields(value)]
    for key in value:
        if not _is_text(key):
            _refuse(f"a key of type {type(key).__name__}", [*path, repr(key)], "Keys must be str: convert them.")
    return list(value.items())


def _is_bytes(value: object) -> TypeGuard[bytes]:
    return isinstance(value, (bytes, bytearray, memoryview))


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _enum_type() -> type[Any] | tuple[()]:
    module = sys.modules.get("enum")
    return module.Enum if module else ()


def _convert_library_type(value: Any, path: list[str]) -> object:
    # A value of one of these types can exist only if its module is loaded, so nothing needs to be imported.
    modules = sys.modules
    if dates := modules.get("datetime"):
        if isinstance(value, dates.datetime):
            utc = value.astimezone(dates.timezone.utc).replace(tzinfo=None)
            return {"$date": utc.isoformat(timespec="milliseconds") + "Z"}
        if isinstance(value, dates.date):
            return value.isoformat()
    for module, name in (("uuid", "UUID"), ("decimal", "Decimal"), ("pathlib", "PurePath")):
        if module in modules and isinstance(value, getattr(modules[module], name)):
            return str(value)
    if isinstance(value, (set, frozenset)):
        _refuse("a set, which has no order", path, "Pass a list, for example sorted(…).")
    return _refuse(f"a value of type {type(value).__name__}", path)


_HINT = "Pass dicts, lists, str, numbers, bool, None, bytes, datetimes or dataclasses of these."


def _refuse(what: str, path: list[str], hint: str = _HINT) -> NoReturn:
    where = f' at "{".".join(path[:10])}"' if path else ""
    message = f"There is {what}{where}, which cannot be stored. {hint}"
    raise QueueError("VALUE_UNSUPPORTED", message, details={"path": path[:10]})


def holds_notation(text: str) -> bool:
    """Returns whether JSON may contain the notation that `decode` reads."""
    return '"$' in text or "\\u0024" in text


def decode(value: Any) -> Any:
    """Converts parsed JSON with the notation of the protocol to Python values.

    Example:
        >>> decode([{"$bytes": "AAH/"}, {"$undefined": True}])
        [b'\\x00\\x01\\xff', None]
    """
    if _is_array(value):
        return [decode(item) for item in value]
    if not is_object(value):
        return value
    if len(value) == 1:
        ((key, inner),) = value.items()
        if key[:1] == "$":
            try:
                return _decode_notation(key, inner)
            except (TypeError, ValueError, AttributeError):
                pass  # an ordinary object that looks like the notation
    return {key: decode(item) for key, item in value.items()}


def _decode_notation(key: str, inner: Any) -> object:
    if key == "$date":
        from datetime import datetime

        return datetime.fromisoformat(inner.replace("Z", "+00:00"))
    if key == "$bigint":
        return int(inner)
    if key == "$bytes":
        from base64 import b64decode

        return b64decode(inner, validate=True)
    if key == "$undefined":
        return None
    if key == "$number":
        return float(inner)
    if key == "$object":
        return {name: decode(item) for name, item in inner.items()}
    raise ValueError(key)


def loads(text: str | bytes) -> Any:
    """Returns the value of JSON that ``dumps`` wrote, or of any other JSON. Raises ValueError for invalid JSON."""
    return decode(json.loads(text))


def copy(value: Any) -> Any:
    """Returns a value as it is after storing and reading it. Raises the errors of ``dumps``."""
    return loads(dumps(value))
