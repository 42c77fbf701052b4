"""How a handler that waits is left."""

from __future__ import annotations

from .errors import QueueError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from typing import Any


class Suspended(BaseException):
    """Leaves a handler that waits: its process is given back, and it runs again once the wait is over.

    ``ctx.step.sleep``, ``ctx.step.wait_for_event`` and ``ctx.flow.start(…, wait=True)`` raise it. It is no ``Exception``,
    so that ``except Exception`` lets it pass, as it does ``asyncio.CancelledError``; a bare ``except`` has to raise it
    again. A handler that returns although it was left fails for good with ``STEP_SWALLOWED``. What stands in ``finally`` runs
    each time the handler is left.
    """

    __module__ = "nuxt_queue"

    def __init__(self) -> None:
        super().__init__("The handler waits, and goes on later. Let this exception pass.")


def is_suspension(raised: BaseException) -> bool:
    """Whether a handler was left at its waits: also those of a group of tasks, if nothing else went wrong there."""
    nested: tuple[BaseException, ...] = getattr(raised, "exceptions", ())
    return isinstance(raised, Suspended) or (bool(nested) and all(map(is_suspension, nested)))


def report(loop: AbstractEventLoop, context: dict[str, Any]) -> None:
    """Handles what nobody awaits: a wait beside the one that a handler was left at is none of that."""
    if not isinstance(context.get("exception"), Suspended):
        loop.default_exception_handler(context)


class Left:
    """Where a handler was left, once it was."""

    def __init__(self) -> None:
        self.wait: str | None = None

    def outcome(self, name: str, answer: dict[str, Any]) -> Any:
        """What a wait has come to. Raises ``Suspended`` when it is not over."""
        if not answer["over"]:
            self.at(name)
            raise Suspended
        return answer.get("result")

    def at(self, name: str) -> None:
        """Notes that the handler is left at a wait."""
        self.wait = self.wait or name

    def check(self) -> None:
        """Raises ``Suspended`` in a handler that goes on although it was left."""
        if self.wait is not None:
            raise Suspended

    def refuse(self) -> None:
        """Raises QueueError ``STEP_SWALLOWED`` for a handler that has returned although it was left."""
        if self.wait is None:
            return
        text = f'The handler went on after it was left at "{self.wait}": something caught Suspended. '
        hint = "Let it pass: raise it again in a bare `except`, and gather without `return_exceptions`. "
        more = "What takes long beside a wait belongs into `ctx.step.run`."
        raise QueueError("STEP_SWALLOWED", text + hint + more, retryable=False)
