"""What a worker says about itself."""

from __future__ import annotations

import re
from typing import Any, Callable, Mapping, Optional, Sequence, TypeVar, Union, overload

from .errors import QueueError

F = TypeVar("F", bound=Callable[..., Any])

#: Where ``define_worker`` notes that a function is one.
MARK = "__nuxt_queue_worker__"


class WorkerConfig(dict[str, Any]):
    """Options of a worker under the names the queue knows them by."""


def define_config(
    *,
    queue: Optional[str] = None,
    name: Optional[str] = None,
    concurrency: Optional[int] = None,
    concurrency_per_key: Optional[int] = None,
    rate_limit: Optional[Mapping[str, float]] = None,
    attempts: Optional[int] = None,
    backoff: Union[float, Mapping[str, Any], None] = None,
    timeout: Optional[float] = None,
    priority: Optional[float] = None,
    dead_letter: Optional[str] = None,
    flow: Optional[Mapping[str, Any]] = None,
    process: Optional[Mapping[str, Any]] = None,
    **more: Any,
) -> WorkerConfig:
    """Options of the worker in this file, and defaults of its jobs. Durations are milliseconds.

    - ``queue``, ``name``: what it listens on (default: a queue of its own if it sets ``concurrency``, else
      ``default``) and the job name it handles (default: its path below the workers' folder)
    - ``concurrency``, ``concurrency_per_key``, ``rate_limit={"max", "duration"}``: how many jobs run at once, or start
    - ``attempts``, ``backoff``, ``timeout``, ``priority``, ``dead_letter``: as for ``enqueue``
    - ``flow={"name", "role", "step", "subscribes", "emits", …}``: its place in a flow
    - ``process={"reuse", "spare", "env", …}``: how its processes live

    Further keywords are options of plugins. Names may be given in snake_case.

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
    return WorkerConfig(_camel_keys({key: value for key, value in options.items() if value is not None}))


@overload
def define_worker(handler: F, /) -> F: ...
@overload
def define_worker(**options: Any) -> Callable[[F], F]: ...
def define_worker(handler: Optional[Callable[..., Any]] = None, /, **options: Any) -> Any:
    """Makes a function or coroutine function the worker of its file.

    >>> @define_worker
    ... def hello(job: Job, ctx: RunContext) -> str:
    ...     return f"hello {job.data['name']}"

    With keywords, those of ``define_config``: ``@define_worker(concurrency=2)``.
    """

    def mark(function: F) -> F:
        setattr(function, MARK, define_config(**options))
        return function

    return mark(handler) if handler is not None else mark


def merge(module: Optional[Mapping[str, Any]], decorator: Mapping[str, Any]) -> WorkerConfig:
    """The config of the module and that of the decorator, which must not contradict each other."""
    merged = WorkerConfig(module or {})
    for key, value in decorator.items():
        if key in merged and merged[key] != value:
            message = f'"{key}" is {merged[key]!r} in config and {value!r} in define_worker. Say it once.'
            raise QueueError("WORKER_INVALID", message)
        merged[key] = value
    return merged


def _camel_keys(value: Any) -> Any:
    """Names as the queue has them; those of environment variables are nobody's options and stay."""
    if isinstance(value, Mapping):
        return {
            _camel(str(key)): dict(member) if key == "env" else _camel_keys(member)
            for key, member in value.items()
        }
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        return [_camel_keys(item) for item in value]
    return value


def _camel(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])_([a-z])", lambda match: match.group(1).upper(), name)
