"""How a handler is suspended at a wait."""

from __future__ import annotations

from .errors import QueueError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from typing import Any


class Suspended(BaseException):
    """Suspends a handler that waits. Its process is released, and it runs again when the wait is over.

    ``ctx.step.sleep``, ``ctx.step.wait_for_event`` and ``ctx.flow.start(…, wait=True)`` raise it. It is not an
    ``Exception``, so ``except Exception`` lets it pass, like ``asyncio.CancelledError``. A bare ``except`` must raise it
    again. A handler that returns after it was suspended fails permanently with ``STEP_SWALLOWED``. A ``finally`` block runs
    each time the handler is suspended.
    """

    __module__ = "nuxt_queue"

    def __init__(self) -> None:
        super().__init__("The handler is suspended at a wait and continues later. Let this exception pass.")


def is_suspension(raised: BaseException) -> bool:
    """Returns whether a handler was suspended. A group of exceptions counts if it holds nothing but suspensions."""
    nested: tuple[BaseException, ...] = getattr(raised, "exceptions", ())
    return isinstance(raised, Suspended) or (bool(nested) and all(map(is_suspension, nested)))


def report(loop: AbstractEventLoop, context: dict[str, Any]) -> None:
    """An exception handler for event loops. It ignores other waits of a suspended handler, which nobody awaits."""
    if not isinstance(context.get("exception"), Suspended):
        loop.default_exception_handler(context)


class SuspensionState:
    """Whether a handler was suspended, and at which wait."""

    def __init__(self) -> None:
        self.wait: str | None = None

    def outcome(self, name: str, status: dict[str, Any]) -> Any:
        """Returns the result of a wait. Raises ``Suspended`` if the wait is not over."""
        if not status["over"]:
            self.record(name)
            raise Suspended
        return status.get("result")

    def record(self, name: str) -> None:
        """Records that the handler is suspended at a wait."""
        self.wait = self.wait or name

    def check(self) -> None:
        """Raises ``Suspended`` in a handler that continues after it was suspended."""
        if self.wait is not None:
            raise Suspended

    def refuse(self) -> None:
        """Raises QueueError ``STEP_SWALLOWED`` for a handler that returned after it was suspended."""
        if self.wait is None:
            return
        text = f'The handler continued after it was suspended at "{self.wait}", because it caught Suspended. '
        hint = "Raise Suspended again in a bare `except`, and call asyncio.gather without `return_exceptions`. "
        more = "Put long work next to a wait into `ctx.step.run`."
        raise QueueError("STEP_SWALLOWED", text + hint + more, retryable=False)
