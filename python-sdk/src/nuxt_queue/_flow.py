"""What a handler does with the run of its job, and with other runs."""

from __future__ import annotations

from ._calls import without_none
from ._overload import overload
from ._steps import start_params
from .job import StartedRun

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, Literal

    from ._calls import Calls
    from .suspension import SuspensionState


class Flow:
    """The flow of the job, and runs of other flows."""

    def __init__(self, calls: Calls, suspension: SuspensionState) -> None:
        self._ask = calls.ask
        self._suspension = suspension

    def emit(self, event: str, payload: Any = None, *, immediate: bool = False) -> None:
        """Starts the steps that subscribe to an event when this step completes, or at once with ``immediate``.

        Raises QueueError ``FLOW_INVALID`` for an event that no step subscribes to.
        """
        self._ask("ctx.flow.emit", {"event": event, **without_none(payload=payload, immediate=immediate or None)})

    def cancel(self, reason: str | None = None) -> None:
        """Cancels the run, including this step."""
        self._ask("ctx.flow.cancel", without_none(reason=reason))

    def query(self, flow: str, run_id: str, name: str, input: Any = None) -> Any:
        """Computes a query of a run of a flow, and returns the response.

        Raises QueueError ``QUERY_UNKNOWN``, ``QUERY_FAILED`` or ``RUN_NOT_FOUND``.
        """
        return self._ask("ctx.flow.query", {"flow": flow, "runId": run_id, "name": name, **without_none(input=input)})

    def update(self, flow: str, run_id: str, name: str, input: Any = None, *, id: str | None = None) -> Any:
        """Changes a run of a flow with one of its updates, and returns the response.

        Args:
            flow: The name of the flow.
            run_id: The id of the run.
            name: The name of the update.
            input: The input of the update.
            id: A repeated call with the same id has no effect, and returns the response of the first call.

        Raises:
            QueueError: ``UPDATE_UNKNOWN``, ``UPDATE_REFUSED``, ``UPDATE_FAILED``, ``RUN_NOT_FOUND`` or ``RUN_ENDED``.

        Example:
            >>> ctx.flow.update("order", run_id, "address", {"street": "Main St 1"}, id=ctx.job.id)
        """
        params: dict[str, object] = {"flow": flow, "runId": run_id, "name": name, **without_none(input=input, id=id)}
        return self._ask("ctx.flow.update", params)

    def signal(self, flow: str, run_id: str, name: str, payload: Any = None, *, id: str | None = None) -> None:
        """Sends a signal to a run of a flow.

        Raises QueueError ``RUN_NOT_FOUND`` or ``RUN_ENDED``.
        """
        params: dict[str, object] = {"flow": flow, "runId": run_id, "name": name, **without_none(payload=payload, id=id)}
        self._ask("ctx.flow.signal", params)

    @overload
    def start(
        self,
        flow: str,
        input: Any = None,
        *,
        id: str | None = None,
        tags: Sequence[str] | None = None,
        wait: Literal[False] = False,
    ) -> StartedRun: ...

    @overload
    def start(
        self, flow: str, input: Any = None, *, id: str | None = None, tags: Sequence[str] | None = None, wait: bool
    ) -> Any: ...

    def start(
        self,
        flow: str,
        input: Any = None,
        *,
        id: str | None = None,
        tags: Sequence[str] | None = None,
        wait: bool = False,
    ) -> Any:
        """Starts a run of another flow, once for all attempts.

        Args:
            flow: The name of the flow.
            input: The input of its entry step.
            id: The id of the run. Default: derived from this step, so that another attempt finds the same run.
            tags: Tags to find the run by.
            wait: Whether to suspend the handler until the run has ended. The run is then cancelled together with this one.

        Returns:
            The run, or its result with ``wait``.

        Raises:
            Suspended: With ``wait``, until the run has ended. Let it pass.
            QueueError: ``FLOW_UNKNOWN``, or ``FLOW_CHILD_FAILED`` with ``wait`` if the run failed or was cancelled.

        Example:
            >>> invoice = ctx.flow.start("invoice", job.data, wait=True)
        """
        self._suspension.check()
        result = self._suspension.outcome(flow, self._ask("ctx.flow.start", start_params(flow, input, id, tags, wait)))
        return result if wait else StartedRun(result["runId"])
