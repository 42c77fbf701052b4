"""A fake of the host, in memory."""

from __future__ import annotations

import sys

from .errors import QueueError
from .values import copy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


class Recorder:
    """Handles the calls of a context as the host does, and records them.

    All values are encoded and decoded, so that a test receives them as they would be stored.

    Args:
        state: The initial state of the run.
        verbose: Whether logs, progress and messages are printed to stderr.
        arrived: Payloads of the events that waits receive, by name. Other waits end only if they have a timeout.
        results: Results of the flows that waits receive, and responses of queries and updates, by name. Other waits do not end.
    """

    def __init__(
        self,
        state: Mapping[str, object] | None = None,
        verbose: bool = False,
        arrived: Mapping[str, object] | None = None,
        results: Mapping[str, object] | None = None,
    ) -> None:
        self.arrived: dict[str, Any] = copy(dict(arrived or {}))
        self.results: dict[str, Any] = copy(dict(results or {}))
        self.waits: list[tuple[str, dict[str, Any]]] = []
        self.started: list[tuple[str, Any, dict[str, Any]]] = []
        #: The queries, updates and signals to other runs: the kind, the name, and the input or payload.
        self.messages: list[tuple[str, str, Any]] = []
        self.state: dict[str, Any] = copy(dict(state or {}))
        self.logs: list[tuple[str, str, dict[str, Any]]] = []
        self.emitted: list[tuple[str, Any]] = []
        self.sent: list[tuple[str, Any]] = []
        #: The messages that were sent with ``store``.
        self.stored: list[tuple[str, Any]] = []
        #: The result of ``ctx.client.has_subscribers()``.
        self.followed = False
        self.progress_values: list[float] = []
        self.enqueued: list[tuple[str | dict[str, str], Any, dict[str, Any]]] = []
        self.events: list[tuple[str, Any]] = []
        self.steps: dict[str, Any] = {}
        self.failures: dict[str, dict[str, Any]] = {}
        self.ended = False
        self._keys: set[str] = set()
        self._versions: dict[str, int] = {}
        self._verbose = verbose

    def notify(self, method: str, params: dict[str, object]) -> None:
        """Handles a call without a response."""
        self.ask(method, params)

    def ask(self, method: str, params: dict[str, object]) -> Any:
        """Handles a call and returns its result."""
        if self.ended:
            raise QueueError("RUN_ENDED", f'"{method}" was called after its job had ended.')
        given: dict[str, Any] = copy(params)
        if self._verbose and not method.startswith(("ctx.state.", "ctx.step.")):
            self._print(method[len("ctx.") :], given)
        return copy(getattr(self, "_" + method[len("ctx.") :].replace(".", "_"))(**given))

    @staticmethod
    def _print(call: str, params: dict[str, Any]) -> None:
        from .values import dumps

        if call == "logger.log":
            meta = f" {dumps(params['meta'])}" if "meta" in params else ""
            print(f"{params['level']:5} {params['message']}{meta}", file=sys.stderr)
        else:
            print(f"{call} {dumps(params)}", file=sys.stderr)

    def _state_get(self, key: str) -> Any:
        return self.state.get(key)

    def _state_has(self, key: str) -> bool:
        return key in self.state

    def _state_getAll(self) -> dict[str, Any]:
        return self.state

    def _state_set(self, key: str, value: Any) -> None:
        self._state_setBatch({key: value})

    def _state_setBatch(self, values: dict[str, Any]) -> None:
        self.state.update(values)
        for key in values:
            self._versions[key] = self._versions.get(key, 0) + 1

    def _state_delete(self, key: str) -> None:
        self.state.pop(key, None)
        self._versions[key] = self._versions.get(key, 0) + 1

    def _state_read(self, key: str) -> dict[str, Any]:
        return {"value": self.state.get(key), "token": self._versions.get(key, 0)}

    def _state_swap(self, key: str, token: int, value: Any) -> dict[str, Any]:
        if token != self._versions.get(key, 0):
            return {"swapped": False}
        self._state_set(key, value)
        return {"swapped": True, "value": value}

    def _logger_log(self, level: str, message: str, meta: dict[str, Any] | None = None) -> None:
        self.logs.append((level, message, meta or {}))

    def _flow_emit(self, event: str, payload: Any = None, immediate: bool = False) -> None:
        self.emitted.append((event, payload))

    def _flow_cancel(self, reason: str = "by a step") -> None:
        raise QueueError("JOB_CANCELLED", f"The run was cancelled: {reason}.")

    def _flow_query(self, flow: str, runId: str, name: str, input: Any = None) -> Any:
        self.messages.append(("query", name, input))
        return self.results.get(name)

    def _flow_update(self, flow: str, runId: str, name: str, input: Any = None, id: str | None = None) -> Any:
        self.messages.append(("update", name, input))
        return self.results.get(name)

    def _flow_signal(self, flow: str, runId: str, name: str, payload: Any = None, id: str | None = None) -> None:
        self.messages.append(("signal", name, payload))

    def _client_send(self, type: str, data: Any = None, store: bool = False) -> None:
        self.sent.append((type, data))
        if store:
            self.stored.append((type, data))

    def _client_hasSubscribers(self) -> bool:
        return self.followed

    def _progress(self, value: float, message: str | None = None) -> None:
        if not 0 <= value <= 1:
            raise QueueError("OPTION_INVALID", f"Progress must be a number from 0 to 1; got {value}.")
        self.progress_values.append(value)

    def _step_lookup(self, name: str) -> dict[str, Any]:
        if name in self.failures:
            return {"found": True, "error": self.failures[name]}
        return {"found": True, "result": self.steps[name]} if name in self.steps else {"found": False}

    def _step_fail(self, name: str, error: dict[str, Any]) -> dict[str, Any]:
        return self.failures.setdefault(name, error)

    def _step_record(self, name: str, result: Any) -> Any:
        return self.steps.setdefault(name, result)

    def _step_wait(self, name: str, wait: dict[str, Any]) -> dict[str, Any]:
        self.waits.append((name, wait))
        event = wait.get("event")
        if event in self.arrived:
            return {"over": True, "result": self.arrived[event]}
        return {"over": wait["kind"] == "sleep" or "timeout" in wait}

    def _flow_start(self, flow: str, input: Any = None, options: dict[str, Any] | None = None) -> dict[str, Any]:
        self.started.append((flow, input, options or {}))
        if not (options or {}).get("wait"):
            return {"over": True, "result": {"runId": (options or {}).get("id", f"{flow}-{len(self.started)}")}}
        return {"over": True, "result": self.results[flow]} if flow in self.results else {"over": False}

    def _emit(self, type: str, data: Any = None, key: str | None = None) -> dict[str, int] | None:
        if key in self._keys:
            return None
        if key is not None:
            self._keys.add(key)
        self.events.append((type, data))
        return {"seq": len(self.events)}

    def _enqueue(self, worker: Any, data: Any = None, options: dict[str, Any] | None = None) -> dict[str, Any]:
        self.enqueued.append((worker, data, options or {}))
        target = {"queue": worker, "name": worker} if isinstance(worker, str) else worker
        id_ = (options or {}).get("id", str(len(self.enqueued)))
        return {**target, "id": id_, "runId": id_, "deduplicated": False}
