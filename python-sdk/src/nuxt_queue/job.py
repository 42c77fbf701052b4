"""The job as a handler sees it."""

from __future__ import annotations

from typing import Any, Mapping, Optional


class Job:
    """One unit of queued work. ``data`` is what was enqueued, converted as the table in the README tells."""

    __slots__ = (
        "attempt",
        "attempts",
        "crashes",
        "created_at",
        "data",
        "flow",
        "id",
        "name",
        "options",
        "priority",
        "queue",
        "run_id",
    )

    def __init__(self, wire: Mapping[str, Any]) -> None:
        self.id: str = wire["id"]
        self.queue: str = wire["queue"]
        self.name: str = wire["name"]
        self.data: Any = wire.get("data")
        #: The history this job belongs to.
        self.run_id: str = wire["runId"]
        #: 1 for the first try; counts failures of the handler only.
        self.attempt: int = wire.get("attempt", 1)
        #: How many there may be.
        self.attempts: int = wire.get("attempts", 1)
        #: How often it was handed out and never came back.
        self.crashes: int = wire.get("crashes", 0)
        self.priority: float = wire.get("priority", 0)
        #: Milliseconds since the epoch.
        self.created_at: int = wire.get("createdAt", 0)
        self.options: Mapping[str, Any] = wire.get("options") or {}
        #: ``{"name", "step"}`` where the job is part of a flow.
        self.flow: Optional[Mapping[str, Any]] = wire.get("flow")

    def __repr__(self) -> str:
        return f"Job(id={self.id!r}, name={self.name!r}, attempt={self.attempt})"
