"""How a context calls its host."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Any, Protocol

    class Notifies(Protocol):
        """Carries calls that nobody waits for."""

        def notify(self, method: str, params: dict[str, object]) -> None: ...

    class Calls(Notifies, Protocol):
        """Carries the calls of a context to the host, or to a stand-in."""

        def ask(self, method: str, params: dict[str, object]) -> Any: ...

    class AsyncCalls(Notifies, Protocol):
        """Carries the calls of a context to the host, or to a stand-in."""

        def ask(self, method: str, params: dict[str, object]) -> Awaitable[Any]: ...

        def when_idle(self, call: Callable[[], None]) -> None:
            """Calls back once the event loop has nothing else to do."""
            ...


def given(**params: Any) -> dict[str, Any]:
    """Without what was not given."""
    return {name: value for name, value in params.items() if value is not None}
