"""What a handler receives beside its job."""

from __future__ import annotations

from functools import cached_property

from ._calls import given
from ._loggable import LONGEST_TEXT, cut_text, loggable, text_of
from ._steps import Flow, Step
from .config import camel_keys
from .errors import QueueError
from .job import Deferral, EnqueuedJob, Job
from .suspension import Left

TYPE_CHECKING = False
if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from typing import Any, TypeVar

    from ._calls import Calls, Notifies

    T = TypeVar("T")


#: How often an update tries before it gives up; each failure means that somebody else succeeded.
UPDATE_TRIES = 1000


def enqueueing(worker: str | Mapping[str, str], data: object, options: Mapping[str, Any]) -> dict[str, object]:
    """The parameters of ``ctx.enqueue``."""
    target = worker if isinstance(worker, str) else dict(worker)
    return {"worker": target, **given(data=data, options=camel_keys(options) or None)}


def conflict(key: str) -> QueueError:
    """An update has lost each of its races."""
    return QueueError("EVENTS_CONFLICT", f'State "{key}" changed {UPDATE_TRIES} times during an update.')


_LEVELS = frozenset({"debug", "info", "warn", "error"})


class Logger:
    """Logs that are events of the run. Never waits. Anything can be logged: what cannot travel is described."""

    def __init__(self, calls: Notifies) -> None:
        self._calls = calls

    def log(self, level: str, message: str, meta: Mapping[str, Any] | None = None, **more: Any) -> None:
        """Adds an entry.

        Args:
            level: ``debug``, ``info``, ``warn`` (or ``warning``) or ``error``.
            message: Text.
            meta: Facts beside it.
            more: Further facts, by keyword.

        Raises:
            QueueError: ``OPTION_INVALID`` for another level, ``RUN_ENDED``.
        """
        if level == "warning":
            level = "warn"
        if level not in _LEVELS:
            raise QueueError("OPTION_INVALID", f"There is no level {level!r}. Pass debug, info, warn or error.")
        whole = {**(meta or {}), **more}
        text = text_of(message)
        try:
            self._calls.notify("ctx.logger.log", {"level": level, "message": text, **given(meta=whole or None)})
        except QueueError as error:
            if error.code not in ("VALUE_UNSUPPORTED", "PAYLOAD_TOO_LARGE"):
                raise
            meta = given(meta=loggable(whole) if whole else None)
            self._calls.notify("ctx.logger.log", {"level": level, "message": cut_text(text, LONGEST_TEXT), **meta})

    def debug(self, message: str, meta: Mapping[str, Any] | None = None, **more: Any) -> None:
        """Adds an entry for who looks for a fault."""
        self.log("debug", message, meta, **more)

    def info(self, message: str, meta: Mapping[str, Any] | None = None, **more: Any) -> None:
        """Adds an entry."""
        self.log("info", message, meta, **more)

    def warning(self, message: str, meta: Mapping[str, Any] | None = None, **more: Any) -> None:
        """Adds an entry of something odd."""
        self.log("warn", message, meta, **more)

    warn = warning

    def error(self, message: str, meta: Mapping[str, Any] | None = None, **more: Any) -> None:
        """Adds an entry of something that failed. Does not fail the attempt."""
        self.log("error", message, meta, **more)


class State:
    """State of the run. Every write is an event; reads fold the events up to the call."""

    def __init__(self, calls: Calls) -> None:
        self._ask = calls.ask

    def get(self, key: str, default: Any = None) -> Any:
        """The value, or ``default`` where there is none."""
        value = self._ask("ctx.state.get", {"key": key})
        return default if value is None else value

    def has(self, key: str) -> bool:
        return bool(self._ask("ctx.state.has", {"key": key}))

    def get_all(self) -> dict[str, Any]:
        return self._ask("ctx.state.getAll", {})

    def set(self, key: str, value: Any) -> None:
        """Returns once stored. Raises QueueError ``VALIDATION_FAILED``, ``VALUE_UNSUPPORTED``, ``RUN_ENDED``."""
        self._ask("ctx.state.set", {"key": key, "value": value})

    def set_batch(self, values: Mapping[str, Any]) -> None:
        """Writes several keys in one event: all or none."""
        self._ask("ctx.state.setBatch", {"values": dict(values)})

    def delete(self, key: str) -> None:
        self._ask("ctx.state.delete", {"key": key})

    def update(self, key: str, change: Callable[[Any], T]) -> T:
        """Computes a value from the present one (``None`` where there is none), again if somebody was faster.

        >>> ctx.state.update("count", lambda count: (count or 0) + 1)
        """
        for _ in range(UPDATE_TRIES):
            seen = self._ask("ctx.state.read", {"key": key})
            value = change(seen["value"])
            swap = self._ask("ctx.state.swap", {"key": key, "token": seen["token"], "value": value})
            if swap["swapped"]:
                return swap["value"]
        raise conflict(key)


