"""Contexts for tests of handlers, without a queue and without a process.

    from nuxt_queue.testing import FakeContext

    def test_train():
        ctx = FakeContext({"epochs": 3})
        assert train(ctx.job, ctx) == {"loss": 0.25}
        assert ctx.logs == [("info", "training", {"epochs": 3})]
"""

from __future__ import annotations

from ._memory import Recorder
from .aio import AsyncRunContext
from .context import RunContext
from .errors import QueueError
from .job import Job
from .suspension import report
from .values import copy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any


class _AsyncRecorder:
    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self.notify = recorder.notify

    async def ask(self, method: str, params: dict[str, object]) -> Any:
        return self._recorder.ask(method, params)

    def when_idle(self, call: Callable[[], None]) -> None:
        from asyncio import get_running_loop

        # A test may use any loop, and loops do not report when they are idle. No call here takes as long as this delay.
        get_running_loop().call_later(0.01, call)


class _Fake:
    """The records of a handler's calls, in both kinds of fake contexts."""

    recorder: Recorder

    @property
    def logs(self) -> list[tuple[str, str, dict[str, Any]]]:
        """The log entries, each as level, message, meta."""
        return self.recorder.logs

    @property
    def emitted(self) -> list[tuple[str, Any]]:
        """The calls of ``ctx.flow.emit``, each as event, payload."""
        return self.recorder.emitted

    @property
    def sent(self) -> list[tuple[str, Any]]:
        """The calls of ``ctx.client.send``, each as type, data."""
        return self.recorder.sent

    @property
    def progress_values(self) -> list[float]:
        """The values passed to ``ctx.progress``."""
        return self.recorder.progress_values

    @property
    def enqueued(self) -> list[tuple[str | dict[str, str], Any, dict[str, Any]]]:
        """The calls of ``ctx.enqueue``, each as worker, data, options. The names of options are in camelCase."""
        return self.recorder.enqueued

    @property
    def events(self) -> list[tuple[str, Any]]:
        """The calls of ``ctx.emit``, each as type, data."""
        return self.recorder.events

    @property
    def waits(self) -> list[tuple[str, dict[str, Any]]]:
        """The sleeps and waits, each as name and the wait in the format of the protocol."""
        return self.recorder.waits

    @property
    def started(self) -> list[tuple[str, Any, dict[str, Any]]]:
        """The calls of ``ctx.flow.start``, each as flow, input, options."""
        return self.recorder.started

    @property
    def state_values(self) -> dict[str, Any]:
        """The state of the run. A test may read and change it."""
        return self.recorder.state


def _job(data: object, id: str, attempt: int, attempts: int) -> Job[Any]:
    run_id = f"run-{id}"
    return Job(
        id=id, queue="test", name="test", data=copy(data), run_id=run_id, attempt=attempt, attempts=max(attempts, attempt)
    )


def _reason() -> QueueError:
    return QueueError("JOB_CANCELLED", "The job was cancelled.")


class FakeContext(RunContext, _Fake):
    """The context of a plain function handler, in memory.

    Args:
        data: The data of the job. The handler receives it as if it had been stored and read.
        state: The initial state of the run.
        id: The id of the job.
        attempt: The number of the attempt.
        attempts: The maximum number of attempts.
        verbose: Whether logs, progress and messages are printed to stderr.
        arrived: Payloads of the events that the handler waits for, by name: ``{"paid": {"order": 7}}``. A wait for another
            event times out at once, or raises ``Suspended`` if it has no timeout. A sleep ends at once.
        results: Results of the flows that the handler waits for, by name. A wait for another flow raises ``Suspended``.
    """

    def __init__(
        self,
        data: object = None,
        *,
        state: Mapping[str, object] | None = None,
        id: str = "1",
        attempt: int = 1,
        attempts: int = 1,
        verbose: bool = False,
        arrived: Mapping[str, object] | None = None,
        results: Mapping[str, object] | None = None,
    ) -> None:
        self.recorder = Recorder(state, verbose, arrived, results)
        super().__init__(_job(data, id, attempt, attempts), self.recorder)

    def cancel(self, reason: QueueError | None = None) -> None:
        """Asks the handler to stop. Default reason: the job was cancelled."""
        super().cancel(reason or _reason())


class AsyncFakeContext(AsyncRunContext, _Fake):
    """The context of an ``async def`` handler, in memory. It has the same arguments as ``FakeContext``."""

    def __init__(
        self,
        data: object = None,
        *,
        state: Mapping[str, object] | None = None,
        id: str = "1",
        attempt: int = 1,
        attempts: int = 1,
        verbose: bool = False,
        arrived: Mapping[str, object] | None = None,
        results: Mapping[str, object] | None = None,
    ) -> None:
        self.recorder = Recorder(state, verbose, arrived, results)
        super().__init__(_job(data, id, attempt, attempts), _AsyncRecorder(self.recorder))

    def cancel(self, reason: QueueError | None = None) -> None:
        """Asks the handler to stop. Default reason: the job was cancelled."""
        super().cancel(reason or _reason())


def run_worker(handler: Callable[..., Any], data: object = None, **options: Any) -> Any:
    """Runs a handler once. A coroutine function runs in a new event loop.

    Args:
        handler: A worker, decorated or not.
        data: The data of the job.
        options: The options of ``FakeContext``.

    Returns:
        The result of the handler.

    Raises:
        Exception: The exception of the handler.
    """
    import inspect

    if inspect.iscoroutinefunction(handler):
        import asyncio

        ctx = async_ctx = AsyncFakeContext(data, **options)

        async def handle() -> Any:
            asyncio.get_running_loop().set_exception_handler(report)
            return await handler(async_ctx.job, async_ctx)

        recorder, result = async_ctx.recorder, asyncio.run(handle())
    else:
        ctx = FakeContext(data, **options)
        recorder, result = ctx.recorder, handler(ctx.job, ctx)
    recorder.ended = True
    ctx.suspension.refuse()
    return result
