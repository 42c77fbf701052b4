"""What somebody waits for."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .errors import QueueError


class Pending:
    """Something to come from the host; ``wake`` tells whoever waits for it in another way than by reading."""

    __slots__ = ("done", "error", "result", "wake")

    def __init__(self, wake: Callable[[], object] | None = None) -> None:
        self.done = False
        self.result: Any = None
        self.error: QueueError | None = None
        self.wake = wake

    def settle(self, result: object = None, error: QueueError | None = None) -> None:
        """Ends the wait. Called by whichever thread reads."""
        self.result = result
        self.error = error
        self.done = True
        if self.wake:
            self.wake()

    def outcome(self) -> Any:
        """What came. Raises what the host refused."""
        if self.error:
            raise self.error
        return self.result
