"""Errors as the protocol carries them."""

from __future__ import annotations

import os
from typing import Any, Optional

from .errors import QueueError

PARSE, INVALID, METHOD, PARAMS = -32700, -32600, -32601, -32602
FAILED, LOAD, TOO_LARGE, VERSION = -32000, -32001, -32002, -32005

_HERE = os.path.dirname(os.path.abspath(__file__)) + os.sep


class WireError(Exception):
    """An error with a number of its own: something is wrong with a message rather than with a handler."""

    def __init__(self, number: int, message: str, data: Optional[dict[str, Any]] = None) -> None:
        super().__init__(message)
        self.number = number
        self.data = data


def to_wire(error: BaseException) -> dict[str, Any]:
    """What a handler raised, with the traceback of its own code."""
    if isinstance(error, WireError):
        wire: dict[str, Any] = {"code": error.number, "message": str(error)}
        return {**wire, "data": error.data} if error.data else wire
    stored = _stored(error, 0)
    return {"code": FAILED, "message": stored.pop("message"), "data": stored}


def _stored(error: BaseException, depth: int) -> dict[str, Any]:
    if isinstance(error, SystemExit):
        message = f"The handler called sys.exit({error.code!r}). Return instead, or raise an error."
    else:
        message = str(error) or type(error).__name__
    stored: dict[str, Any] = {"name": type(error).__name__, "message": message, "stack": traceback_of(error)}
    code = getattr(error, "code", None)
    if isinstance(code, str):
        stored["code"] = code
    if getattr(error, "retryable", None) is False:
        stored["retryable"] = False
    details = getattr(error, "details", None)
    if isinstance(error, QueueError) and details:
        stored["details"] = details
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None and depth < 4:
        stored["cause"] = _stored(cause, depth + 1)
    return stored


def traceback_of(error: BaseException) -> str:
    """The traceback without the frames that are ours or importlib's."""
    import traceback  # Slow to load, and most jobs do not fail.

    whole = traceback.TracebackException(type(error), error, error.__traceback__)
    seen: Any = whole
    while seen is not None:
        kept = [frame for frame in seen.stack if not _is_ours(frame.filename)]
        seen.stack = traceback.StackSummary.from_list(kept)
        seen = seen.__cause__ or seen.__context__
    return "".join(whole.format()).rstrip("\n")


def _is_ours(filename: str) -> bool:
    return filename.startswith(_HERE) or filename.startswith("<frozen ")


def from_wire(error: Any) -> QueueError:
    """What the host refused, as an exception."""
    if not isinstance(error, dict):
        return QueueError("PROTOCOL_VIOLATION", f"The host answered with {error!r}.")
    data = error.get("data")
    facts: dict[str, Any] = data if isinstance(data, dict) else {}
    code = facts.get("code")
    number = error.get("code")
    known = "PAYLOAD_TOO_LARGE" if number == TOO_LARGE else "RUN_ENDED" if number == -32003 else "HANDLER_FAILED"
    details = facts.get("details")
    return QueueError(
        code if isinstance(code, str) else known,
        str(error.get("message")),
        retryable=False if facts.get("retryable") is False else None,
        details=details if isinstance(details, dict) else None,
    )
