"""Converts any value to plain data, for readers of logs and errors."""

from __future__ import annotations

from .values import is_object

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: Limits for one value: total characters, characters of one string, members of one container, levels.
BUDGET = 32768
MAX_TEXT = 8192
MAX_MEMBERS = 100
MAX_DEPTH = 8

UNREADABLE = "[cannot be read]"


def cut_text(text: str, limit: int) -> str:
    """Returns at most ``limit`` characters of a text, and a note with the number of missing ones."""
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text) - limit} more characters)"


def text_of(value: object) -> str:
    """Returns ``str(value)``. Never raises."""
    try:
        return str(value)
    except BaseException:  # `__str__` is code of the user
        return UNREADABLE


def loggable(value: object) -> Any:
    """Returns plain data that describes a value. Accepts any value and never raises, and the result is never large."""
    return _Describer().describe(value)


class _Describer:
    def __init__(self) -> None:
        self._left = BUDGET
        self._parents: set[int] = set()

    def describe(self, value: Any) -> Any:
        self._left -= 8
        if self._left < 0:
            return "[cut]"
        try:
            return self._describe(value)
        except BaseException:  # a member that raises when it is read
            return UNREADABLE

    def _describe(self, value: Any) -> Any:
        if value is None or type(value) in (bool, float):
            return value
        if type(value) is int:
            return value if abs(value) < 2**53 else self._text(str(value))
        if isinstance(value, str):
            return self._text(str(value))
        if isinstance(value, (bytes, bytearray, memoryview)):
            return f"[{_count(value)} bytes]"
        if isinstance(value, BaseException):
            return self._error(value)
        if id(value) in self._parents:
            return "[circular]"
        if len(self._parents) >= MAX_DEPTH:
            return "[too deep]"
        self._parents.add(id(value))
        try:
            return self._container(value)
        finally:
            self._parents.discard(id(value))

    def _error(self, error: BaseException) -> Any:
        from ._errors import stored_error

        return self._members(list(stored_error(error).items()))

    def _container(self, value: Any) -> Any:
        if is_object(value):
            return self._members([(text_of(key), item) for key, item in _first(value.items())], len(value))
        if not isinstance(value, (list, tuple, set, frozenset)):
            return self._text(text_of(value))
        count = _count(value)
        items = [self.describe(item) for item in _first(value)]
        return items if count <= MAX_MEMBERS else [*items, f"[{count - MAX_MEMBERS} more]"]

    def _members(self, members: list[tuple[str, Any]], count: int = 0) -> dict[str, Any]:
        described = {self._text(name): self.describe(item) for name, item in members}
        if count > MAX_MEMBERS:
            described["…"] = "[more members]"
        return described

    def _text(self, text: str) -> str:
        cut = cut_text(text, max(0, min(MAX_TEXT, self._left)))
        self._left -= len(cut)
        return cut


def _count(container: Any) -> int:
    return len(container)


def _first(items: Any) -> list[Any]:
    from itertools import islice

    return list(islice(items, MAX_MEMBERS))
