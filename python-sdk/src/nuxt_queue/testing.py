"""Contexts for tests of handlers, with no queue and no process.

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

        # Any loop will do in a test, and none tells when it is idle: nothing that is asked here takes as long.
        get_running_loop().call_later(0.01, call)


class _Fake:
    """What both kinds of fakes show of what their handler did."""

    recorder: Recorder

    @property
    def logs(self) -> list[tuple[str, str, dict[str, Any]]]:
        """Entries of the log, each as level, message, meta."""
        return self.recorder.logs

    @property
    def emitted(self) -> list[tuple[str, Any]]:
        """What went to ``ctx.flow.emit``, each as event, payload."""
        return self.recorder.emitted

    @property
    def sent(self) -> list[tuple[str, Any]]:
        """What went to ``ctx.client.send``, each as type, data."""
        return self.recorder.sent

    @property
    def progress_values(self) -> list[float]:
        """What went to ``ctx.progress``."""
        return self.recorder.progress_values

    @property
    def enqueued(self) -> list[tuple[str | dict[str, str], Any, dict[str, Any]]]:
        """What went to ``ctx.enqueue``, each as worker, data, options under the names the queue has for them."""
        return self.recorder.enqueued

    @property
    def events(self) -> list[tuple[str, Any]]:
        """What went to ``ctx.emit``, each as type, data."""
        return self.recorder.events

    @property
    def waits(self) -> list[tuple[str, dict[str, Any]]]:
        """What it slept and waited for, each as name and as the protocol writes it."""
        return self.recorder.waits

    @property
    def started(self) -> list[tuple[str, Any, dict[str, Any]]]:
        """What went to ``ctx.flow.start``, each as flow, input, options."""
        return self.recorder.started

    @property
    def state_values(self) -> dict[str, Any]:
        """All state of the run, to look at or to change behind the handler's back."""
        return self.recorder.state


def _job(data: object, id: str, attempt: int, attempts: int) -> Job[Any]:
    run_id = f"run-{id}"
    return Job(
        id=id, queue="test", name="test", data=copy(data), run_id=run_id, attempt=attempt, attempts=max(attempts, attempt)
    )


def _reason() -> QueueError:
    return QueueError("JOB_CANCELLED", "The job was cancelled.")


class FakeContext(RunContext, _Fake):
    """The context of a handler that is a plain function, in memory.

    Args:
        data: Data of the job, as the handler receives it after its way through the queue.
        state: State that the run has already.
        id: Of the job.
        attempt: Which attempt it is.
        attempts: How many there may be.
        verbose: Whether logs, progress and what is sent are printed on stderr.
        arrived: Payloads of the events that it waits for, by name: ``{"paid": {"order": 7}}``. A wait for another one
            takes its timeout at once, and without one raises ``Suspended``; sleeps are over at once.
        results: Results of the flows that it waits for, by name; waiting for another one raises ``Suspended``.
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
        """Tells the handler to stop, as a cancelled job is told, or for another reason."""
        super().cancel(reason or _reason())


class AsyncFakeContext(AsyncRunContext, _Fake):
    """The context of a handler that is ``async def``, in memory. Arguments are those of ``FakeContext``."""

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
        """Tells the handler to stop, as a cancelled job is told, or for another reason."""
        super().cancel(reason or _reason())


def run_worker(handler: Callable[..., Any], data: object = None, **options: Any) -> Any:
    """Runs a handler of either kind once, in an event loop of its own where it needs one.

    Args:
        handler: A worker, decorated or not.
        data: Data of the job.
        options: Those of ``FakeContext``.

    Returns:
        What the handler returned.

    Raises:
        Exception: What the handler raised.
    """
    import inspect

    if inspect.iscoroutinefunction(handler):
        import asyncio

        ctx = waiting = AsyncFakeContext(data, **options)

        async def handled() -> Any:
            asyncio.get_running_loop().set_exception_handler(report)
            return await handler(waiting.job, waiting)

        recorder, result = waiting.recorder, asyncio.run(handled())
    else:
        ctx = FakeContext(data, **options)
        recorder, result = ctx.recorder, handler(ctx.job, ctx)
    recorder.ended = True
    ctx.left.refuse()
    return result
