"""What goes wrong, as an exception with a code."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


class QueueError(Exception):
    """An error that programs can tell apart by its code.

    Raised by calls of the context, and yours to raise from a handler.

    Args:
        code: What went wrong, such as ``RUN_ENDED``. The codes of the engine are listed in its documentation.
        message: What came, what was expected and what to do.
        retryable: ``False`` fails the job at once, whatever attempts are left.
        details: Facts for programs; they travel as JSON.
        name: The class of the error where it arose. Only differs for errors of the host.

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
        # Both as `args`, so that it survives pickling on its way out of a process pool.
        super().__init__(code, message)
        self.code = code
        self.message = message
        self.retryable = retryable
        self.details = details
        self.name = name

    #: As tracebacks name it, and pickles find it.
    __module__ = "nuxt_queue"

    def __str__(self) -> str:
        return self.message
