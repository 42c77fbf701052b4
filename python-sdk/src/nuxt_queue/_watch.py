"""Notices that the host speaks while nobody listens."""

from __future__ import annotations

import _thread
import select
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class Watch:
    """A thread that sleeps until a descriptor can be read while it is armed.

    Arming and disarming is a system call that wakes nobody, so a handler that is done before the host speaks again
    costs no switch of threads, and an idle process none at all. Each time it was armed it calls ``ready`` once at most.
    """

    def __init__(self, fd: int, ready: Callable[[], None]) -> None:
        self._ready = ready
        self._poller = _Poller(fd)
        self.arm = self._poller.arm
        self.disarm = self._poller.disarm
        self.close = self._poller.close

    def start(self) -> None:
        """Starts the thread."""
        # `threading` would be another module to load; a thread that only waits needs nothing of it.
        _thread.start_new_thread(self._run, ())

    def _run(self) -> None:
        while True:
            self._poller.wait()
            self._ready()


if sys.platform == "linux":

    class _Poller:
        def __init__(self, fd: int) -> None:
            self._fd = fd
            self._epoll = select.epoll()
            self._epoll.register(fd, select.EPOLLONESHOT)
            self.close = self._epoll.close

        def arm(self) -> None:
            self._epoll.modify(self._fd, select.EPOLLIN | select.EPOLLONESHOT)

        def disarm(self) -> None:
            # A hang-up is told of whatever is asked for; only ONESHOT keeps it from being told forever.
            self._epoll.modify(self._fd, select.EPOLLONESHOT)

        def wait(self) -> None:
            self._epoll.poll()

else:  # macOS and the BSDs

    class _Poller:
        def __init__(self, fd: int) -> None:
            self._kqueue = select.kqueue()
            on = select.KQ_EV_ADD | select.KQ_EV_ENABLE | select.KQ_EV_ONESHOT
            self._on = [select.kevent(fd, select.KQ_FILTER_READ, on)]
            self._off = [select.kevent(fd, select.KQ_FILTER_READ, select.KQ_EV_ADD | select.KQ_EV_DISABLE)]
            self.close = self._kqueue.close

        def arm(self) -> None:
            self._kqueue.control(self._on, 0)

        def disarm(self) -> None:
            self._kqueue.control(self._off, 0)

        def wait(self) -> None:
            self._kqueue.control(None, 1)
