"""The context of handlers that are coroutines: the same members, to be awaited."""

from __future__ import annotations

from _thread import get_ident
from functools import cached_property

from ._aio_steps import AsyncFlow, AsyncStep, Parts, settled
from ._calls import given
from .context import UPDATE_TRIES, BaseContext, conflict, enqueueing
from .errors import QueueError
from .job import EnqueuedJob, Job

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable, Mapping
    from typing import Any, TypeVar

    from ._calls import AsyncCalls

    T = TypeVar("T")
    Ask = Callable[[str, dict[str, object]], Awaitable[Any]]


class AsyncState:
    """State of the run. Every write is an event; reads fold the events up to the call."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    async def get(self, key: str, default: Any = None) -> Any:
        """The value, or ``default`` where there is none."""
        value = await self._ask("ctx.state.get", {"key": key})
        return default if value is None else value

    async def has(self, key: str) -> bool:
        return bool(await self._ask("ctx.state.has", {"key": key}))

    async def get_all(self) -> dict[str, Any]:
        return await self._ask("ctx.state.getAll", {})

    async def set(self, key: str, value: Any) -> None:
        """Returns once stored. Raises QueueError ``VALIDATION_FAILED``, ``VALUE_UNSUPPORTED``, ``RUN_ENDED``."""
        await self._ask("ctx.state.set", {"key": key, "value": value})

    async def set_batch(self, values: Mapping[str, Any]) -> None:
        """Writes several keys in one event: all or none."""
        await self._ask("ctx.state.setBatch", {"values": dict(values)})

    async def delete(self, key: str) -> None:
        await self._ask("ctx.state.delete", {"key": key})

    async def update(self, key: str, change: Callable[[Any], T | Awaitable[T]]) -> T:
        """Computes a value from the present one (``None`` where there is none), again if somebody was faster.

        >>> await ctx.state.update("count", lambda count: (count or 0) + 1)
        """
        for _ in range(UPDATE_TRIES):
            seen = await self._ask("ctx.state.read", {"key": key})
            value = await settled(change(seen["value"]))
            swap = await self._ask("ctx.state.swap", {"key": key, "token": seen["token"], "value": value})
            if swap["swapped"]:
                return swap["value"]
        raise conflict(key)


class AsyncClient:
    """Whoever watches the run."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    async def send(self, type: str, data: Any = None, *, store: bool | None = None) -> None:
        """Sends a message to those who follow the run. With ``store``, who comes later receives it too."""
        await self._ask("ctx.client.send", {"type": type, **given(data=data, store=store)})

    async def has_subscribers(self) -> bool:
        """Whether anybody follows the run, in whatever process. The answer may be a few seconds old."""
        return await self._ask("ctx.client.hasSubscribers", {})


class AsyncRunContext(BaseContext):
    """The context of a handler that is ``async def``. Its methods are awaited, any number at once."""

    def __init__(self, job: Job[Any], calls: AsyncCalls, claim: int = 1) -> None:
        super().__init__(job, calls, claim)
        self._asking = calls
        self._ask = calls.ask
        self._signal: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = 0

    @cached_property
    def _parts(self) -> Parts:
        return Parts(self._asking, self.left)

    @cached_property
    def state(self) -> AsyncState:
        return AsyncState(self._ask)

    @cached_property
    def flow(self) -> AsyncFlow:
        return AsyncFlow(self._asking, self._parts)

    @cached_property
    def client(self) -> AsyncClient:
        return AsyncClient(self._ask)

    @cached_property
    def step(self) -> AsyncStep:
        return AsyncStep(self._asking, self._parts)

    @property
    def signal(self) -> asyncio.Event:
        """Set once the handler should stop: ``await ctx.signal.wait()``."""
        if self._signal is None:
            import asyncio

            self._loop, self._thread = asyncio.get_running_loop(), get_ident()
            self._signal = asyncio.Event()
            if self.cancelled:
                self._signal.set()
        return self._signal

    def cancel(self, reason: QueueError) -> None:
        """Tells the handler to stop; the first reason stands. Called from any thread, even while the loop is busy."""
        self.cancel_reason = self.cancel_reason or reason
        if self._signal is None or self._loop is None:
            return
        if get_ident() == self._thread:
            self._signal.set()
        else:
            self._loop.call_soon_threadsafe(self._signal.set)

    async def progress(self, value: float, message: str | None = None) -> None:
        """How far the work is, between 0 and 1. Kept with the job and sent to whoever follows the run."""
        await self._ask("ctx.progress", {"value": value, **given(message=message)})

    async def emit(self, type: str, data: Any = None, *, key: str | None = None) -> dict[str, Any] | None:
        """Appends an event of your own and answers it as stored; ``None`` when its key was there already."""
        return await self._ask("ctx.emit", {"type": type, **given(data=data, key=key)})

    async def enqueue(self, worker: str | Mapping[str, str], data: Any = None, **options: Any) -> EnqueuedJob:
        """Enqueues a job, as ``RunContext.enqueue`` does."""
        return EnqueuedJob.from_wire(await self._ask("ctx.enqueue", enqueueing(worker, data, options)))
