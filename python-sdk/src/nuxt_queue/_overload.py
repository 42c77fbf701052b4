"""``typing.overload`` for type checkers. Each process would pay for the import of ``typing`` at run time."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import overload as overload
else:

    def overload(function):
        return function
