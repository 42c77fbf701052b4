"""Runs handlers that are coroutines, on one event loop that also reads the channel."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Any, Callable

from ._channel import Pending
from .aio import AsyncRunContext
from .job import Job

if TYPE_CHECKING:
    from ._serve import Execution, Server


class AsyncExecution:
    """The calls of an execution, each awaited."""

    def __init__(self, execution: Execution, server: Server, loop: asyncio.AbstractEventLoop) -> None:
        self._execution = execution
        self._channel = server.channel
        self._loop = loop
        self.notify = execution.notify

    async def ask(self, method: str, params: dict[str, Any]) -> Any:
        from ._serve import outcome

        self._execution._check(method)
        answered: asyncio.Future[None] = self._loop.create_future()

        def settle() -> None:
            if not answered.done():
                answered.set_result(None)

        # The watcher may be the one who reads.
        wake: Callable[[], None] = lambda: _soon(self._loop, settle)
        pending: Pending = self._channel.ask(method, {"execution": self._execution.id, **params}, wake)
        await answered
        return outcome(pending)


class Loop:
    def __init__(self, server: Server) -> None:
        self._server = server
        self._loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self._loop)
        server.call_soon = lambda fn, *args: _soon(self._loop, fn, *args)

    def run(self, handler: Callable[..., Any], execution: Execution, job: Job, claim: int) -> Any:
        loop, channel = self._loop, self._server.channel
        ctx = AsyncRunContext(job, AsyncExecution(execution, self._server, loop), claim)
        self._server.running(execution, ctx)
        channel.looped = True
        loop.add_reader(channel.fileno(), self._read)
        try:
            return loop.run_until_complete(handler(job, ctx))
        finally:
            loop.remove_reader(channel.fileno())
            channel.looped = False
            self._stop_tasks()

    def _read(self) -> None:
        try:
            if not self._server.channel.receive(socket.MSG_DONTWAIT):
                self._server.channel.host_gone()
        except BlockingIOError:
            pass  # The watcher was faster.

    def _stop_tasks(self) -> None:
        """What a handler has left running ends with it."""
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        if tasks:
            self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))


def _soon(loop: asyncio.AbstractEventLoop, fn: Callable[..., Any], *args: Any) -> None:
    """Runs code in the loop, from whatever thread."""
    try:
        running = asyncio.get_running_loop()
    except RuntimeError:
        running = None
    if running is loop:
        fn(*args)
    else:
        loop.call_soon_threadsafe(fn, *args)
