"""The exception with a code."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


class QueueError(Exception):
    """An error with a code for programs.

    Calls of the context raise it, and a handler may raise it too.

    Args:
        code: What went wrong, such as ``RUN_ENDED``. The documentation of the engine lists its codes.
        message: What happened, what was expected, and what to do.
        retryable: ``False`` fails the job at once, even if attempts are left.
        details: Facts for programs, which must be JSON.
        name: The class of the original error. It differs from ``QueueError`` only for errors of the host.

    Example:
        >>> raise QueueError("CARD_REFUSED", "The card was refused.", retryable=False)
        Traceback (most recent call last):
        nuxt_queue.QueueError: The card was refused.
    """

    code: str
    retryable: bool
    details: Mapping[str, object] | None
    name: str

    def __init__(
        self,
        code: str,
        message: str,
        *,
        retryable: bool = True,
        details: Mapping[str, object] | None = None,
        name: str = "QueueError",
    ) -> None:
        # Both are passed as `args`, so that a process pool can pickle the error.
        super().__init__(code, message)
        self.code = code
        self.message = message
        self.retryable = retryable
        self.details = details
        self.name = name

    #: The module that tracebacks show and that pickle imports.
    __module__ = "nuxt_queue"

    def __str__(self) -> str:
        return self.message


class UnrecoverableError(Exception):
    """An error that fails the job at once, even if attempts are left.

    Every exception with ``retryable = False`` has this effect, and every exception class with this name.

    Example:
        >>> raise UnrecoverableError("There is no such mailbox.")
        Traceback (most recent call last):
        nuxt_queue.UnrecoverableError: There is no such mailbox.
    """

    retryable = False

    __module__ = "nuxt_queue"


def is_unrecoverable(error: BaseException) -> bool:
    """Returns whether an error says that a retry cannot succeed. Never raises."""
    try:
        return getattr(error, "retryable", None) is False or type(error).__name__ == "UnrecoverableError"
    except BaseException:
        return False
