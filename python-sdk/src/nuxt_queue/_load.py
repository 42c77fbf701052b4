"""Loads the file of a worker."""

from __future__ import annotations

import importlib.util
import os
import re
import sys
from typing import Any, Callable, NamedTuple, Optional

from ._wire import LOAD, WireError, traceback_of
from .config import MARK, WorkerConfig, merge
from .errors import QueueError

HINT = "Write one:\n\n    @define_worker\n    def handler(job, ctx):\n        …"


class Loaded(NamedTuple):
    handler: Callable[..., Any]
    config: WorkerConfig
    is_async: bool


def load(file: str, worker: Optional[str] = None) -> Loaded:
    """Runs the file and finds its worker. Raises WireError with ``WORKER_INVALID`` and the traceback."""
    try:
        module = _run(os.path.abspath(file), worker or os.path.splitext(os.path.basename(file))[0])
        handler = _handler_of(module, file)
        config = merge(getattr(module, "config", None), getattr(handler, MARK))
    except QueueError as error:
        raise WireError(LOAD, str(error), {"code": "WORKER_INVALID", "stack": str(error)}) from error
    except (Exception, SystemExit) as error:
        message = f"{type(error).__name__}: {error}"
        data = {"code": "WORKER_INVALID", "name": type(error).__name__, "stack": traceback_of(error)}
        raise WireError(LOAD, message, data) from error
    # CO_COROUTINE; `inspect` knows it too, but takes its time to load.
    code = getattr(handler, "__code__", None)
    return Loaded(handler, config, bool(code and code.co_flags & 0x80))


def _run(file: str, worker: str) -> Any:
    name = re.sub(r"\W", "_", worker)
    spec = importlib.util.spec_from_file_location(name, file)
    loader: Any = spec and spec.loader
    if spec is None or loader is None:
        raise QueueError("WORKER_INVALID", f"{file} is no Python file.")
    sys.argv = [file]
    sys.path.insert(0, os.path.dirname(file))
    module = importlib.util.module_from_spec(spec)
    # Known by name, so that dataclasses, pickle and multiprocessing find what it defines.
    sys.modules[name] = module
    loader.exec_module(module)
    return module


def _handler_of(module: Any, file: str) -> Callable[..., Any]:
    found = [
        (name, value)
        for name, value in vars(module).items()
        if hasattr(value, MARK) and getattr(value, "__module__", None) == module.__name__
    ]
    handlers = {id(value): value for _, value in found}
    if len(handlers) == 1:
        return next(iter(handlers.values()))
    named = [value for name, value in found if name in ("default", "handler")]
    if named:
        return named[0]
    if not found:
        raise QueueError("WORKER_INVALID", f"{file} has no handler. {HINT}")
    names = ", ".join(name for name, _ in found)
    raise QueueError("WORKER_INVALID", f"{file} has several handlers: {names}. Call one of them `handler`.")
