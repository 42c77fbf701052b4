"""Parts of a handler that are done once, and waits inside it."""

from __future__ import annotations

import re
import time

from ._calls import given
from ._errors import to_wire
from ._frames import error_of
from .errors import QueueError
from .job import StartedRun, milliseconds
from .suspension import Left
from .values import is_object

_COUNTED = re.compile(r"#\d+$")

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime
    from typing import Any, Literal, NoReturn, TypeVar, overload

    from ._calls import Calls

    T = TypeVar("T")
else:

    def overload(function):
        return function


class Names:
    """Counts names that are used again in one attempt: ``page``, ``page#2``, …

    One that looks as if it were made here counts from ``#1``, so that none is taken twice.
    """

    def __init__(self) -> None:
        self._used: dict[str, int] = {}

    def next(self, name: str) -> str:
        times = self._used[name] = self._used.get(name, 0) + 1
        return name if times == 1 and not _COUNTED.search(name) else f"{name}#{times}"


class Tries:
    """How often a part is tried within one attempt of its job."""

    def __init__(self, attempts: object, backoff: float | Mapping[str, Any]) -> None:
        if isinstance(attempts, bool) or not isinstance(attempts, int) or attempts < 1:
            raise QueueError("OPTION_INVALID", f"attempts of a part is a whole number from 1; got {attempts!r}.")
        self._left = attempts
        self._attempt = 0
        self._backoff: Mapping[str, Any] = backoff if is_object(backoff) else {"type": "fixed", "delay": backoff}

    def rest(self, error: BaseException) -> float | None:
        """Seconds until the next try, or ``None`` when there is none."""
        self._attempt += 1
        self._left -= 1
        if self._left < 1 or getattr(error, "retryable", None) is False or not isinstance(error, Exception):
            return None
        delay = float(self._backoff.get("delay", 0))
        if self._backoff.get("type") == "exponential":
            limit = self._backoff.get("max_delay", self._backoff.get("maxDelay", 86_400_000))
            delay = min(delay * 2 ** min(self._attempt - 1, 1000), float(limit))
        jitter = float(self._backoff.get("jitter", 0))
        if jitter:
            from random import random

            delay *= 1 - jitter * random()
        return delay / 1000


def failing(name: str, error: BaseException) -> dict[str, object]:
    """The parameters of a failure."""
    wire = to_wire(error)
    return {"name": name, "error": {"message": wire["message"], **(wire.get("data") or {})}}


def recorded(stored: object) -> QueueError | None:
    """A failure as a handler receives it; nothing where it is not on record."""
    if not is_object(stored):
        return None
    return error_of({"message": stored.get("message"), "data": stored})


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
    ask for the same names each time, in the same order where they repeat, and what varies belongs inside ``run``.
    """

    def __init__(self, calls: Calls, left: Left) -> None:
        self._ask = calls.ask
        self._names = Names()
        self._left = left

    def run(
        self, name: str, fn: Callable[[], T], *, attempts: int = 1, backoff: float | Mapping[str, Any] = 0
    ) -> T:
        """Runs a function, or answers what it came to when an earlier attempt did.

        Args:
            name: Tells the parts of a handler apart.
            fn: What is done once.
            attempts: How many times it may fail before it has failed, within one attempt of the job.
            backoff: Milliseconds between those, or a strategy as for jobs. The handler waits in its process.

        Returns:
            What it returned.

        Raises:
            QueueError: What it failed with, as it is on record: ``name``, ``code`` and ``message`` are those of the
                exception. Once the handler has caught it and gone on it is the same in every attempt.

        Example:
            >>> charge = ctx.step.run("charge", lambda: payments.charge(order), attempts=3, backoff=1000)
        """
        self._left.check()
        tries = Tries(attempts, backoff)
        counted = self._names.next(name)
        found = self._ask("ctx.step.lookup", {"name": counted})
        if found["found"]:
            failure = recorded(found.get("error"))
            if failure:
                raise failure
            return found.get("result")
        while True:
            try:
                result = fn()
                break
            except Exception as error:
                rest = tries.rest(error)
                if rest is None:
                    self._fail(counted, error)
                time.sleep(rest or 0)
        return self._ask("ctx.step.record", {"name": counted, "result": result})

    def _fail(self, counted: str, error: Exception) -> NoReturn:
        try:
            failure = recorded(self._ask("ctx.step.fail", failing(counted, error)))
        except QueueError:
            raise error from None
        if failure is None:
            raise error
        raise failure from error

    def sleep(self, name: str, until: datetime | float) -> None:
        """Gives the process back and goes on later: milliseconds from now, or at a moment.

        Raises:
            Suspended: Unless that is over; let it pass.
            QueueError: ``WAIT_INVALID``, ``STEP_MISMATCH``.
        """
        self._left.check()
        params = sleeping(self._names.next(name), until)
        self._left.outcome(name, self._ask("ctx.step.wait", params))

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
        self._left.check()
        params = awaiting(self._names.next(name), event, key, timeout, lookback)
        return self._left.outcome(name, self._ask("ctx.step.wait", params))


class Flow:
    """The flow that the job is a step of, and others."""

    def __init__(self, calls: Calls, left: Left) -> None:
        self._ask = calls.ask
        self._left = left

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
        self._left.check()
        result = self._left.outcome(flow, self._ask("ctx.flow.start", starting(flow, input, id, tags, wait)))
        return result if wait else StartedRun(result["runId"])
