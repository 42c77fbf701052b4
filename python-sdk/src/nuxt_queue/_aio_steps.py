"""Sub-steps of a coroutine handler, which run once for all attempts, and waits."""

from __future__ import annotations

from contextvars import ContextVar

from ._calls import without_none
from ._overload import overload
from ._steps import Names, RetryPolicy, event_params, failure_params, recorded_error, sleep_params, start_params
from .errors import QueueError
from .job import StartedRun
from .suspension import Suspended

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from datetime import datetime
    from typing import Any, Literal, NoReturn, TypeVar

    from ._calls import AsyncCalls
    from .suspension import SuspensionState

    T = TypeVar("T")


async def maybe_await(value: Any) -> Any:
    """Returns the result of a plain function or of a coroutine function."""
    return await value if hasattr(value, "__await__") else value


#: The enclosing sub-step, and the tracker of its handler.
_ENCLOSING: ContextVar[tuple[str, StepTracker] | None] = ContextVar("enclosing", default=None)
#: Seconds that a handler may spend on its own code after a call next to a pending wait has settled.
GRACE = 0.5


class StepTracker:
    """Tracks the running calls of ``ctx.step``, and decides when a handler is suspended at its waits.

    A handler is suspended only after all other calls of ``ctx.step`` have settled, so that in a race of two waits the
    finished one wins. If a call has settled since the last wait was called, the handler may be using its result, so it
    gets a grace period::

        running ── a wait is pending and no call is running ──> idle ── nothing settled since the wait ──> suspended
           ^                                                      │
           └─────────── ctx.step was called again ───────── grace period ── nothing was called ──────────> suspended
    """

    def __init__(self, calls: AsyncCalls, suspension: SuspensionState) -> None:
        self._ask = calls.ask
        self._when_idle = calls.when_idle
        self._suspension = suspension
        self._running = 0
        self._pending_waits: list[tuple[str, asyncio.Future[None]]] = []
        #: Counts calls and results, so that their order is known.
        self._tick = self._last_wait = self._last_settled = 0
        self._in_grace = False

    async def track(self, call: Awaitable[T]) -> T:
        """Awaits a call, which counts as running until it settles."""
        self._tick += 1
        self._running += 1
        try:
            return await call
        finally:
            self._running -= 1
            if self._pending_waits:
                self._when_idle(self._suspend_if_idle)

    def mark_settled(self) -> None:
        """Records that the handler has received a result."""
        self._tick += 1
        self._last_settled = self._tick

    def check(self) -> None:
        """Raises ``Suspended`` in a handler that continues after it was suspended."""
        self._suspension.check()

    async def call(self, name: str, fn: Callable[[], Any]) -> Any:
        """Calls the function of a sub-step."""
        token = _ENCLOSING.set((name, self))
        try:
            return await maybe_await(fn())
        finally:
            _ENCLOSING.reset(token)

    async def pause(self, name: str, method: str, params: dict[str, object]) -> Any:
        """Returns the result of a wait that is over. Otherwise raises ``Suspended`` when the handler is idle."""
        enclosing = _ENCLOSING.get()
        if enclosing is not None and enclosing[1] is self:
            text = f'Step "{enclosing[0]}" waits inside ctx.step.run. Wait outside of it, or set its option "timeout".'
            raise QueueError("WAIT_INVALID", text, retryable=False)
        self.check()
        self._tick += 1
        called_at = self._tick
        status = await self.track(self._ask(method, params))
        if status["over"]:
            self.mark_settled()
            return status.get("result")
        from asyncio import get_running_loop

        suspended = get_running_loop().create_future()
        self._pending_waits.append((name, suspended))
        self._last_wait = max(self._last_wait, called_at)
        self._when_idle(self._suspend_if_idle)
        await suspended
        raise Suspended

    def _suspend_if_idle(self) -> None:
        if self._running or self._in_grace or all(suspended.done() for _, suspended in self._pending_waits):
            return
        if self._last_settled > self._last_wait:
            from asyncio import get_running_loop

            self._in_grace = True
            get_running_loop().call_later(GRACE, self._end_grace, self._tick)
        else:
            self._suspend()

    def _end_grace(self, tick: int) -> None:
        self._in_grace = False
        if tick != self._tick:
            self._suspend_if_idle()
        elif not self._running:
            self._suspend()

    def _suspend(self) -> None:
        waits, self._pending_waits = self._pending_waits, []
        for name, suspended in waits:
            if not suspended.done():
                self._suspension.record(name)
                suspended.set_result(None)


