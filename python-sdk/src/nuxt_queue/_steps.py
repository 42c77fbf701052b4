"""Parts of a handler that are done once, and waits inside it."""

from __future__ import annotations

from ._calls import given
from .job import StartedRun, milliseconds
from .suspension import outcome

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from typing import Any, Literal, TypeVar, overload

    from ._calls import Calls

    T = TypeVar("T")
else:

    def overload(function):
        return function


class Names:
    """Counts names that are used again in one attempt: ``page``, ``page#2``, …"""

    def __init__(self) -> None:
        self._used: dict[str, int] = {}

    def next(self, name: str) -> str:
        times = self._used[name] = self._used.get(name, 0) + 1
        return name if times == 1 else f"{name}#{times}"


def sleeping(name: str, until: datetime | float) -> dict[str, object]:
    """The parameters of a wait for a moment."""
    moment = {"delay": until} if isinstance(until, (int, float)) else {"until": milliseconds(until)}
    return {"name": name, "wait": {"kind": "sleep", **moment}}


def awaiting(
    name: str, event: str, key: str | None, timeout: float | None, lookback: float | None
) -> dict[str, object]:
    """The parameters of a wait for an event."""
    return {"name": name, "wait": {"kind": "event", "event": event, **given(key=key, timeout=timeout, lookback=lookback)}}


def starting(flow: str, input: object, id: str | None, tags: Sequence[str] | None, wait: bool) -> dict[str, object]:
    """The parameters of ``ctx.flow.start``."""
    options = given(id=id, tags=None if tags is None else list(tags), wait=wait or None)
    return {"flow": flow, **given(input=input, options=options or None)}


class Step:
    """Parts of a handler that are done once for all its attempts.

    A handler that waits is run again from its beginning, with what it has done so far answered from the log: it has to
    ask for the same names in the same order each time, and what varies belongs inside ``run``.
    """

    def __init__(self, calls: Calls) -> None:
        self._ask = calls.ask
        self._names = Names()

    def run(self, name: str, fn: Callable[[], T]) -> T:
        """Runs a function, or answers what it returned when an earlier attempt finished it.

        Raises QueueError ``STEP_MISMATCH`` when an earlier attempt went another way.

        >>> charge = ctx.step.run("charge", lambda: payments.charge(order))
        """
        counted = self._names.next(name)
        found = self._ask("ctx.step.lookup", {"name": counted})
        if found["found"]:
            return found.get("result")
        return self._ask("ctx.step.record", {"name": counted, "result": fn()})

    def sleep(self, name: str, until: datetime | float) -> None:
        """Gives the process back and goes on later: milliseconds from now, or at a moment.

        Raises:
            Suspended: Unless that is over; let it pass.
            QueueError: ``WAIT_INVALID``, ``STEP_MISMATCH``.
        """
        outcome(self._ask("ctx.step.wait", sleeping(self._names.next(name), until)))

    def wait_for_event(
        self,
        name: str,
        event: str,
        *,
        key: str | None = None,
        timeout: float | None = None,
        lookback: float | None = None,
    ) -> Any:
        """Gives the process back until somebody sends an event, and answers its payload.

        Args:
            name: Tells the waits of a handler apart.
            event: What was passed to ``kernel.sendEvent``.
            key: Which of these events. Default: any that was sent without one.
            timeout: Milliseconds to wait at most. Default: as long as it takes.
            lookback: Milliseconds before the start of the run from which on an event counts. Default 0.

        Returns:
            The payload; ``None`` when it took too long.

        Raises:
            Suspended: Unless that is over; let it pass.
            QueueError: ``WAIT_INVALID``, ``STEP_MISMATCH``.

        Example:
            >>> paid = ctx.step.wait_for_event("paid", "payment.received", key=order, timeout=86_400_000)
        """
        return outcome(self._ask("ctx.step.wait", awaiting(self._names.next(name), event, key, timeout, lookback)))


class Flow:
    """The flow that the job is a step of, and others."""

    def __init__(self, calls: Calls) -> None:
        self._ask = calls.ask

    def emit(self, event: str, payload: Any = None, *, immediate: bool = False) -> None:
        """Starts the steps that subscribe to an event once this step completes; with ``immediate`` now.

        Raises QueueError ``FLOW_INVALID`` for an event that no step waits for.
        """
        self._ask("ctx.flow.emit", {"event": event, **given(payload=payload, immediate=immediate or None)})

    def cancel(self, reason: str | None = None) -> None:
        """Ends the run as cancelled, this step included."""
        self._ask("ctx.flow.cancel", given(reason=reason))

    @overload
    def start(
        self,
        flow: str,
        input: Any = None,
        *,
        id: str | None = None,
        tags: Sequence[str] | None = None,
        wait: Literal[False] = False,
    ) -> StartedRun: ...

    @overload
    def start(
        self, flow: str, input: Any = None, *, id: str | None = None, tags: Sequence[str] | None = None, wait: bool
    ) -> Any: ...

    def start(
        self,
        flow: str,
        input: Any = None,
        *,
        id: str | None = None,
        tags: Sequence[str] | None = None,
        wait: bool = False,
    ) -> Any:
        """Starts a run of another flow, once for all attempts.

        Args:
            flow: Its name.
            input: What its entry receives.
            id: Of the run. Default: one that follows from this step, so that another attempt finds the same run.
            tags: To find the run by.
            wait: Gives the process back until the run has ended; it is cancelled with this one.

        Returns:
            The run, or with ``wait`` its result.

        Raises:
            Suspended: With ``wait``, unless the run has ended; let it pass.
            QueueError: ``FLOW_UNKNOWN``; with ``wait``, ``FLOW_CHILD_FAILED`` when the run has failed or was cancelled.

        Example:
            >>> invoice = ctx.flow.start("invoice", job.data, wait=True)
        """
        result = outcome(self._ask("ctx.flow.start", starting(flow, input, id, tags, wait)))
        return result if wait else StartedRun(result["runId"])
