"""The context of a trace around a handler, if the application has opentelemetry-api."""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

_modules: tuple[Any, Any] | None = None
_is_missing = False


def attach(headers: Mapping[str, str]) -> Callable[[], None]:
    """Makes the context that the headers of a job name the current one. Returns a function that undoes it.

    Never fails, because a job must not fail for the sake of its trace.
    """
    global _modules, _is_missing
    if _is_missing or "traceparent" not in headers:
        return _nothing
    try:
        if _modules is None:
            _modules = (import_module("opentelemetry.context"), import_module("opentelemetry.propagate"))
        context, propagate = _modules
        token = context.attach(propagate.extract(headers))
    except Exception:  # the library is missing, or broken
        _is_missing = _modules is None
        return _nothing
    return lambda: _detach(context, token)


def _detach(context: Any, token: object) -> None:
    try:
        context.detach(token)
    except Exception:  # the handler has changed the context
        pass


def _nothing() -> None:
    pass
