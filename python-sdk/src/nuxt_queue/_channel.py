"""The socket to the host: who reads it, and who waits for what comes."""

from __future__ import annotations

import os
import select
from _thread import allocate_lock, get_ident
from collections import deque

from . import _frames
from ._errors import to_wire
from ._frames import NOTIFICATION, Request, Response, WireError
from ._pending import Pending
from ._watch import Watch
from .errors import QueueError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_CHUNK = 65536


def _as_answer(unsent: QueueError) -> Exception:
    if unsent.code != "PAYLOAD_TOO_LARGE":
        return unsent
    return WireError(_frames.TOO_LARGE, str(unsent), {"name": unsent.name, "code": unsent.code})


class Channel:
    """Whoever waits for something reads for all, so an answer costs no switch of threads.

    Only while a handler computes or sleeps nobody waits. The watch is armed then, and its thread reads what comes, so
    that the host can cancel the handler and hear that it lives. Whoever reads holds ``_reading``; whoever lets go of it
    arms the watch, so that there is always one of the two.

    Args:
        fd: A stream socket.
        serve: Takes requests that are answered at once, by whichever thread reads. False for a method there is not.
        gone: Called when the host has gone while a handler runs, or is sent something.
    """

    def __init__(self, fd: int, serve: Callable[[Request], bool], gone: Callable[[], None]) -> None:
        os.set_blocking(fd, True)
        self.fd = fd
        self.closed = False
        #: True while a handler runs.
        self.busy = False
        self.max_message: float = float("inf")
        self._serve = serve
        self._gone = gone
        self._parts: list[bytes] = []
        self._requests: deque[Request] = deque()
        self._idle: Pending | None = None
        self._last_id = 0
        self._pending: dict[object, Pending] = {}
        self._ids = allocate_lock()
        self._outbox: deque[bytes] = deque()
        self._sending = allocate_lock()
        self._reading = allocate_lock()
        self._reader = 0
        self._kept = False
        self._readable = select.poll()
        self._readable.register(fd, select.POLLIN)
        self._watch = Watch(fd, self._receive_now)
        self._watch.start()
        os.register_at_fork(after_in_child=self._forked)

    # Speaking

    def send(self, line: str) -> None:
        """Sends a line. Raises QueueError ``PAYLOAD_TOO_LARGE``."""
        if len(line) > self.max_message:
            text = f"A message of {len(line)} bytes is too large: the host takes {self.max_message:.0f}."
            raise QueueError("PAYLOAD_TOO_LARGE", text)
        # A finalizer may log while this very thread is sending. Its line then waits for the end of the one under way
        # rather than for a lock that nobody would open, as do those of other threads.
        self._outbox.append(line.encode("ascii"))
        while self._outbox and self._sending.acquire(False):
            try:
                while self._outbox:
                    self._write(self._outbox.popleft())
            finally:
                self._sending.release()

    def _write(self, line: bytes) -> None:
        try:
            written = os.write(self.fd, line)
            while written < len(line):
                line = line[written:]
                written = os.write(self.fd, line)
        except OSError:
            self._gone()

    def answer(self, id_: object, result: str) -> None:
        """Answers a request with a result that is written already, or with why that cannot be sent."""
        try:
            self.send(_frames.result(id_, result))
        except QueueError as unsent:
            self.fail(id_, _as_answer(unsent))

    def fail(self, id_: object, error: BaseException) -> None:
        """Answers a request with an error, or with what can be said of it."""
        if id_ is NOTIFICATION:
            return
        try:
            self.send(_frames.failure(id_, to_wire(error)))
        except QueueError as unsent:
            self.send(_frames.failure(id_, to_wire(_as_answer(unsent))))

    def ask(self, method: str, params: dict[str, object], wake: Callable[[], object] | None = None) -> Pending:
        """Sends a request. Raises QueueError for what cannot travel."""
        self._check()
        pending = Pending(wake)
        with self._ids:
            id_ = self._last_id + 1
            line = _frames.request(method, params, id_)
            self._last_id = id_
            self._pending[id_] = pending
        try:
            self.send(line)
        except QueueError:
            del self._pending[id_]
            raise
        return pending

    def notify(self, method: str, params: dict[str, object]) -> None:
        """Sends a notification. Raises QueueError for what cannot travel."""
        self._check()
        self.send(_frames.request(method, params))

    def _check(self) -> None:
        if self.closed:
            raise QueueError("CONTEXT_MISSING", "There is no host to call: it is gone, or this process was forked.")

    # Hearing

    def next_request(self) -> Request | None:
        """Waits for the next request that takes its time; None when the host is gone."""
        while not self._requests:
            if self.closed:
                return None
            if self._kept:
                self.receive()
                continue
            # Announced first, looked at again then: what comes in between settles it.
            pending = self._idle = Pending()
            if not self._requests and not self.closed:
                self.wait(pending)
        return self._requests.popleft()

    def begin(self) -> None:
        """The thread that takes requests turns to one of them: others may read."""
        self.busy = True
        if self._kept:
            self._kept = False
            self.step_down()

    def finish(self) -> None:
        """It is done, and reads before it answers: what the answer brings should not have to wake the watch."""
        self.busy = False
        self._kept = self.lead()

    def call(self, method: str, params: dict[str, object]) -> Any:
        """Sends a request and waits for its result. Raises QueueError."""
        if not self.lead():
            pending = self.ask(method, params)
            self.wait(pending)
            return pending.outcome()
        try:
            pending = self.ask(method, params)
            while not pending.done:
                self.receive()
        finally:
            self.step_down()
        return pending.outcome()

    def wait(self, pending: Pending) -> None:
        """Waits for something to come, and reads for all meanwhile unless somebody does."""
        if self._reader == get_ident():
            text = "A signal handler called the context while a call of it was under way. Set a flag there, act later."
            raise QueueError("CONTEXT_MISSING", text)
        if self.lead():
            try:
                while not pending.done:
                    self.receive()
            finally:
                self.step_down()
        else:
            gate = allocate_lock()
            gate.acquire()
            pending.wake = gate.release
            if not pending.done:
                gate.acquire()

    def lead(self) -> bool:
        """Begins to read for all; False when somebody does already."""
        if not self._reading.acquire(False):
            return False
        self._reader = get_ident()
        self._watch.disarm()
        return True

    def step_down(self) -> None:
        """Lets another read."""
        self._reader = 0
        self._reading.release()
        if not self.closed:
            self._watch.arm()

    def receive(self) -> None:
        """Reads once, waiting for it, and passes on what came. For who leads."""
        try:
            chunk = os.read(self.fd, _CHUNK)
        except OSError:
            chunk = b""
        if not chunk:
            return self._end()
        if b"\n" not in chunk:
            return self._parts.append(chunk)
        *lines, rest = b"".join([*self._parts, chunk]).split(b"\n")
        self._parts = [rest] if rest else []
        for line in lines:
            self._dispatch(line)

    def _receive_now(self) -> None:
        """Reads what is there in the thread of the watch, unless another has come first."""
        if not self.closed and self.lead():
            try:
                if self._readable.poll(0):
                    self.receive()
            finally:
                self.step_down()

    def _dispatch(self, line: bytes) -> None:
        try:
            message = _frames.read(line)
        except WireError as error:
            return self.fail(None, error)
        if isinstance(message, Response):
            pending = self._pending.pop(message.id, None)
            if pending:
                pending.settle(message.result, message.error)
        elif message.method in ("execute", "initialize"):
            self._requests.append(message)
            self._wake_idle()
        elif not self._serve(message):
            self.fail(message.id, WireError(_frames.METHOD, f'A worker has no method "{message.method}".'))

    # Ending

    def forget(self, error: QueueError) -> None:
        """Ends the wait of whoever waits for an answer."""
        while self._pending:
            self._pending.popitem()[1].settle(None, error)

    def _end(self) -> None:
        self.closed = True
        self._watch.disarm()
        if self.busy:
            self._gone()
        self.forget(QueueError("CONTEXT_MISSING", "The host is gone."))
        self._wake_idle()

    def _wake_idle(self) -> None:
        idle, self._idle = self._idle, None
        if idle:
            idle.settle()

    def _forked(self) -> None:
        """In a process that was forked by a handler: the channel is its parent's, and must end with that."""
        if not self.closed:
            self.closed = True
            os.close(self.fd)
            self._watch.close()
