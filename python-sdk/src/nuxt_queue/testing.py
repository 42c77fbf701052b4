"""Contexts for tests of handlers, with no queue and no process.

    from nuxt_queue.testing import FakeContext

    def test_train():
        ctx = FakeContext({"epochs": 3})
        assert train(ctx.job, ctx) == {"loss": 0.25}
        assert ctx.logs == [("info", "training", {"epochs": 3})]
"""

from __future__ import annotations

import copy
from typing import Any, Callable, Mapping, Optional

from . import values
from .aio import AsyncRunContext
from .context import RunContext
from .errors import QueueError
from .job import Job


class Recorder:
    """Answers the calls of a context as the queue does, and keeps them."""

    def __init__(self, state: Optional[Mapping[str, Any]] = None, verbose: bool = False) -> None:
        self.values: dict[str, Any] = copy.deepcopy(dict(state or {}))
        self.logs: list[tuple[str, str, dict[str, Any]]] = []
        self.emitted: list[tuple[str, Any]] = []
        self.sent: list[tuple[str, Any]] = []
        self.progress_values: list[float] = []
        self.enqueued: list[tuple[Any, Any, dict[str, Any]]] = []
        self.events: list[tuple[str, Any]] = []
        self.steps: dict[str, Any] = {}
        self._keys: set[str] = set()
        self._verbose = verbose

    def notify(self, method: str, params: dict[str, Any]) -> None:
        self.ask(method, params)

    def ask(self, method: str, params: dict[str, Any]) -> Any:
        # Over the wire and back, so that a test sees what would travel.
        given = values.loads(values.dumps(params).encode("ascii"))
        if self._verbose and not method.startswith("ctx.state.") and not method.startswith("ctx.step."):
            from ._cli import note

            note(f"{method[4:]}:", given)
        return getattr(self, "_" + method[4:].replace(".", "_"))(**given)

    def _state_get(self, key: str) -> Any:
        return copy.deepcopy(self.values.get(key))

    def _state_has(self, key: str) -> bool:
        return key in self.values

    def _state_getAll(self) -> dict[str, Any]:
        return copy.deepcopy(self.values)

    def _state_set(self, key: str, value: Any) -> None:
        self.values[key] = value

    def _state_setBatch(self, values: dict[str, Any]) -> None:
        self.values.update(values)

    def _state_delete(self, key: str) -> None:
        self.values.pop(key, None)

    def _state_read(self, key: str) -> dict[str, Any]:
        return {"value": self._state_get(key), "token": 1}

    def _state_swap(self, key: str, token: int, value: Any) -> dict[str, Any]:
        self.values[key] = value
        return {"swapped": True, "value": value}

    def _logger_log(self, level: str, message: str, meta: Optional[dict[str, Any]] = None) -> None:
        self.logs.append((level, message, meta or {}))

    def _flow_emit(self, event: str, payload: Any = None, immediate: bool = False) -> None:
        self.emitted.append((event, payload))

    def _flow_cancel(self, reason: Optional[str] = None) -> None:
        raise QueueError("JOB_CANCELLED", f"The run was cancelled: {reason or 'by a step'}.")

    def _client_send(self, type: str, data: Any = None) -> None:
        self.sent.append((type, data))

    def _progress(self, value: float, message: Optional[str] = None) -> None:
        if not 0 <= value <= 1:
            raise QueueError("OPTION_INVALID", f"Progress is from 0 to 1, got {value}.")
        self.progress_values.append(value)

    def _step_lookup(self, name: str) -> dict[str, Any]:
        return {"found": True, "result": self.steps[name]} if name in self.steps else {"found": False}

    def _step_record(self, name: str, result: Any) -> Any:
        return self.steps.setdefault(name, result)

    def _emit(self, type: str, data: Any = None, key: Optional[str] = None) -> Optional[dict[str, Any]]:
        if key is not None and key in self._keys:
            return None
        self._keys.update([key] if key is not None else [])
        self.events.append((type, data))
        return {"seq": len(self.events), "type": type, "data": data}

    def _enqueue(self, worker: Any, data: Any = None, options: Optional[dict[str, Any]] = None) -> dict[str, Any]:
        self.enqueued.append((worker, data, options or {}))
        name = worker if isinstance(worker, str) else worker["name"]
        id_ = (options or {}).get("id", str(len(self.enqueued)))
        return {"id": id_, "runId": id_, "queue": name, "name": name, "deduplicated": False}


class _AsyncRecorder:
    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self.notify = recorder.notify

    async def ask(self, method: str, params: dict[str, Any]) -> Any:
        return self._recorder.ask(method, params)


class _Fake:
    """What both kinds of fake contexts show of what happened."""

    recorder: Recorder

    @property
    def logs(self) -> list[tuple[str, str, dict[str, Any]]]:
        """Each as level, message, meta."""
        return self.recorder.logs

    @property
    def emitted(self) -> list[tuple[str, Any]]:
        """What went to ``ctx.flow.emit``."""
        return self.recorder.emitted

    @property
    def sent(self) -> list[tuple[str, Any]]:
        """What went to ``ctx.client.send``."""
        return self.recorder.sent

    @property
    def progress_values(self) -> list[float]:
        return self.recorder.progress_values

    @property
    def enqueued(self) -> list[tuple[Any, Any, dict[str, Any]]]:
        """Each as worker, data, options."""
        return self.recorder.enqueued

    @property
    def events(self) -> list[tuple[str, Any]]:
        """What went to ``ctx.emit``."""
        return self.recorder.events


def _job(data: Any, id: str, attempt: int) -> Job:
    travelled = values.loads(values.dumps(data).encode("ascii"))
    wire = {"id": id, "queue": "test", "name": "test", "data": travelled, "runId": f"run-{id}", "attempt": attempt}
    return Job({**wire, "attempts": attempt})


class FakeContext(RunContext, _Fake):
    """The context of a handler that is a plain function, in memory."""

    def __init__(
        self,
        data: Any = None,
        *,
        state: Optional[Mapping[str, Any]] = None,
        id: str = "1",
        attempt: int = 1,
        verbose: bool = False,
    ) -> None:
        self.recorder = Recorder(state, verbose)
        super().__init__(_job(data, id, attempt), self.recorder)


class AsyncFakeContext(AsyncRunContext, _Fake):
    """The context of a handler that is ``async def``, in memory."""

    def __init__(
        self,
        data: Any = None,
        *,
        state: Optional[Mapping[str, Any]] = None,
        id: str = "1",
        attempt: int = 1,
        verbose: bool = False,
    ) -> None:
        self.recorder = Recorder(state, verbose)
        super().__init__(_job(data, id, attempt), _AsyncRecorder(self.recorder))


def run_worker(handler: Callable[..., Any], data: Any = None, **options: Any) -> Any:
    """Runs a handler of either kind once and answers what it returned. Options are those of ``FakeContext``."""
    import asyncio
    import inspect

    if inspect.iscoroutinefunction(handler):
        ctx = AsyncFakeContext(data, **options)
        return asyncio.run(handler(ctx.job, ctx))
    plain = FakeContext(data, **options)
    return handler(plain.job, plain)
