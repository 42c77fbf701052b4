"""How a handler that waits is left."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from typing import Any


class Suspended(BaseException):
    """Leaves a handler that waits: its process is given back, and it runs again once the wait is over.

    ``ctx.step.sleep``, ``ctx.step.wait_for_event`` and ``ctx.flow.start(…, wait=True)`` raise it. It is no ``Exception``,
    so that ``except Exception`` lets it pass, as it does ``asyncio.CancelledError``; a bare ``except`` has to raise it
    again. What stands in ``finally`` runs each time the handler is left.
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


def outcome(answer: dict[str, Any]) -> Any:
    """What a wait has come to. Raises ``Suspended`` when it is not over."""
    if not answer["over"]:
        raise Suspended
    return answer.get("result")
