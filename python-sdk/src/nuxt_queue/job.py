"""The job of a handler, and the deferral that runs it again later."""

from __future__ import annotations

from .errors import QueueError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from typing import Any, Generic, TypeVar

    Data = TypeVar("Data")

    class _Base(Generic[Data]):
        pass

else:
    # Importing `typing` takes longer than importing this package. At run time only the subscript is needed.
    class _Base:
        __slots__ = ()

        def __class_getitem__(cls, _data):
            return cls


class Job(_Base["Data"]):
    """One attempt of a job, as its handler receives it.

    ``Job[Order]`` declares the type of ``data`` for a type checker. Nothing is checked or converted at run time.

    Attributes:
        id: Unique within its queue.
        queue: The name of its queue.
        name: The job name, which selects the worker.
        data: The data that was enqueued. Each attempt has its own copy, which the handler may change.
        run_id: The run whose state and events the job shares.
        attempt: 1 for the first attempt. It counts only failures of the handler.
        attempts: The maximum number of attempts.
        crashes: How many workers crashed while they ran the job.
        priority: A job with a larger number runs first.
        created_at: Milliseconds since the epoch.
        tags: Tags to find the job by. Empty if there are none.
        headers: Text that travels with the job, by name. Empty if there is none.
        options: The options of the job, in camelCase (``deadLetter``).
        flow: ``{"name", "step"}`` of its flow, or ``None``.
    """

    __slots__ = (
        "id", "queue", "name", "data", "run_id", "attempt", "attempts", "crashes", "priority", "created_at",
        "tags", "headers", "options", "flow",
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
        tags: Sequence[str] = (),
        headers: Mapping[str, str] | None = None,
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
        self.tags: Sequence[str] = tags
        self.headers: Mapping[str, str] = headers or {}
        self.options: Mapping[str, Any] = options or {}
        self.flow = flow

    @staticmethod
    def from_wire(wire: Any) -> Job[Any]:
        """Returns the job from the format of the protocol. Raises KeyError or TypeError if it is invalid."""
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
            tags=tuple(wire.get("tags") or ()),
            headers=wire.get("headers"),
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
    """A handler returns it to run the job again later, without using up an attempt.

    Args:
        delay: Milliseconds from now.
        until: A time, as a datetime or in milliseconds since the epoch.

    Raises:
        QueueError: ``OPTION_INVALID`` unless exactly one of them is given and not negative.

    Example:
        >>> Deferral(delay=5000).wire
        {'delay': 5000}
    """

    __slots__ = ("delay", "until")

    def __init__(self, *, delay: float | None = None, until: datetime | float | None = None) -> None:
        if (delay is None) == (until is None):
            raise QueueError("OPTION_INVALID", 'A deferral needs either "delay" or "until". Pass exactly one of them.')
        self.delay = delay
        self.until: float | None = until if until is None or isinstance(until, (int, float)) else milliseconds(until)
        wait: object = self.delay if delay is not None else self.until
        if isinstance(wait, bool) or not isinstance(wait, (int, float)) or not 0 <= wait < float("inf"):
            raise QueueError("OPTION_INVALID", f"A job cannot be deferred by {wait!r}. Pass milliseconds, 0 or more.")

    @property
    def wire(self) -> dict[str, float]:
        """The deferral in the format of the protocol."""
        if self.delay is not None:
            return {"delay": self.delay}
        assert self.until is not None
        return {"until": self.until}


def milliseconds(moment: datetime) -> int:
    """Returns milliseconds since the epoch. A naive datetime is local time."""
    return int(moment.timestamp() * 1000)


class StartedRun:
    """A run of a flow that was started.

    Attributes:
        run_id: The id of the run.
    """

    __slots__ = ("run_id",)

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id

    def __repr__(self) -> str:
        return f"StartedRun(run_id={self.run_id!r})"


class EnqueuedJob:
    """A job that was enqueued.

    Attributes:
        id: The id of the job, either passed or generated.
        run_id: The run that the job belongs to.
        queue: The name of its queue.
        name: The job name.
        deduplicated: True if the queue already had a job with this id, so that no job was added.
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
        """Returns the job from the format of the protocol."""
        return EnqueuedJob(
            id=wire["id"],
            run_id=wire["runId"],
            queue=wire["queue"],
            name=wire["name"],
            deduplicated=wire.get("deduplicated", False),
        )

    def __repr__(self) -> str:
        return f"EnqueuedJob(id={self.id!r}, queue={self.queue!r}, name={self.name!r})"
