"""Parts of a coroutine that are done once, and waits inside it."""

from __future__ import annotations

from contextvars import ContextVar

from ._calls import given
from ._steps import Names, Tries, awaiting, failing, overload, recorded, sleeping, starting
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
    from .suspension import Left

    T = TypeVar("T")


async def settled(value: Any) -> Any:
    """What a function answered that may be a coroutine function or not."""
    return await value if hasattr(value, "__await__") else value


#: The part that the code which asks is inside of, and whose it is.
_INSIDE: ContextVar[tuple[str, Parts] | None] = ContextVar("inside", default=None)
#: How long, in seconds, a handler may go on with what is no part of its own, once something beside its wait is over.
GRACE = 0.5


class Parts:
    """Knows what of a handler goes on beside its waits.

    It is left at a wait, but not before everything of ``ctx.step`` beside it has settled: in a race of two waits the one
    that is over has to win. Where something beside it was over since it was asked for, the handler may be going on with
    that, and is given some time.
    """

    def __init__(self, calls: AsyncCalls, left: Left) -> None:
        self._ask = calls.ask
        self._when_idle = calls.when_idle
        self._left = left
        self._underway = 0
        self._waiting: list[tuple[str, asyncio.Future[None]]] = []
        self._moment = self._last_wait = self._last_answer = 0
        self._resting = False

    async def during(self, part: Awaitable[T]) -> T:
        """Awaits a part."""
        self._moment += 1
        self._underway += 1
        try:
            return await part
        finally:
            self._underway -= 1
            if self._waiting:
                self._when_idle(self._leave)

    def answered(self) -> None:
        """Notes that the handler has an answer to go on with."""
        self._moment += 1
        self._last_answer = self._moment

    def check(self) -> None:
        """Raises ``Suspended`` in a handler that goes on although it was left."""
        self._left.check()

    async def inside(self, name: str, fn: Callable[[], Any]) -> Any:
        """Calls the function of a part."""
        token = _INSIDE.set((name, self))
        try:
            return await settled(fn())
        finally:
            _INSIDE.reset(token)

    async def pause(self, name: str, method: str, params: dict[str, object]) -> Any:
        """Answers a wait that is over. Raises ``Suspended`` for one that is not, when it is time."""
        part = _INSIDE.get()
        if part is not None and part[1] is self:
            text = f'Part "{part[0]}" waits inside of ctx.step.run. Wait beside it, or give it a timeout.'
            raise QueueError("WAIT_INVALID", text, retryable=False)
        self.check()
        self._moment += 1
        asked = self._moment
        answer = await self.during(self._ask(method, params))
        if answer["over"]:
            self.answered()
            return answer.get("result")
        from asyncio import get_running_loop

        time = get_running_loop().create_future()
        self._waiting.append((name, time))
        self._last_wait = max(self._last_wait, asked)
        self._when_idle(self._leave)
        await time
        raise Suspended

    def _leave(self) -> None:
        if self._underway or self._resting or not any(not time.done() for _, time in self._waiting):
            return
        if self._last_answer > self._last_wait:
            from asyncio import get_running_loop

            self._resting = True
            get_running_loop().call_later(GRACE, self._rested, self._moment)
        else:
            self._leave_now()

    def _rested(self, moment: int) -> None:
        self._resting = False
        if moment != self._moment:
            self._leave()
        elif not self._underway:
            self._leave_now()

    def _leave_now(self) -> None:
        waiting, self._waiting = self._waiting, []
        for name, time in waiting:
            if not time.done():
                self._left.at(name)
                time.set_result(None)


