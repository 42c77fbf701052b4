"""Converts exceptions to the format of the protocol."""

from __future__ import annotations

import os

from ._frames import FAILED, WireError
from ._loggable import cut_text, loggable, text_of
from .errors import QueueError, is_unrecoverable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from traceback import FrameSummary, TracebackException
    from typing import Any

    from typing_extensions import TypeGuard

#: How many causes of an error are sent, how many members of a group, and how many errors in total.
MAX_CAUSES = 4
MAX_PARTS = 5
MAX_ERRORS = 12
#: How many characters of a message and of a traceback are kept: first for the error itself, then for inner errors.
MAX_LENGTHS = ((8192, 16384), (2048, 4096))

_PACKAGE_FOLDER = os.path.dirname(os.path.abspath(__file__)) + os.sep


def to_wire(error: BaseException) -> dict[str, Any]:
    """Returns an exception as an error object of JSON-RPC, with the traceback of the handler's code."""
    if isinstance(error, WireError):
        wire: dict[str, Any] = {"code": error.number, "message": str(error)}
        return {**wire, "data": error.data} if error.data else wire
    stored = stored_error(error)
    return {"code": FAILED, "message": stored.pop("message"), "data": stored}


def stored_error(error: BaseException) -> dict[str, Any]:
    """Returns an error as plain data within limits, with each cause once. Never raises."""
    return _stored(error, 0, set())


def _stored(error: BaseException, depth: int, seen: set[int]) -> dict[str, Any]:
    seen.add(id(error))
    longest_message, longest_stack = MAX_LENGTHS[min(depth, 1)]
    name = text_of(error.name) if isinstance(error, QueueError) else type(error).__name__
    stored: dict[str, Any] = {
        "name": cut_text(name, 256),
        "message": cut_text(message_of(error), longest_message),
        "stack": cut_text(traceback_of(error), longest_stack),
    }
    code = _code_of(error)
    if code is not None:
        stored["code"] = cut_text(code, 256)
    if is_unrecoverable(error):
        stored["retryable"] = False
    details = _member(error, "details") if isinstance(error, QueueError) else None
    if details:
        stored["details"] = loggable(details)
    if depth < MAX_CAUSES:
        _add_inner(stored, error, depth, seen)
    return stored


def _add_inner(stored: dict[str, Any], error: BaseException, depth: int, seen: set[int]) -> None:
    cause = _member(error, "__cause__")
    if cause is None and not _member(error, "__suppress_context__"):
        cause = _member(error, "__context__")
    if isinstance(cause, BaseException) and _may_add(cause, seen):
        stored["cause"] = _stored(cause, depth + 1, seen)
    parts = _member(error, "exceptions")
    if _is_tuple(parts):
        stored["errors"] = [_stored(part, depth + 1, seen) for part in parts[:MAX_PARTS] if _may_add(part, seen)]


def _is_tuple(value: object) -> TypeGuard[tuple[object, ...]]:
    return isinstance(value, tuple)


def _may_add(error: object, seen: set[int]) -> TypeGuard[BaseException]:
    return isinstance(error, BaseException) and len(seen) < MAX_ERRORS and id(error) not in seen


def _member(error: BaseException, name: str) -> Any:
    """Returns an attribute, or ``None`` if it raises."""
    try:
        return getattr(error, name, None)
    except BaseException:
        return None


def message_of(error: BaseException) -> str:
    """Returns the message of an exception, or the name of its class if the message is empty."""
    try:
        if isinstance(error, SystemExit):
            return f"The handler called sys.exit({error.code!r}). Return instead, or raise an error."
        return str(error) or type(error).__name__
    except BaseException as broken:
        return f"{type(error).__name__}, whose message cannot be read: {type(broken).__name__}"


def _code_of(error: BaseException) -> str | None:
    if isinstance(error, SystemExit):
        return None
    code: object = _member(error, "code")
    if isinstance(code, str):
        return code
    if isinstance(error, OSError) and error.errno is not None:
        from errno import errorcode

        return errorcode.get(error.errno)
    return None


def traceback_of(error: BaseException) -> str:
    """Returns the traceback without the frames of this package and of the import system."""
    from traceback import TracebackException  # slow to import, and most jobs do not fail

    try:
        report = TracebackException(type(error), error, error.__traceback__)
        _remove_own_frames(report)
        return "".join(report.format()).rstrip("\n")
    except BaseException:  # an exception whose attributes raise
        return f"{type(error).__name__}: {message_of(error)}"


def _remove_own_frames(shown: TracebackException) -> None:
    shown.stack[:] = [frame for frame in shown.stack if not _is_own_frame(frame)]
    nested = [shown.__cause__, shown.__context__, *(getattr(shown, "exceptions", None) or ())]
    for other in nested:
        if other is not None:
            _remove_own_frames(other)


def _is_own_frame(frame: FrameSummary) -> bool:
    return frame.filename.startswith((_PACKAGE_FOLDER, "<frozen "))
