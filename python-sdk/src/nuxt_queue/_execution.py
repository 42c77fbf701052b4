"""An execution: one attempt of a job in this process."""

from __future__ import annotations

from .errors import QueueError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ._channel import Channel

ENDED = "was called after its job had ended. Wait for all calls and threads before the handler returns."


class Execution:
    """Sends the context calls of one execution to the host."""

    def __init__(self, channel: Channel, id_: object) -> None:
        self.id = id_
        self.ended = False
        self.channel = channel

    def ask(self, method: str, params: dict[str, object]) -> Any:
        self.check(method)
        return self.channel.call(method, {"execution": self.id, **params})

    def notify(self, method: str, params: dict[str, object]) -> None:
        self.check(method)
        self.channel.notify(method, {"execution": self.id, **params})

    def check(self, method: str) -> None:
        """Raises QueueError ``RUN_ENDED`` if the job has ended."""
        if self.ended:
            raise QueueError("RUN_ENDED", f'"{method}" {ENDED}')
