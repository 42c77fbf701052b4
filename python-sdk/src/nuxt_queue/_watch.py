"""Detects messages of the host while no thread reads the channel."""

from __future__ import annotations

import _thread
import select
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class Watch:
    """A thread that sleeps until it is armed and a descriptor is readable.

    Arming and disarming is a system call that wakes no thread. A handler that finishes before the host sends a message
    causes no thread switch, and neither does an idle process. After each arming, ``ready`` is called at most once.
    """

    def __init__(self, fd: int, ready: Callable[[], None]) -> None:
        self._ready = ready
        self._poller = _Poller(fd)
        self.arm = self._poller.arm
        self.disarm = self._poller.disarm
        self.close = self._poller.close

    def start(self) -> None:
        """Starts the thread."""
        # A thread that only waits does not need the module `threading`, which would take time to import.
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
            # epoll always reports a hang-up. ONESHOT prevents it from being reported repeatedly.
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