class Client:
    """Whoever watches the run."""

    def __init__(self, calls: Calls) -> None:
        self._ask = calls.ask

    def send(self, type: str, data: Any = None, *, store: bool | None = None) -> None:
        """Sends a message to those who follow the run. With ``store``, who comes later receives it too."""
        self._ask("ctx.client.send", {"type": type, **given(data=data, store=store)})

    def has_subscribers(self) -> bool:
        """Whether anybody follows the run, in whatever process. The answer may be a few seconds old."""
        return self._ask("ctx.client.hasSubscribers", {})


class BaseContext:
    """What contexts of both kinds have."""

    def __init__(self, job: Job[Any], calls: Notifies, claim: int = 1) -> None:
        self.job = job
        self.run_id = job.run_id
        #: 1 for the first try.
        self.attempt = job.attempt
        #: How often the job was handed out.
        self.claim = claim
        self._calls = calls
        self.cancel_reason: QueueError | None = None
        #: For the SDK: where the handler was left.
        self.left = Left()

    @cached_property
    def logger(self) -> Logger:
        return Logger(self._calls)

    @property
    def cancelled(self) -> bool:
        """True once the handler should stop: timeout, cancellation, shutdown or a lost lease."""
        return self.cancel_reason is not None

    def raise_if_cancelled(self) -> None:
        """Raises the QueueError that tells why the handler should stop."""
        if self.cancel_reason:
            raise self.cancel_reason

    def defer(self, *, delay: float | None = None, until: datetime | float | None = None) -> Deferral:
        """``return ctx.defer(delay=5000)``: run again later without using up an attempt. Milliseconds."""
        return Deferral(delay=delay, until=until)


class RunContext(BaseContext):
    """The context of a handler that is a plain function. Its methods wait for the host."""

    def __init__(self, job: Job[Any], calls: Calls, claim: int = 1) -> None:
        super().__init__(job, calls, claim)
        self._asking = calls
        self._ask = calls.ask
        self._signal: threading.Event | None = None

    # Made on first use: most handlers use few of them.

    @cached_property
    def state(self) -> State:
        return State(self._asking)

    @cached_property
    def flow(self) -> Flow:
        return Flow(self._asking, self.left)

    @cached_property
    def client(self) -> Client:
        return Client(self._asking)

    @cached_property
    def step(self) -> Step:
        return Step(self._asking, self.left)

    @property
    def signal(self) -> threading.Event:
        """Set once the handler should stop: ``ctx.signal.wait(5)``, in seconds as ``threading`` has it."""
        if self._signal is None:
            import threading

            self._signal = threading.Event()
            if self.cancelled:
                self._signal.set()
        return self._signal

    def cancel(self, reason: QueueError) -> None:
        """Tells the handler to stop; the first reason stands."""
        self.cancel_reason = self.cancel_reason or reason
        if self._signal is not None:
            self._signal.set()

    def progress(self, value: float, message: str | None = None) -> None:
        """How far the work is, between 0 and 1. Kept with the job and sent to whoever follows the run."""
        self._ask("ctx.progress", {"value": value, **given(message=message)})

    def emit(self, type: str, data: Any = None, *, key: str | None = None) -> dict[str, Any] | None:
        """Appends an event of your own and answers it as stored; ``None`` when its key was there already."""
        return self._ask("ctx.emit", {"type": type, **given(data=data, key=key)})

    def enqueue(self, worker: str | Mapping[str, str], data: Any = None, **options: Any) -> EnqueuedJob:
        """Enqueues a job.

        Args:
            worker: Its id, or ``{"queue", "name"}``.
            data: What its handler receives.
            options: Those of jobs: ``delay`` (milliseconds, or a datetime), ``attempts``, ``priority``, ``id``, …

        Example:
            >>> ctx.enqueue("mail", {"to": "ada@example.com"}, delay=500, dead_letter="lost")
        """
        return EnqueuedJob.from_wire(self._ask("ctx.enqueue", enqueueing(worker, data, options)))
