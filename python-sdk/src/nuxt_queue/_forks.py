"""Runs a function for many arguments, each in its own fork of this process."""

from __future__ import annotations

import os
import selectors
import signal
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

#: How many forks run at once. A fork that hangs keeps its place until the end.
MAX_FORKS = max(8, 2 * (os.cpu_count() or 1))


def run_in_forks(
    arguments: Sequence[str], call: Callable[[str], str], timeout: float | None
) -> Iterator[tuple[str, str, str]]:
    """Yields each argument when its call ends, with the result of the call and the reason if there is no result.

    Args:
        timeout: Seconds for all calls together. Calls that still run then are killed.
    """
    end = None if timeout is None else time.monotonic() + timeout
    selector = selectors.DefaultSelector()
    waiting = list(reversed(arguments))
    running: dict[int, _Fork] = {}
    while waiting or running:
        while waiting and len(running) < MAX_FORKS:
            fork = _Fork(waiting.pop(), call)
            selector.register(fork.reading, selectors.EVENT_READ)
            running[fork.reading] = fork
        left = None if end is None else end - time.monotonic()
        if left is not None and left <= 0:
            late = f"It has not finished loading within {timeout} s. Check what it waits for while it is imported."
            for fork in running.values():
                os.kill(fork.pid, signal.SIGKILL)
                os.waitpid(fork.pid, 0)
            for argument in [*(fork.argument for fork in running.values()), *reversed(waiting)]:
                yield argument, "", late
            return
        for key, _ in selector.select(left):
            fork = running[key.fd]
            if fork.read():
                continue
            selector.unregister(key.fd)
            del running[key.fd]
            yield fork.argument, fork.text.decode(), f"Python ended while it loaded the file (status {fork.end()})."


class _Fork:
    def __init__(self, argument: str, call: Callable[[str], str]) -> None:
        self.argument = argument
        self.text = b""
        self.reading, writing = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                os.close(self.reading)
                with os.fdopen(writing, "w") as pipe:
                    pipe.write(call(argument))
                sys.stdout.flush()
            finally:
                os._exit(0)
        os.close(writing)

    def read(self) -> bool:
        """Reads available output. Returns False at the end."""
        chunk = os.read(self.reading, 65536)
        self.text += chunk
        return chunk != b""

    def end(self) -> int:
        """Waits for the process, and returns its exit status."""
        os.close(self.reading)
        return os.waitpid(self.pid, 0)[1]
