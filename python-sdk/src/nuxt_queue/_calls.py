"""The interface through which a context calls its host."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Any, Protocol

    class Notifies(Protocol):
        """Sends calls without a response."""

        def notify(self, method: str, params: dict[str, object]) -> None: ...

    class Calls(Notifies, Protocol):
        """Sends the calls of a context to the host, or to a fake of it."""

        def ask(self, method: str, params: dict[str, object]) -> Any: ...

    class AsyncCalls(Notifies, Protocol):
        """Sends the calls of a context to the host, or to a fake of it."""

        def ask(self, method: str, params: dict[str, object]) -> Awaitable[Any]: ...

        def when_idle(self, call: Callable[[], None]) -> None:
            """Calls a function when the event loop has nothing else to do."""
            ...


def without_none(**params: Any) -> dict[str, Any]:
    """Returns the parameters that are not ``None``."""
    return {name: value for name, value in params.items() if value is not None}
