"""Results that threads wait for."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .errors import QueueError


class Pending:
    """A result that the host will send. ``wake`` notifies a waiter that does not read the channel itself."""

    __slots__ = ("done", "error", "result", "wake")

    def __init__(self, wake: Callable[[], object] | None = None) -> None:
        self.done = False
        self.result: Any = None
        self.error: QueueError | None = None
        self.wake = wake

    def settle(self, result: object = None, error: QueueError | None = None) -> None:
        """Stores the result and wakes the waiter. The thread that reads the channel calls it."""
        self.result = result
        self.error = error
        self.done = True
        if self.wake:
            self.wake()

    def outcome(self) -> Any:
        """Returns the result, or raises the error of the host."""
        if self.error:
            raise self.error
        return self.result