class AsyncStep:
    """Sub-steps and waits of a coroutine handler. They follow the same rules as those of ``Step``."""

    def __init__(self, calls: AsyncCalls, tracker: StepTracker) -> None:
        self._ask = calls.ask
        self._tracker = tracker
        self._names = Names()

    async def run(
        self,
        name: str,
        fn: Callable[[], T | Awaitable[T]],
        *,
        attempts: int = 1,
        backoff: float | Mapping[str, Any] = 0,
        timeout: float | None = None,
    ) -> T:
        """Runs a function or coroutine function, or returns its result from an earlier attempt, as ``Step.run`` does.

        Args:
            name: The name of the sub-step, unique within the handler.
            fn: The function to run once.
            attempts: How many times it is called within one attempt of the job before the sub-step fails.
            backoff: Milliseconds between two calls, or a strategy as for jobs.
            timeout: Milliseconds that one call may take. Then it is cancelled, and fails with ``STEP_TIMEOUT``.

        Returns:
            The result of the function.

        Raises:
            QueueError: The recorded failure.
        """
        self._tracker.check()
        retries = RetryPolicy(attempts, backoff)
        return await self._tracker.track(self._run(self._names.next(name), fn, retries, timeout))

    async def _run(self, unique: str, fn: Callable[[], Any], retries: RetryPolicy, timeout: float | None) -> Any:
        try:
            found = await self._ask("ctx.step.lookup", {"name": unique})
            if not found["found"]:
                return await self._execute(unique, fn, retries, timeout)
            failure = recorded_error(found.get("error"))
            if failure:
                raise failure
            return found.get("result")
        finally:
            self._tracker.mark_settled()

    async def _execute(self, unique: str, fn: Callable[[], Any], retries: RetryPolicy, timeout: float | None) -> Any:
        while True:
            try:
                result = await self._try(unique, fn, timeout)
                break
            except Exception as error:
                delay = retries.delay_after(error)
                if delay is None:
                    await self._fail(unique, error)
                from asyncio import sleep

                await sleep(delay or 0)
        return await self._ask("ctx.step.record", {"name": unique, "result": result})

    async def _try(self, unique: str, fn: Callable[[], Any], timeout: float | None) -> Any:
        call = self._tracker.call(unique, fn)
        if timeout is None:
            return await call
        from asyncio import ensure_future, wait

        task = ensure_future(call)
        done, _ = await wait((task,), timeout=timeout / 1000)
        if done:
            return task.result()
        task.cancel()
        raise QueueError("STEP_TIMEOUT", f'Step "{unique}" did not finish within its timeout of {timeout} ms.')

    async def _fail(self, unique: str, error: Exception) -> NoReturn:
        try:
            failure = recorded_error(await self._ask("ctx.step.fail", failure_params(unique, error)))
        except QueueError:
            raise error from None
        if failure is None:
            raise error
        raise failure from error

    async def sleep(self, name: str, until: datetime | float) -> None:
        """Suspends the handler for milliseconds, or until a datetime, as ``Step.sleep`` does. Raises ``Suspended``."""
        await self._tracker.pause(name, "ctx.step.wait", sleep_params(self._names.next(name), until))

    async def wait_for_event(
        self,
        name: str,
        event: str,
        *,
        key: str | None = None,
        timeout: float | None = None,
        lookback: float | None = None,
    ) -> Any:
        """Suspends the handler until an event is sent, as ``Step.wait_for_event`` does."""
        params = event_params(self._names.next(name), event, key, timeout, lookback)
        return await self._tracker.pause(name, "ctx.step.wait", params)


class AsyncFlow:
    """The flow of the job, and runs of other flows."""

    def __init__(self, calls: AsyncCalls, tracker: StepTracker) -> None:
        self._ask = calls.ask
        self._tracker = tracker

    async def emit(self, event: str, payload: Any = None, *, immediate: bool = False) -> None:
        """Starts the steps that subscribe to an event when this step completes, or at once with ``immediate``."""
        await self._ask("ctx.flow.emit", {"event": event, **without_none(payload=payload, immediate=immediate or None)})

    async def cancel(self, reason: str | None = None) -> None:
        """Cancels the run, including this step."""
        await self._ask("ctx.flow.cancel", without_none(reason=reason))

    async def query(self, flow: str, run_id: str, name: str, input: Any = None) -> Any:
        """Computes a query of a run of a flow, as ``Flow.query`` does."""
        params: dict[str, object] = {"flow": flow, "runId": run_id, "name": name, **without_none(input=input)}
        return await self._ask("ctx.flow.query", params)

    async def update(self, flow: str, run_id: str, name: str, input: Any = None, *, id: str | None = None) -> Any:
        """Changes a run of a flow with one of its updates, as ``Flow.update`` does."""
        params: dict[str, object] = {"flow": flow, "runId": run_id, "name": name, **without_none(input=input, id=id)}
        return await self._ask("ctx.flow.update", params)

    async def signal(self, flow: str, run_id: str, name: str, payload: Any = None, *, id: str | None = None) -> None:
        """Sends a signal to a run of a flow, as ``Flow.signal`` does."""
        params: dict[str, object] = {"flow": flow, "runId": run_id, "name": name, **without_none(payload=payload, id=id)}
        await self._ask("ctx.flow.signal", params)

    @overload
    async def start(
        self,
        flow: str,
        input: Any = None,
        *,
        id: str | None = None,
        tags: Sequence[str] | None = None,
        wait: Literal[False] = False,
    ) -> StartedRun: ...

    @overload
    async def start(
        self, flow: str, input: Any = None, *, id: str | None = None, tags: Sequence[str] | None = None, wait: bool
    ) -> Any: ...

    async def start(
        self,
        flow: str,
        input: Any = None,
        *,
        id: str | None = None,
        tags: Sequence[str] | None = None,
        wait: bool = False,
    ) -> Any:
        """Starts a run of another flow, and waits for its result with ``wait``, as ``Flow.start`` does."""
        params = start_params(flow, input, id, tags, wait)
        if wait:
            return await self._tracker.pause(flow, "ctx.flow.start", params)
        self._tracker.check()
        status = await self._tracker.track(self._ask("ctx.flow.start", params))
        return StartedRun(status["result"]["runId"])
