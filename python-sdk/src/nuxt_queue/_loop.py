"""Runs coroutine handlers on an event loop that also reads the channel."""

from __future__ import annotations

import asyncio
import selectors
from _thread import get_ident

from .aio import AsyncRunContext
from .suspension import report

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from ._channel import Channel
    from ._execution import Execution
    from .job import Job


class ChannelSelector(selectors.DefaultSelector):
    """Reads the channel while the loop waits. While the loop runs callbacks, the watch of the channel reads."""

    def __init__(self, channel: Channel) -> None:
        super().__init__()
        self._channel = channel
        self._when_idle: list[Callable[[], None]] = []
        self.register(channel.fd, selectors.EVENT_READ)

    def when_idle(self, call: Callable[[], None]) -> None:
        """Calls a function when no callback of the loop is due."""
        self._when_idle.append(call)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if self._when_idle and timeout != 0:
            calls, self._when_idle = self._when_idle, []
            for call in calls:
                call()
            timeout = 0
        channel = self._channel
        reads = channel.start_reading()
        try:
            events = super().select(timeout)
            for index, (key, _) in enumerate(events):
                if key.fd == channel.fd:
                    del events[index]
                    if reads:
                        channel.receive()
                    break
            return events
        finally:
            if reads:
                channel.stop_reading()


class AsyncExecution:
    """The awaitable calls of an execution."""

    def __init__(self, execution: Execution, loop: Loop) -> None:
        self._execution = execution
        self._loop = loop.loop
        self._thread = loop.thread
        self.notify = execution.notify
        self.when_idle = loop.selector.when_idle

    async def ask(self, method: str, params: dict[str, object]) -> Any:
        self._execution.check(method)
        received = self._loop.create_future()

        def settle() -> None:
            if not received.done():
                received.set_result(None)

        def wake() -> None:
            if get_ident() == self._thread:
                settle()
            else:
                self._loop.call_soon_threadsafe(settle)

        pending = self._execution.channel.ask(method, {"execution": self._execution.id, **params}, wake)
        await received
        return pending.outcome()


class Loop:
    """An event loop for all jobs of the process, so that objects a worker keeps between jobs stay usable."""

    def __init__(self, channel: Channel) -> None:
        self.selector = ChannelSelector(channel)
        self.loop = asyncio.SelectorEventLoop(self.selector)
        self.thread = get_ident()
        self.loop.set_exception_handler(report)
        asyncio.set_event_loop(self.loop)

    def context(self, execution: Execution, job: Job[Any], claim: int) -> AsyncRunContext:
        """Returns the context for a job."""
        return AsyncRunContext(job, AsyncExecution(execution, self), claim)

    def run(self, handling: Coroutine[Any, Any, object]) -> object:
        """Runs a handler until it ends, and cancels the tasks that it left running."""
        try:
            return self.loop.run_until_complete(handling)
        finally:
            tasks = asyncio.all_tasks(self.loop)
            for task in tasks:
                task.cancel()
            if tasks:
                self.loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
