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
    """Makes the context that the headers of a job name the current one. Returns a function that undoes it."""
    global _modules, _is_missing
    if _is_missing or "traceparent" not in headers:
        return _nothing
    if _modules is None:
        try:
            _modules = (import_module("opentelemetry.context"), import_module("opentelemetry.propagate"))
        except ImportError:
            _is_missing = True
            return _nothing
    context, propagate = _modules
    token = context.attach(propagate.extract(headers))
    return lambda: context.detach(token)


def _nothing() -> None:
    pass
