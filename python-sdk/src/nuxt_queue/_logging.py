"""The standard ``logging`` module, as entries of the run's log."""

from __future__ import annotations

import logging
from typing import Any, Callable

_LEVELS = ((logging.ERROR, "error"), (logging.WARNING, "warn"), (logging.INFO, "info"))


class BridgeHandler(logging.Handler):
    """Passes records on to the job that runs, and to stderr where none does."""

    def __init__(self, context: Callable[[], Any]) -> None:
        super().__init__()
        self._context = context
        self._elsewhere = logging.StreamHandler()

    def emit(self, record: logging.LogRecord) -> None:
        ctx = self._context()
        if ctx is None:
            return self._elsewhere.emit(record)
        try:
            level = next((name for least, name in _LEVELS if record.levelno >= least), "debug")
            meta = {"logger": record.name}
            if record.exc_info:
                meta["stack"] = (self.formatter or logging.Formatter()).formatException(record.exc_info)
            ctx.logger.log(level, record.getMessage(), meta)
        except Exception:
            self.handleError(record)


def bridge(context: Callable[[], Any]) -> None:
    """Does what ``logging.basicConfig`` does, which then does nothing more; INFO and above unless told otherwise."""
    root = logging.getLogger()
    root.addHandler(BridgeHandler(context))
    root.setLevel(logging.INFO)
