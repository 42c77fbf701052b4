"""The context of coroutine handlers. It has the same members, and the handler awaits them."""

from __future__ import annotations

from _thread import get_ident
from functools import cached_property

from ._aio_steps import AsyncFlow, AsyncStep, StepTracker, maybe_await
from ._calls import without_none
from .context import MAX_TRIES, BaseContext, conflict, enqueue_params
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
    """The state of the run. Every write is an event, and a read folds all events up to the call."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    async def get(self, key: str, default: Any = None) -> Any:
        """Returns the value of a key, or ``default`` if it has none."""
        value = await self._ask("ctx.state.get", {"key": key})
        return default if value is None else value

    async def has(self, key: str) -> bool:
        """Returns whether a key was written."""
        return bool(await self._ask("ctx.state.has", {"key": key}))

    async def get_all(self) -> dict[str, Any]:
        """Returns all values."""
        return await self._ask("ctx.state.getAll", {})

    async def set(self, key: str, value: Any) -> None:
        """Writes a value. Raises QueueError ``VALIDATION_FAILED``, ``VALUE_UNSUPPORTED`` or ``RUN_ENDED``."""
        await self._ask("ctx.state.set", {"key": key, "value": value})

    async def set_batch(self, values: Mapping[str, Any]) -> None:
        """Writes several keys in one event, so either all of them are stored or none."""
        await self._ask("ctx.state.setBatch", {"values": dict(values)})

    async def delete(self, key: str) -> None:
        """Removes a key."""
        await self._ask("ctx.state.delete", {"key": key})

    async def update(self, key: str, change: Callable[[Any], T | Awaitable[T]]) -> T:
        """Computes a value from the current one (``None`` if there is none) and stores it. Returns the stored value.

        If the key changes in the meantime, ``change`` runs again. Raises QueueError ``EVENTS_CONFLICT`` after 1,000 tries.

        >>> await ctx.state.update("count", lambda count: (count or 0) + 1)
        """
        for _ in range(MAX_TRIES):
            seen = await self._ask("ctx.state.read", {"key": key})
            value = await maybe_await(change(seen["value"]))
            swap = await self._ask("ctx.state.swap", {"key": key, "token": seen["token"], "value": value})
            if swap["swapped"]:
                return swap["value"]
        raise conflict(key)


class AsyncClient:
    """Sends messages to the clients that follow the run."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    async def send(self, type: str, data: Any = None, *, store: bool | None = None) -> None:
        """Sends a message to the clients that follow the run. With ``store``, later clients receive it too."""
        await self._ask("ctx.client.send", {"type": type, **without_none(data=data, store=store)})

    async def has_subscribers(self) -> bool:
        """Returns whether a client follows the run, in any process. The result may be a few seconds old."""
        return await self._ask("ctx.client.hasSubscribers", {})


class AsyncRunContext(BaseContext):
    """The context of an ``async def`` handler. Its methods are coroutines, and any number may run at once."""

    def __init__(self, job: Job[Any], calls: AsyncCalls, claim: int = 1) -> None:
        super().__init__(job, calls, claim)
        self._asking = calls
        self._ask = calls.ask
        self._signal: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = 0

    @cached_property
    def _tracker(self) -> StepTracker:
        return StepTracker(self._asking, self.suspension)

    @cached_property
    def state(self) -> AsyncState:
        return AsyncState(self._ask)

    @cached_property
    def flow(self) -> AsyncFlow:
        return AsyncFlow(self._asking, self._tracker)

    @cached_property
    def client(self) -> AsyncClient:
        return AsyncClient(self._ask)

    @cached_property
    def step(self) -> AsyncStep:
        return AsyncStep(self._asking, self._tracker)

    @property
    def signal(self) -> asyncio.Event:
        """An event that is set when the handler must stop: ``await ctx.signal.wait()``."""
        if self._signal is None:
            import asyncio

            self._loop, self._thread = asyncio.get_running_loop(), get_ident()
            self._signal = asyncio.Event()
            if self.cancelled:
                self._signal.set()
        return self._signal

    def cancel(self, reason: QueueError) -> None:
        """Asks the handler to stop. The first reason is kept. May be called from any thread, even while the loop is busy."""
        self.cancel_reason = self.cancel_reason or reason
        if self._signal is None or self._loop is None:
            return
        if get_ident() == self._thread:
            self._signal.set()
        else:
            self._loop.call_soon_threadsafe(self._signal.set)

    async def progress(self, value: float, message: str | None = None) -> None:
        """Reports the progress, between 0 and 1. It is stored with the job and sent to the clients that follow the run."""
        await self._ask("ctx.progress", {"value": value, **without_none(message=message)})

    async def emit(self, type: str, data: Any = None, *, key: str | None = None) -> dict[str, Any] | None:
        """Appends a custom event. Returns the stored event, or ``None`` if an event with this key exists already."""
        return await self._ask("ctx.emit", {"type": type, **without_none(data=data, key=key)})

    async def enqueue(self, worker: str | Mapping[str, str], data: Any = None, **options: Any) -> EnqueuedJob:
        """Enqueues a job, as ``RunContext.enqueue`` does."""
        return EnqueuedJob.from_wire(await self._ask("ctx.enqueue", enqueue_params(worker, data, options)))
