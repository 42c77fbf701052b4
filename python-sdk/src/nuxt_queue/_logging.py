"""Writes records of the standard ``logging`` module to the log of the run."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from importlib.machinery import ModuleSpec
    from logging import LogRecord
    from types import ModuleType
    from typing import Any

    from .context import BaseContext

    GetContext = Callable[[], "BaseContext | None"]


def bridge(context: GetContext) -> None:
    """Passes records of level INFO and above to the log of the running job, or to stderr if no job is running.

    If the user configures logging with ``basicConfig`` or ``dictConfig``, that configuration replaces this one. Importing
    ``logging`` takes milliseconds, so the bridge waits until other code imports it.
    """
    if "logging" in sys.modules:
        _install(context)
    else:
        sys.meta_path.insert(0, _LoggingFinder(context))


class _LoggingFinder:
    """Finds ``logging`` once through the other finders, and installs the bridge after it has been loaded."""

    def __init__(self, context: GetContext) -> None:
        self._context = context

    def find_spec(self, name: str, path: object = None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name != "logging":
            return None
        sys.meta_path.remove(self)  # type: ignore[arg-type]
        found = (finder.find_spec(name, None, target) for finder in sys.meta_path)
        spec = next(filter(None, found), None)
        if spec is None or spec.loader is None:
            return spec
        loader: Any = spec.loader
        load = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            load(module)
            _install(self._context)

        loader.exec_module = exec_module
        return spec


def _install(context: GetContext) -> None:
    import logging

    levels = ((logging.ERROR, "error"), (logging.WARNING, "warn"), (logging.INFO, "info"))

    class Bridge(logging.Handler):
        def emit(self, record: LogRecord) -> None:
            ctx = context()
            if ctx is None:
                stderr_handler.handle(record)
                return
            try:
                level = next((name for least, name in levels if record.levelno >= least), "debug")
                meta = {"logger": record.name}
                if record.exc_info:
                    meta["stack"] = logging.Formatter().formatException(record.exc_info)
                ctx.logger.log(level, record.getMessage(), meta)
            except Exception:
                self.handleError(record)

    stderr_handler = logging.StreamHandler()
    root = logging.getLogger()
    if root.handlers:
        return
    handler = Bridge()
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    configure = logging.basicConfig

    # `basicConfig` does nothing if a handler exists, so the handler of the bridge is removed first.
    def basic_config(**options: Any) -> None:
        root.removeHandler(handler)
        configure(**options)

    logging.basicConfig = basic_config
