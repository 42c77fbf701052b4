"""The configuration of a worker."""

from __future__ import annotations

import re

from .errors import QueueError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, TypeVar, overload

    F = TypeVar("F", bound=Callable[..., Any])

#: The attribute with which ``define_worker`` marks a function.
MARK = "__nuxt_queue_worker__"


class WorkerConfig(dict[str, "Any"]):
    """Options of a worker, with the names that the queue uses."""


def define_config(
    *,
    queue: str | None = None,
    name: str | None = None,
    concurrency: int | None = None,
    concurrency_per_key: int | None = None,
    rate_limit: Mapping[str, float] | None = None,
    attempts: int | None = None,
    backoff: float | Mapping[str, Any] | None = None,
    timeout: float | None = None,
    priority: float | None = None,
    dead_letter: str | None = None,
    flow: Mapping[str, Any] | None = None,
    process: Mapping[str, Any] | None = None,
    **more: Any,
) -> WorkerConfig:
    """Returns the options of the worker in this file, and the defaults of its jobs. Durations are in milliseconds.

    - ``queue``: the queue of the worker. Default: a separate queue if it sets ``concurrency``, otherwise ``default``
    - ``name``: the job name it handles. Default: its path below the folder of workers
    - ``concurrency``, ``concurrency_per_key``: how many jobs run at once
    - ``rate_limit={"max", "duration"}``: how many jobs start within a time
    - ``attempts``, ``backoff``, ``timeout``, ``priority``, ``dead_letter``: the same as for ``enqueue``
    - ``flow={"name", "role", "step", "subscribes", "emits", …}``: its steps in flows
    - ``process={"reuse", "spare", "prefork", "env", …}``: options of its processes

    Further keywords are options of plugins. All names may be in snake_case.

    >>> config = define_config(concurrency=2, attempts=3, backoff={"type": "exponential", "delay": 1000})
    """
    options = {
        "queue": queue,
        "name": name,
        "concurrency": concurrency,
        "concurrency_per_key": concurrency_per_key,
        "rate_limit": rate_limit,
        "attempts": attempts,
        "backoff": backoff,
        "timeout": timeout,
        "priority": priority,
        "dead_letter": dead_letter,
        "flow": flow,
        "process": process,
        **more,
    }
    return WorkerConfig(camel_keys({key: value for key, value in options.items() if value is not None}))


if TYPE_CHECKING:

    @overload
    def define_worker(handler: F, /) -> F: ...
    @overload
    def define_worker(**options: Any) -> Callable[[F], F]: ...


def define_worker(handler: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Makes a function or coroutine function the worker of its file.

    Args:
        handler: Receives a ``Job`` and a ``RunContext``, or an ``AsyncRunContext`` if it is ``async def``. It returns the
            result of the job.
        options: The options of ``define_config``, as an alternative or in addition: ``@define_worker(concurrency=2)``.

    Example:
        >>> @define_worker
        ... def hello(job: Job[str], ctx: RunContext) -> str:
        ...     return f"hello {job.data}"
    """
    if handler is not None and not callable(handler):
        raise TypeError("define_worker accepts a function, or options by keyword: @define_worker(concurrency=2)")

    def mark(function: Callable[..., Any]) -> Callable[..., Any]:
        setattr(function, MARK, define_config(**options))
        return function

    return mark(handler) if handler is not None else mark


def merge(module: object, decorator: Mapping[str, Any]) -> WorkerConfig:
    """Merges the ``config`` of a file with the options of its decorator. They must not contradict each other.

    Raises:
        QueueError: ``WORKER_INVALID``.
    """
    if isinstance(module, dict) and not isinstance(module, WorkerConfig):
        raise QueueError("WORKER_INVALID", "`config` is a plain dict. Write config = define_config(...).")
    # Any other value of that name, such as an imported module, is ignored.
    merged = WorkerConfig(module if isinstance(module, WorkerConfig) else {})
    for key, value in decorator.items():
        if key in merged and merged[key] != value:
            message = f'"{key}" is {merged[key]!r} in config and {value!r} in define_worker. Set it in one place.'
            raise QueueError("WORKER_INVALID", message)
        merged[key] = value
    return merged


def camel_keys(options: Mapping[str, Any]) -> dict[str, Any]:
    """Returns options in camelCase, as the queue names them. Also converts the members of known nested options."""
    camel = {_camel(name): value for name, value in options.items()}
    for name in _NESTED.intersection(camel):
        if isinstance(camel[name], dict):
            camel[name] = {_camel(str(inner)): value for inner, value in camel[name].items()}
    return camel


#: Options that contain options. Deeper names are kept: those in ``process["env"]`` are environment variables.
_NESTED = frozenset({"backoff", "flow", "process", "rateLimit"})


def _camel(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])_([a-z])", lambda match: match.group(1).upper(), name)
