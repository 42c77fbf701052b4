"""Sub-steps of a handler, which run once for all attempts, and waits."""

from __future__ import annotations

import re
import time

from ._calls import without_none
from ._errors import to_wire
from ._frames import error_of
from .errors import QueueError, is_unrecoverable
from .job import milliseconds
from .suspension import SuspensionState
from .values import is_object

_COUNTED = re.compile(r"#\d+$")

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime
    from typing import Any, NoReturn, TypeVar

    from ._calls import Calls

    T = TypeVar("T")


class Names:
    """Numbers names that repeat in one attempt: ``page``, ``page#2``, …

    A name that already ends like this is numbered from ``#1``, so that no name is used twice.
    """

    def __init__(self) -> None:
        self._used: dict[str, int] = {}

    def next(self, name: str) -> str:
        times = self._used[name] = self._used.get(name, 0) + 1
        return name if times == 1 and not _COUNTED.search(name) else f"{name}#{times}"


class RetryPolicy:
    """How often and when a sub-step is tried within one attempt of its job."""

    def __init__(self, attempts: object, backoff: float | Mapping[str, Any]) -> None:
        if isinstance(attempts, bool) or not isinstance(attempts, int) or attempts < 1:
            raise QueueError("OPTION_INVALID", f"attempts of a step must be a whole number of 1 or more; got {attempts!r}.")
        self._attempts_left = attempts
        self._attempt = 0
        self._backoff: Mapping[str, Any] = backoff if is_object(backoff) else {"type": "fixed", "delay": backoff}

    def delay_after(self, error: BaseException) -> float | None:
        """Returns the seconds until the next try, or ``None`` if there is none."""
        self._attempt += 1
        self._attempts_left -= 1
        if self._attempts_left < 1 or is_unrecoverable(error) or not isinstance(error, Exception):
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


def failure_params(name: str, error: BaseException) -> dict[str, object]:
    """Returns the parameters of ``ctx.step.fail``."""
    wire = to_wire(error)
    return {"name": name, "error": {"message": wire["message"], **(wire.get("data") or {})}}


def recorded_error(stored: object) -> QueueError | None:
    """Returns a recorded failure as a handler receives it, or ``None`` if there is none."""
    if not is_object(stored):
        return None
    return error_of({"message": stored.get("message"), "data": stored})


def sleep_params(name: str, until: datetime | float) -> dict[str, object]:
    """Returns the parameters of ``ctx.step.wait`` for a sleep."""
    time_ = {"delay": until} if isinstance(until, (int, float)) else {"until": milliseconds(until)}
    return {"name": name, "wait": {"kind": "sleep", **time_}}


def event_params(
    name: str, event: str, key: str | None, timeout: float | None, lookback: float | None
) -> dict[str, object]:
    """Returns the parameters of ``ctx.step.wait`` for an event."""
    return {"name": name, "wait": {"kind": "event", "event": event, **without_none(key=key, timeout=timeout, lookback=lookback)}}


def start_params(flow: str, input: object, id: str | None, tags: Sequence[str] | None, wait: bool) -> dict[str, object]:
    """Returns the parameters of ``ctx.flow.start``."""
    options = without_none(id=id, tags=None if tags is None else list(tags), wait=wait or None)
    return {"flow": flow, **without_none(input=input, options=options or None)}


class Step:
    """Sub-steps, which run once for all attempts of a handler, and waits.

    After a wait, the handler runs again from its beginning, and receives earlier results from the log. It must use the
    same names each time, and call repeated names in the same order. Everything that varies belongs inside ``run``.
    """

    def __init__(self, calls: Calls, suspension: SuspensionState) -> None:
        self._ask = calls.ask
        self._names = Names()
        self._suspension = suspension

    def run(
        self, name: str, fn: Callable[[], T], *, attempts: int = 1, backoff: float | Mapping[str, Any] = 0
    ) -> T:
        """Runs a function, or returns its result from an earlier attempt.

        Args:
            name: The name of the sub-step, unique within the handler.
            fn: The function to run once.
            attempts: How many times it is called within one attempt of the job before the sub-step fails.
            backoff: Milliseconds between two calls, or a strategy as for jobs. The handler waits in its process.

        Returns:
            The result of the function.

        Raises:
            QueueError: The recorded failure, with the ``name``, ``code`` and ``message`` of the exception. After the
                handler has caught it and continued, it is the same in every attempt.

        Example:
            >>> charge = ctx.step.run("charge", lambda: payments.charge(order), attempts=3, backoff=1000)
        """
        self._suspension.check()
        retries = RetryPolicy(attempts, backoff)
        unique = self._names.next(name)
        found = self._ask("ctx.step.lookup", {"name": unique})
        if found["found"]:
            failure = recorded_error(found.get("error"))
            if failure:
                raise failure
            return found.get("result")
        while True:
            try:
                result = fn()
                break
            except Exception as error:
                delay = retries.delay_after(error)
                if delay is None:
                    self._fail(unique, error)
                time.sleep(delay or 0)
        return self._ask("ctx.step.record", {"name": unique, "result": result})

    def _fail(self, unique: str, error: Exception) -> NoReturn:
        try:
            failure = recorded_error(self._ask("ctx.step.fail", failure_params(unique, error)))
        except QueueError:
            raise error from None
        if failure is None:
            raise error
        raise failure from error

    def sleep(self, name: str, until: datetime | float) -> None:
        """Suspends the handler for milliseconds, or until a datetime. Releases its process.

        Raises:
            Suspended: Until the time has come. Let it pass.
            QueueError: ``WAIT_INVALID`` or ``STEP_MISMATCH``.
        """
        self._suspension.check()
        params = sleep_params(self._names.next(name), until)
        self._suspension.outcome(name, self._ask("ctx.step.wait", params))

    def wait_for_event(
        self,
        name: str,
        event: str,
        *,
        key: str | None = None,
        timeout: float | None = None,
        lookback: float | None = None,
    ) -> Any:
        """Suspends the handler until an event is sent, and returns its payload. Releases its process.

        Args:
            name: The name of the wait, unique within the handler.
            event: The name of the event, as passed to ``kernel.sendEvent``.
            key: The key of the event. Default: an event that was sent without a key.
            timeout: Milliseconds to wait at most. Default: no limit.
            lookback: How many milliseconds before the start of the run an event may have been sent. Default 0.

        Returns:
            The payload, or ``None`` after the timeout.

        Raises:
            Suspended: Until the wait is over. Let it pass.
            QueueError: ``WAIT_INVALID`` or ``STEP_MISMATCH``.

        Example:
            >>> paid = ctx.step.wait_for_event("paid", "payment.received", key=order, timeout=86_400_000)
        """
        self._suspension.check()
        params = event_params(self._names.next(name), event, key, timeout, lookback)
        return self._suspension.outcome(name, self._ask("ctx.step.wait", params))
