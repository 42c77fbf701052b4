"""What a handler is given to do, and the answer that it would rather be asked later."""

from __future__ import annotations

from .errors import QueueError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from typing import Any, Generic, TypeVar

    Data = TypeVar("Data")

    class _Base(Generic[Data]):
        pass

else:
    # `typing` costs more start-up than all of this package; a subscript is all that is needed at run time.
    class _Base:
        __slots__ = ()

        def __class_getitem__(cls, _data):
            return cls


class Job(_Base["Data"]):
    """One attempt of a job, as its handler sees it.

    ``Job[Order]`` types ``data`` for a type checker; nothing is checked or converted at run time.

    Attributes:
        id: Unique in its queue.
        queue: The queue it came from.
        name: The job name, which chose the worker.
        data: What was enqueued. Yours to change: every attempt has its own copy.
        run_id: The run whose state and events it shares.
        attempt: 1 for the first try; counts failures of the handler only.
        attempts: How many there may be.
        crashes: How often it was handed out and never came back.
        priority: The larger, the more urgent.
        created_at: Milliseconds since the epoch.
        options: The options it was enqueued with, in the engine's notation (``deadLetter``).
        flow: ``{"name", "step"}`` of its place in a flow, or ``None``.
    """

    __slots__ = (
        "id", "queue", "name", "data", "run_id", "attempt", "attempts", "crashes", "priority", "created_at",
        "options", "flow",
    )  # fmt: skip

    def __init__(
        self,
        *,
        id: str,
        queue: str,
        name: str,
        data: Data,
        run_id: str,
        attempt: int = 1,
        attempts: int = 1,
        crashes: int = 0,
        priority: int = 0,
        created_at: int = 0,
        options: Mapping[str, Any] | None = None,
        flow: Mapping[str, Any] | None = None,
    ) -> None:
        self.id = id
        self.queue = queue
        self.name = name
        self.data: Data = data
        self.run_id = run_id
        self.attempt = attempt
        self.attempts = attempts
        self.crashes = crashes
        self.priority = priority
        self.created_at = created_at
        self.options: Mapping[str, Any] = options or {}
        self.flow = flow

    @staticmethod
    def from_wire(wire: Any) -> Job[Any]:
        """The job as the protocol writes it. Raises KeyError or TypeError for what is none."""
        return Job(
            id=_text(wire["id"]),
            queue=_text(wire["queue"]),
            name=_text(wire["name"]),
            data=wire.get("data"),
            run_id=_text(wire["runId"]),
            attempt=wire.get("attempt", 1),
            attempts=wire.get("attempts", 1),
            crashes=wire.get("crashes", 0),
            priority=wire.get("priority", 0),
            created_at=wire.get("createdAt", 0),
            options=wire.get("options"),
            flow=wire.get("flow"),
        )

    def __repr__(self) -> str:
        return f"Job(id={self.id!r}, queue={self.queue!r}, name={self.name!r}, attempt={self.attempt})"


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not a string")
    return value


class Deferral:
    """Returned by a handler to have the job run again later, without using up an attempt.

    Args:
        delay: Milliseconds from now.
        until: A moment, as a datetime or in milliseconds since the epoch.

    Raises:
        QueueError: ``OPTION_INVALID`` unless exactly one of them is given, not negative.

    Example:
        >>> Deferral(delay=5000).wire
        {'delay': 5000}
    """

    __slots__ = ("delay", "until")

    def __init__(self, *, delay: float | None = None, until: datetime | float | None = None) -> None:
        if (delay is None) == (until is None):
            raise QueueError("OPTION_INVALID", "Defer a job by a delay or until a moment: pass one of the two.")
        self.delay = delay
        self.until: float | None = until if until is None or isinstance(until, (int, float)) else milliseconds(until)
        wait: object = self.delay if delay is not None else self.until
        if isinstance(wait, bool) or not isinstance(wait, (int, float)) or not 0 <= wait < float("inf"):
            raise QueueError("OPTION_INVALID", f"A job cannot be deferred by {wait!r}: pass milliseconds, 0 or more.")

    @property
    def wire(self) -> dict[str, float]:
        """What is sent to the host."""
        if self.delay is not None:
            return {"delay": self.delay}
        assert self.until is not None
        return {"until": self.until}


def milliseconds(moment: datetime) -> int:
    """Since the epoch; a naive datetime is local time."""
    return int(moment.timestamp() * 1000)


class StartedRun:
    """A run of a flow that was started.

    Attributes:
        run_id: Its id.
    """

    __slots__ = ("run_id",)

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id

    def __repr__(self) -> str:
        return f"StartedRun(run_id={self.run_id!r})"


class EnqueuedJob:
    """What became of a job that was enqueued.

    Attributes:
        id: Its id, given or made up.
        run_id: The run it belongs to.
        queue: Where it is.
        name: Its job name.
        deduplicated: Whether the queue knew the id already, and nothing was added.
    """

    __slots__ = ("id", "run_id", "queue", "name", "deduplicated")

    def __init__(self, *, id: str, run_id: str, queue: str, name: str, deduplicated: bool = False) -> None:
        self.id = id
        self.run_id = run_id
        self.queue = queue
        self.name = name
        self.deduplicated = deduplicated

    @staticmethod
    def from_wire(wire: Mapping[str, Any]) -> EnqueuedJob:
        """What the host answers."""
        return EnqueuedJob(
            id=wire["id"],
            run_id=wire["runId"],
            queue=wire["queue"],
            name=wire["name"],
            deduplicated=wire.get("deduplicated", False),
        )

    def __repr__(self) -> str:
        return f"EnqueuedJob(id={self.id!r}, queue={self.queue!r}, name={self.name!r})"
