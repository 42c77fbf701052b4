"""Exceptions as the protocol carries them."""

from __future__ import annotations

import os

from ._frames import FAILED, WireError
from .errors import QueueError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from traceback import FrameSummary, TracebackException
    from typing import Any

#: How many causes of an error travel.
MAX_CAUSES = 4

_HERE = os.path.dirname(os.path.abspath(__file__)) + os.sep


def to_wire(error: BaseException) -> dict[str, Any]:
    """An error object of JSON-RPC: what a handler raised, with the traceback of its own code."""
    if isinstance(error, WireError):
        wire: dict[str, Any] = {"code": error.number, "message": str(error)}
        return {**wire, "data": error.data} if error.data else wire
    stored = _stored(error, MAX_CAUSES)
    return {"code": FAILED, "message": stored.pop("message"), "data": stored}


def _stored(error: BaseException, causes: int) -> dict[str, Any]:
    name = error.name if isinstance(error, QueueError) else type(error).__name__
    stored: dict[str, Any] = {"name": name, "message": message_of(error), "stack": traceback_of(error)}
    code = _code_of(error)
    if code is not None:
        stored["code"] = code
    if getattr(error, "retryable", None) is False:
        stored["retryable"] = False
    if isinstance(error, QueueError) and error.details:
        stored["details"] = dict(error.details)
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None and causes > 0:
        stored["cause"] = _stored(cause, causes - 1)
    return stored


def message_of(error: BaseException) -> str:
    """What an exception says, or is called where it says nothing."""
    if isinstance(error, SystemExit):
        return f"The handler called sys.exit({error.code!r}). Return instead, or raise an error."
    try:
        return str(error) or type(error).__name__
    except Exception as broken:
        return f"{type(error).__name__}, whose message cannot be read: {type(broken).__name__}"


def _code_of(error: BaseException) -> str | None:
    if isinstance(error, SystemExit):
        return None
    code: object = getattr(error, "code", None)
    if isinstance(code, str):
        return code
    if isinstance(error, OSError) and error.errno is not None:
        from errno import errorcode

        return errorcode.get(error.errno)
    return None


def traceback_of(error: BaseException) -> str:
    """The traceback without the frames that are ours or the import system's."""
    from traceback import TracebackException  # slow to load, and most jobs do not fail

    try:
        whole = TracebackException(type(error), error, error.__traceback__)
        _cut(whole)
        return "".join(whole.format()).rstrip("\n")
    except Exception:  # an exception whose attributes raise
        return f"{type(error).__name__}: {message_of(error)}"


def _cut(shown: TracebackException) -> None:
    shown.stack[:] = [frame for frame in shown.stack if not _is_ours(frame)]
    nested = [shown.__cause__, shown.__context__, *(getattr(shown, "exceptions", None) or ())]
    for other in nested:
        if other is not None:
            _cut(other)


def _is_ours(frame: FrameSummary) -> bool:
    return frame.filename.startswith((_HERE, "<frozen "))
