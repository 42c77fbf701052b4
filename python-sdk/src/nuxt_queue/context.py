"""The context that a handler receives together with its job."""

from __future__ import annotations

from functools import cached_property

from ._calls import without_none
from ._flow import Flow
from ._loggable import MAX_TEXT, cut_text, loggable, text_of
from ._steps import Step
from .config import camel_keys
from .errors import QueueError
from .job import Deferral, EnqueuedJob, Job
from .suspension import SuspensionState

TYPE_CHECKING = False
if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from typing import Any, TypeVar

    from ._calls import Calls, Notifies

    T = TypeVar("T")


#: How often an update tries before it fails. Each failed try means that another write succeeded.
MAX_TRIES = 1000


def enqueue_params(worker: str | Mapping[str, str], data: object, options: Mapping[str, Any]) -> dict[str, object]:
    """Returns the parameters of ``ctx.enqueue``."""
    target = worker if isinstance(worker, str) else dict(worker)
    return {"worker": target, **without_none(data=data, options=camel_keys(options) or None)}


def conflict(key: str) -> QueueError:
    """Returns the error of an update whose tries have all failed."""
    message = f'State "{key}" was changed {MAX_TRIES} times during an update. Write the key less often.'
    return QueueError("EVENTS_CONFLICT", message)


_LEVELS = frozenset({"debug", "info", "warn", "error"})


class Logger:
    """Writes log entries as events of the run, without waiting. A value that cannot be stored is described."""

    def __init__(self, calls: Notifies) -> None:
        self._calls = calls

    def log(self, level: str, message: str, meta: Mapping[str, Any] | None = None, **more: Any) -> None:
        """Adds an entry.

        Args:
            level: ``debug``, ``info``, ``warn`` (or ``warning``) or ``error``.
            message: The text of the entry.
            meta: Additional facts.
            more: More facts, by keyword.

        Raises:
            QueueError: ``OPTION_INVALID`` for another level, or ``RUN_ENDED``.
        """
        if level == "warning":
            level = "warn"
        if level not in _LEVELS:
            raise QueueError("OPTION_INVALID", f"Log level {level!r} is unknown. Pass debug, info, warn or error.")
        facts = {**(meta or {}), **more}
        text = text_of(message)
        try:
            self._calls.notify("ctx.logger.log", {"level": level, "message": text, **without_none(meta=facts or None)})
        except QueueError as error:
            if error.code not in ("VALUE_UNSUPPORTED", "PAYLOAD_TOO_LARGE"):
                raise
            meta = without_none(meta=loggable(facts) if facts else None)
            self._calls.notify("ctx.logger.log", {"level": level, "message": cut_text(text, MAX_TEXT), **meta})

    def debug(self, message: str, meta: Mapping[str, Any] | None = None, **more: Any) -> None:
        """Adds an entry for debugging."""
        self.log("debug", message, meta, **more)

    def info(self, message: str, meta: Mapping[str, Any] | None = None, **more: Any) -> None:
        """Adds an entry."""
        self.log("info", message, meta, **more)

    def warning(self, message: str, meta: Mapping[str, Any] | None = None, **more: Any) -> None:
        """Adds a warning."""
        self.log("warn", message, meta, **more)

    warn = warning

    def error(self, message: str, meta: Mapping[str, Any] | None = None, **more: Any) -> None:
        """Adds an error entry. Does not fail the attempt."""
        self.log("error", message, meta, **more)


class State:
    """The state of the run. Every write is an event, and a read folds all events up to the call."""

    def __init__(self, calls: Calls) -> None:
        self._ask = calls.ask

    def get(self, key: str, default: Any = None) -> Any:
        """Returns the value of a key, or ``default`` if it has none."""
        value = self._ask("ctx.state.get", {"key": key})
        return default if value is None else value

    def has(self, key: str) -> bool:
        """Returns whether a key was written."""
        return bool(self._ask("ctx.state.has", {"key": key}))

    def get_all(self) -> dict[str, Any]:
        """Returns all values."""
        return self._ask("ctx.state.getAll", {})

    def set(self, key: str, value: Any) -> None:
        """Writes a value. Raises QueueError ``VALIDATION_FAILED``, ``VALUE_UNSUPPORTED`` or ``RUN_ENDED``."""
        self._ask("ctx.state.set", {"key": key, "value": value})

    def set_batch(self, values: Mapping[str, Any]) -> None:
        """Writes several keys in one event, so either all of them are stored or none."""
        self._ask("ctx.state.setBatch", {"values": dict(values)})

    def delete(self, key: str) -> None:
        """Removes a key."""
        self._ask("ctx.state.delete", {"key": key})

    def update(self, key: str, change: Callable[[Any], T]) -> T:
        """Computes a value from the current one (``None`` if there is none) and stores it. Returns the stored value.

        If the key changes in the meantime, ``change`` runs again. Raises QueueError ``EVENTS_CONFLICT`` after 1,000 tries.

        >>> ctx.state.update("count", lambda count: (count or 0) + 1)
        """
        for _ in range(MAX_TRIES):
            seen = self._ask("ctx.state.read", {"key": key})
            value = change(seen["value"])
            swap = self._ask("ctx.state.swap", {"key": key, "token": seen["token"], "value": value})
            if swap["swapped"]:
                return swap["value"]
        raise conflict(key)


