"""Lines of the protocol: JSON-RPC 2.0, one message per line."""

from __future__ import annotations

import json

from .errors import QueueError
from .values import decode, dumps, holds_notation, is_object

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

PARSE, INVALID, METHOD, PARAMS, INTERNAL = -32700, -32600, -32601, -32602, -32603
FAILED, UNLOADABLE, TOO_LARGE, ENDED, VERSION = -32000, -32001, -32002, -32003, -32005


class WireError(Exception):
    """An error of the protocol itself, such as an invalid message, in contrast to an error of a handler."""

    def __init__(self, number: int, message: str, data: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.number = number
        self.data = data


class Request:
    """A request of the host. ``id`` is ``NOTIFICATION`` if the host expects no response."""

    __slots__ = ("id", "method", "params")

    def __init__(self, id: object, method: str, params: object) -> None:
        self.id = id
        self.method = method
        self.params = params


class Response:
    """A response of the host."""

    __slots__ = ("error", "id", "result")

    def __init__(self, id: object, result: object, error: QueueError | None) -> None:
        self.id = id
        self.result = result
        self.error = error


NOTIFICATION = object()


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_parse = json.JSONDecoder(parse_constant=_refuse_constant).decode


def read(line: bytes) -> Request | Response:
    """Reads one line.

    Raises:
        WireError: For a line that is not a valid message. The response has ``id: null``.
    """
    try:
        text = line.decode("utf-8")
        message: object = _parse(text)
        if holds_notation(text):
            message = decode(message)
    except (ValueError, RecursionError) as error:
        raise WireError(PARSE, f"Received a line that is not JSON: {error}.") from None
    if not is_object(message) or message.get("jsonrpc") != "2.0":
        raise WireError(INVALID, "Received a line that is not a JSON-RPC 2.0 message.")
    id_ = message.get("id", NOTIFICATION)
    if isinstance(id_, (bool, dict, list)):
        raise WireError(INVALID, "The id of a message must be a number or a string.")
    if "method" in message:
        if not isinstance(message["method"], str):
            raise WireError(INVALID, "The method of a request must be a string.")
        return Request(id_, message["method"], message.get("params", {}))
    if "result" in message:
        return Response(id_, message["result"], None)
    if "error" in message:
        return Response(id_, None, error_of(message["error"]))
    raise WireError(INVALID, "Received a message that is neither a request nor a response.")


def error_of(error: object) -> QueueError:
    """Returns an error of the host as an exception."""
    if not is_object(error):
        return QueueError("PROTOCOL_VIOLATION", f'The host sent an invalid "error". Expected an object; got {error!r}.')
    data = error.get("data")
    facts = data if is_object(data) else {}
    code, name, details = facts.get("code"), facts.get("name"), facts.get("details")
    number = error.get("code")
    known = "PAYLOAD_TOO_LARGE" if number == TOO_LARGE else "RUN_ENDED" if number == ENDED else "HANDLER_FAILED"
    return QueueError(
        code if isinstance(code, str) else known,
        str(error.get("message")),
        retryable=facts.get("retryable") is not False,
        details=details if is_object(details) else None,
        name=name if isinstance(name, str) else "QueueError",
    )


def request(method: str, params: dict[str, object], id_: int | None = None) -> str:
    """Returns the line of a request, or of a notification if there is no id. Raises the errors of ``dumps``."""
    opening = '{"jsonrpc":"2.0",' if id_ is None else f'{{"jsonrpc":"2.0","id":{id_},'
    return f'{opening}"method":"{method}","params":{dumps(params)}}}\n'


def result(id_: object, text: str) -> str:
    """Returns the line of a response. ``text`` is the result as JSON."""
    return f'{{"jsonrpc":"2.0","id":{dumps(id_)},"result":{text}}}\n'


def failure(id_: object, error: dict[str, Any]) -> str:
    """Returns the line of an error response."""
    return f'{{"jsonrpc":"2.0","id":{dumps(id_)},"error":{dumps(error)}}}\n'