class AsyncStep:
    """Parts of a handler that are done once for all its attempts, as ``Step`` has them."""

    def __init__(self, calls: AsyncCalls, parts: Parts) -> None:
        self._ask = calls.ask
        self._parts = parts
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
        """Runs a function or coroutine function, or answers what it came to, as ``Step.run`` does.

        Args:
            name: Tells the parts of a handler apart.
            fn: What is done once.
            attempts: How many times it may fail before it has failed, within one attempt of the job.
            backoff: Milliseconds between those, or a strategy as for jobs.
            timeout: Milliseconds that one of them may take; then it is cancelled and has failed with ``STEP_TIMEOUT``.

        Returns:
            What it returned.

        Raises:
            QueueError: What it failed with, as it is on record.
        """
        self._parts.check()
        tries = Tries(attempts, backoff)
        return await self._parts.during(self._run(self._names.next(name), fn, tries, timeout))

    async def _run(self, counted: str, fn: Callable[[], Any], tries: Tries, timeout: float | None) -> Any:
        try:
            found = await self._ask("ctx.step.lookup", {"name": counted})
            if not found["found"]:
                return await self._carry_out(counted, fn, tries, timeout)
            failure = recorded(found.get("error"))
            if failure:
                raise failure
            return found.get("result")
        finally:
            self._parts.answered()

    async def _carry_out(self, counted: str, fn: Callable[[], Any], tries: Tries, timeout: float | None) -> Any:
        while True:
            try:
                result = await self._try(counted, fn, timeout)
                break
            except Exception as error:
                rest = tries.rest(error)
                if rest is None:
                    await self._fail(counted, error)
                from asyncio import sleep

                await sleep(rest or 0)
        return await self._ask("ctx.step.record", {"name": counted, "result": result})

    async def _try(self, counted: str, fn: Callable[[], Any], timeout: float | None) -> Any:
        called = self._parts.inside(counted, fn)
        if timeout is None:
            return await called
        from asyncio import ensure_future, wait

        task = ensure_future(called)
        done, _ = await wait((task,), timeout=timeout / 1000)
        if done:
            return task.result()
        task.cancel()
        raise QueueError("STEP_TIMEOUT", f'Part "{counted}" did not finish within its timeout of {timeout} ms.')

    async def _fail(self, counted: str, error: Exception) -> NoReturn:
        try:
            failure = recorded(await self._ask("ctx.step.fail", failing(counted, error)))
        except QueueError:
            raise error from None
        if failure is None:
            raise error
        raise failure from error

    async def sleep(self, name: str, until: datetime | float) -> None:
        """Gives the process back and goes on later: milliseconds from now, or at a moment. Raises ``Suspended``."""
        await self._parts.pause(name, "ctx.step.wait", sleeping(self._names.next(name), until))

    async def wait_for_event(
        self,
        name: str,
        event: str,
        *,
        key: str | None = None,
        timeout: float | None = None,
        lookback: float | None = None,
    ) -> Any:
        """Gives the process back until somebody sends an event, as ``Step.wait_for_event`` does."""
        params = awaiting(self._names.next(name), event, key, timeout, lookback)
        return await self._parts.pause(name, "ctx.step.wait", params)


class AsyncFlow:
    """The flow that the job is a step of, and others."""

    def __init__(self, calls: AsyncCalls, parts: Parts) -> None:
        self._ask = calls.ask
        self._parts = parts

    async def emit(self, event: str, payload: Any = None, *, immediate: bool = False) -> None:
        """Starts the steps that subscribe to an event once this step completes; with ``immediate`` now."""
        await self._ask("ctx.flow.emit", {"event": event, **given(payload=payload, immediate=immediate or None)})

    async def cancel(self, reason: str | None = None) -> None:
        """Ends the run as cancelled, this step included."""
        await self._ask("ctx.flow.cancel", given(reason=reason))

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
        """Starts a run of another flow, and waits for its result if asked to, as ``Flow.start`` does."""
        params = starting(flow, input, id, tags, wait)
        if wait:
            return await self._parts.pause(flow, "ctx.flow.start", params)
        self._parts.check()
        answer = await self._parts.during(self._ask("ctx.flow.start", params))
        return StartedRun(answer["result"]["runId"])