class Client:
    """Sends messages to the clients that follow the run."""

    def __init__(self, calls: Calls) -> None:
        self._ask = calls.ask

    def send(self, type: str, data: Any = None, *, store: bool | None = None) -> None:
        """Sends a message to the clients that follow the run. With ``store``, later clients receive it too."""
        self._ask("ctx.client.send", {"type": type, **without_none(data=data, store=store)})

    def has_subscribers(self) -> bool:
        """Returns whether a client follows the run, in any process. The result may be a few seconds old."""
        return self._ask("ctx.client.hasSubscribers", {})


class BaseContext:
    """The members that both kinds of contexts share."""

    def __init__(self, job: Job[Any], calls: Notifies, claim: int = 1) -> None:
        self.job = job
        self.run_id = job.run_id
        #: 1 for the first attempt.
        self.attempt = job.attempt
        #: How often a worker received the job.
        self.claim = claim
        self._calls = calls
        self.cancel_reason: QueueError | None = None
        #: Internal: whether the handler was suspended.
        self.suspension = SuspensionState()

    @cached_property
    def logger(self) -> Logger:
        return Logger(self._calls)

    @property
    def cancelled(self) -> bool:
        """True when the handler must stop because of a timeout, a cancellation, a shutdown or a lost lease."""
        return self.cancel_reason is not None

    def raise_if_cancelled(self) -> None:
        """Raises a QueueError with the reason if the handler must stop."""
        if self.cancel_reason:
            raise self.cancel_reason

    def defer(self, *, delay: float | None = None, until: datetime | float | None = None) -> Deferral:
        """Runs the job again later, without using up an attempt: ``return ctx.defer(delay=5000)``. In milliseconds."""
        return Deferral(delay=delay, until=until)


class RunContext(BaseContext):
    """The context of a plain function handler. Its methods wait for the host."""

    def __init__(self, job: Job[Any], calls: Calls, claim: int = 1) -> None:
        super().__init__(job, calls, claim)
        self._asking = calls
        self._ask = calls.ask
        self._signal: threading.Event | None = None

    # Created on first use, because most handlers use only a few of them.

    @cached_property
    def state(self) -> State:
        return State(self._asking)

    @cached_property
    def flow(self) -> Flow:
        return Flow(self._asking, self.suspension)

    @cached_property
    def client(self) -> Client:
        return Client(self._asking)

    @cached_property
    def step(self) -> Step:
        return Step(self._asking, self.suspension)

    @property
    def signal(self) -> threading.Event:
        """An event that is set when the handler must stop: ``ctx.signal.wait(5)`` waits for 5 seconds."""
        if self._signal is None:
            import threading

            self._signal = threading.Event()
            if self.cancelled:
                self._signal.set()
        return self._signal

    def cancel(self, reason: QueueError) -> None:
        """Asks the handler to stop. The first reason is kept."""
        self.cancel_reason = self.cancel_reason or reason
        if self._signal is not None:
            self._signal.set()

    def progress(self, value: float, message: str | None = None) -> None:
        """Reports the progress, between 0 and 1. It is stored with the job and sent to the clients that follow the run."""
        self._ask("ctx.progress", {"value": value, **without_none(message=message)})

    def emit(self, type: str, data: Any = None, *, key: str | None = None) -> dict[str, Any] | None:
        """Appends a custom event. Returns the stored event, or ``None`` if an event with this key exists already."""
        return self._ask("ctx.emit", {"type": type, **without_none(data=data, key=key)})

    def enqueue(self, worker: str | Mapping[str, str], data: Any = None, **options: Any) -> EnqueuedJob:
        """Enqueues a job, and returns it.

        Args:
            worker: The id of a worker, or ``{"queue", "name"}``.
            data: The data for its handler.
            options: Job options: ``delay`` (milliseconds, or a datetime), ``attempts``, ``priority``, ``id``, …

        Example:
            >>> ctx.enqueue("mail", {"to": "ada@example.com"}, delay=500, dead_letter="lost")
        """
        return EnqueuedJob.from_wire(self._ask("ctx.enqueue", enqueue_params(worker, data, options)))
