"""Parts of a coroutine that are done once, and waits inside it."""

from __future__ import annotations

from ._calls import given
from ._steps import Names, awaiting, overload, sleeping, starting
from .job import StartedRun
from .suspension import outcome

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable, Sequence
    from datetime import datetime
    from typing import Any, Literal, TypeVar

    from ._calls import AsyncCalls

    T = TypeVar("T")


async def settled(value: Any) -> Any:
    """What a function answered that may be a coroutine function or not."""
    return await value if hasattr(value, "__await__") else value


class Parts:
    """Knows what of a handler goes on beside its waits.

    It is left at a wait, but not before everything of ``ctx.step`` beside it has settled: in a race of two waits the one
    that is over has to win.
    """

    def __init__(self, calls: AsyncCalls) -> None:
        self._ask = calls.ask
        self._when_idle = calls.when_idle
        self._underway = 0
        self._waiting: list[asyncio.Future[None]] = []

    async def during(self, part: Awaitable[T]) -> T:
        """Awaits a part."""
        self._underway += 1
        try:
            return await part
        finally:
            self._underway -= 1
            if self._waiting:
                self._when_idle(self._leave)

    async def pause(self, method: str, params: dict[str, object]) -> Any:
        """Answers a wait that is over. Raises ``Suspended`` for one that is not, when it is time."""
        answer = await self.during(self._ask(method, params))
        if not answer["over"]:
            from asyncio import get_running_loop

            time = get_running_loop().create_future()
            self._waiting.append(time)
            self._when_idle(self._leave)
            await time
        return outcome(answer)

    def _leave(self) -> None:
        if self._underway:
            return
        waiting, self._waiting = self._waiting, []
        for time in waiting:
            if not time.done():
                time.set_result(None)


class AsyncStep:
    """Parts of a handler that are done once for all its attempts, as ``Step`` has them."""

    def __init__(self, calls: AsyncCalls, parts: Parts) -> None:
        self._ask = calls.ask
        self._parts = parts
        self._names = Names()

    async def run(self, name: str, fn: Callable[[], T | Awaitable[T]]) -> T:
        """Runs a function or coroutine function, or answers what it returned when an earlier attempt finished it.

        Raises QueueError ``STEP_MISMATCH`` when an earlier attempt went another way.
        """
        return await self._parts.during(self._run(self._names.next(name), fn))

    async def _run(self, counted: str, fn: Callable[[], Any]) -> Any:
        found = await self._ask("ctx.step.lookup", {"name": counted})
        if found["found"]:
            return found.get("result")
        return await self._ask("ctx.step.record", {"name": counted, "result": await settled(fn())})

    async def sleep(self, name: str, until: datetime | float) -> None:
        """Gives the process back and goes on later: milliseconds from now, or at a moment. Raises ``Suspended``."""
        await self._parts.pause("ctx.step.wait", sleeping(self._names.next(name), until))

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
        return await self._parts.pause("ctx.step.wait", params)


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
        result = await self._parts.pause("ctx.flow.start", starting(flow, input, id, tags, wait))
        return result if wait else StartedRun(result["runId"])
