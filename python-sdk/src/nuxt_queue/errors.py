"""The error of this package, and the third way out of a handler."""

from __future__ import annotations

from typing import Any, Optional


class QueueError(Exception):
    """What the queue refuses. Tell errors apart by ``code``, such as ``RUN_ENDED`` or ``VALIDATION_FAILED``.

    Any exception of your own may carry ``retryable = False``, which ends the job whatever attempts are left.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        retryable: Optional[bool] = None,
        details: Optional[dict[str, Any]] = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.retryable = retryable
        self.details = details


class Deferral:
    """Made by ``ctx.defer(…)``; a handler returns it to run again later without using up an attempt."""

    def __init__(self, wire: dict[str, Any]) -> None:
        self.wire = wire
