"""Loads the file of a worker."""

from __future__ import annotations

import importlib.util
import os
import sys

from ._errors import message_of, traceback_of
from ._frames import UNLOADABLE, WireError
from ._paths import after_library
from .config import MARK, WorkerConfig, merge
from .errors import QueueError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any

#: The prefix of worker modules. Without it, a worker such as `email` would hide a module of the same name.
PREFIX = "nuxt_queue_worker_"

_CO_GENERATOR, _CO_COROUTINE, _CO_ASYNC_GENERATOR = 0x20, 0x80, 0x200


class Loaded:
    """A worker that is ready to run."""

    __slots__ = ("config", "file", "handler", "is_async")

    def __init__(self, file: str, handler: Callable[..., Any], config: WorkerConfig) -> None:
        flags = _flags_of(handler)
        if flags & (_CO_GENERATOR | _CO_ASYNC_GENERATOR):
            raise QueueError("WORKER_INVALID", f"The handler of {file} is a generator. Return a list instead.")
        self.file = file
        self.handler = handler
        self.config = config
        self.is_async = bool(flags & _CO_COROUTINE)


def load(file: str, worker: str | None = None) -> Loaded:
    """Runs a file and finds its worker.

    Raises:
        WireError: With ``WORKER_INVALID`` and the traceback of the file.
    """
    path = os.path.abspath(file)
    try:
        module = _run(path, worker or os.path.splitext(os.path.basename(path))[0])
        handler = _handler_of(module, file)
        config = merge(getattr(module, "config", None), getattr(handler, MARK))
        return Loaded(path, handler, config)
    except QueueError as error:
        data: dict[str, Any] = {"code": "WORKER_INVALID", "name": "QueueError", "stack": str(error)}
        raise WireError(UNLOADABLE, str(error), data) from error
    except (Exception, SystemExit) as error:
        name = type(error).__name__
        message = f"SystemExit: {error.code!r}. {file} called sys.exit()" if isinstance(error, SystemExit) else f"{name}: {message_of(error)}"
        raise WireError(
            UNLOADABLE, message, {"code": "WORKER_INVALID", "name": name, "stack": traceback_of(error)}
        ) from error


def _run(file: str, worker: str) -> ModuleType:
    name = PREFIX + "".join(char if char.isalnum() else "_" for char in worker)
    spec = importlib.util.spec_from_file_location(name, file)
    loader: Any = spec and spec.loader
    if spec is None or loader is None:
        raise QueueError("WORKER_INVALID", f"{file} is not a Python file.")
    sys.argv = [file]
    sys.path.insert(after_library(), os.path.dirname(file))
    module = importlib.util.module_from_spec(spec)
    # Registered by name, so that dataclasses, pickle and multiprocessing find its definitions.
    sys.modules[name] = module
    loader.exec_module(module)
    return module


class SpawnedFinder:
    """Finds the module of a worker in a process spawned by ``multiprocessing``, where ``argv[0]`` is its file."""

    def find_spec(self, name: str, path: object = None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Implements the protocol of `sys.meta_path`."""
        return importlib.util.spec_from_file_location(name, sys.argv[0]) if name.startswith(PREFIX) else None


def _handler_of(module: ModuleType, file: str) -> Callable[..., Any]:
    found = {
        name: value
        for name, value in vars(module).items()
        if hasattr(value, MARK) and getattr(value, "__module__", None) == module.__name__
    }
    handlers = list({id(value): value for value in found.values()}.values())
    if len(handlers) == 1:
        return handlers[0]
    named = found.get("default", found.get("handler"))
    if named:
        return named
    if not found:
        hint = 'If it is not a worker, let its name begin with "_". Otherwise decorate a function with @define_worker.'
        raise QueueError("WORKER_INVALID", f"{file} has no handler. {hint}")
    raise QueueError(
        "WORKER_INVALID", f"{file} has several handlers: {', '.join(found)}. Name one of them `handler`."
    )


def _flags_of(handler: Callable[..., Any]) -> int:
    # `inspect` could do this too, but it is slow to import.
    code = getattr(handler, "__code__", None) or getattr(getattr(type(handler), "__call__", None), "__code__", None)
    return code.co_flags if code else 0
