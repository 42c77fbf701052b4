"""The socket to the host, and the threads that read it and wait for messages."""

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


def _as_response(unsent: QueueError) -> Exception:
    if unsent.code != "PAYLOAD_TOO_LARGE":
        return unsent
    return WireError(_frames.TOO_LARGE, str(unsent), {"name": unsent.name, "code": unsent.code})


class Channel:
    """A thread that waits for a response reads for all threads, so a response causes no thread switch.

    While a handler computes or sleeps, no thread waits. The watch is armed then, and its thread reads, so that the host
    can cancel the handler and receives heartbeats. The reading thread holds ``_reading``. When it releases the lock it
    arms the watch, so at any time either a thread or the watch reads::

        watch armed ── start_reading() ──> a thread reads ── stop_reading() ──> watch armed
             └── a message arrives ──> the thread of the watch reads once ──────────^

    Args:
        fd: A stream socket.
        serve: Handles requests that need an immediate response. Runs on the reading thread. Returns False for an unknown
            method.
        gone: Called when the host has disconnected while a handler runs or a message is sent.
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
        self._chunks: list[bytes] = []
        self._requests: deque[Request] = deque()
        self._idle: Pending | None = None
        self._last_id = 0
        self._pending: dict[object, Pending] = {}
        self._ids = allocate_lock()
        self._outbox: deque[bytes] = deque()
        self._sending = allocate_lock()
        self._reading = allocate_lock()
        self._reader = 0
        self._keeps_reading = False
        self._readable = select.poll()
        self._readable.register(fd, select.POLLIN)
        self._watch = Watch(fd, self._receive_now)
        self._watch.start()
        os.register_at_fork(after_in_child=self._forked)

    # Sending

    def send(self, line: str) -> None:
        """Sends a line. Raises QueueError ``PAYLOAD_TOO_LARGE``."""
        if len(line) > self.max_message:
            text = f"A message of {len(line)} bytes is too large. The host accepts {self.max_message:.0f} bytes."
            raise QueueError("PAYLOAD_TOO_LARGE", text)
        # A finalizer may log while this same thread is sending. Its line then waits in the outbox, like the lines of
        # other threads. Waiting for the lock would be a deadlock.
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

    def respond(self, id_: object, result: str) -> None:
        """Sends a result, which is already JSON, or the error if it cannot be sent."""
        try:
            self.send(_frames.result(id_, result))
        except QueueError as unsent:
            self.fail(id_, _as_response(unsent))

    def fail(self, id_: object, error: BaseException) -> None:
        """Sends an error response, or a shorter one if the error is too large."""
        if id_ is NOTIFICATION:
            return
        try:
            self.send(_frames.failure(id_, to_wire(error)))
        except QueueError as unsent:
            self.send(_frames.failure(id_, to_wire(_as_response(unsent))))

    def ask(self, method: str, params: dict[str, object], wake: Callable[[], object] | None = None) -> Pending:
        """Sends a request. Raises QueueError for unsupported or too large parameters."""
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
        """Sends a notification. Raises QueueError for unsupported or too large parameters."""
        self._check()
        self.send(_frames.request(method, params))

    def _check(self) -> None:
        if self.closed:
            raise QueueError("CONTEXT_MISSING", "The host is not available: it has disconnected, or this process is a fork.")

    # Receiving

    def next_request(self) -> Request | None:
        """Waits for the next ``initialize`` or ``execute`` request. Returns None when the host has disconnected."""
        while not self._requests:
            if self.closed:
                return None
            if self._keeps_reading:
                self.receive()
                continue
            # Registered before the second check, so that a request that arrives in between settles it.
            pending = self._idle = Pending()
            if not self._requests and not self.closed:
                self.wait(pending)
        return self._requests.popleft()

    def begin(self) -> None:
        """Starts to handle a request. Other threads may read from now on."""
        self.busy = True
        if self._keeps_reading:
            self._keeps_reading = False
            self.stop_reading()

    def finish(self) -> None:
        """Ends a request. Starts reading before the response is sent, so that the next message does not wake the watch."""
        self.busy = False
        self._keeps_reading = self.start_reading()

    def call(self, method: str, params: dict[str, object]) -> Any:
        """Sends a request and waits for its result. Raises QueueError."""
        if not self.start_reading():
            pending = self.ask(method, params)
            self.wait(pending)
            return pending.outcome()
        try:
            pending = self.ask(method, params)
            while not pending.done:
                self.receive()
        finally:
            self.stop_reading()
        return pending.outcome()

    def wait(self, pending: Pending) -> None:
        """Waits for a result. Reads for all threads in the meantime, unless another thread reads."""
        if self._reader == get_ident():
            text = "A signal handler called the context during another call. Set a flag in the signal handler instead."
            raise QueueError("CONTEXT_MISSING", text)
        if self.start_reading():
            try:
                while not pending.done:
                    self.receive()
            finally:
                self.stop_reading()
        else:
            gate = allocate_lock()
            gate.acquire()
            pending.wake = gate.release
            if not pending.done:
                gate.acquire()

    def start_reading(self) -> bool:
        """Makes this thread the reader. Returns False if another thread reads already."""
        if not self._reading.acquire(False):
            return False
        self._reader = get_ident()
        self._watch.disarm()
        return True

    def stop_reading(self) -> None:
        """Lets another thread or the watch read."""
        self._reader = 0
        self._reading.release()
        if not self.closed:
            self._watch.arm()

    def receive(self) -> None:
        """Waits for data, reads once and dispatches the messages. Only the reader may call it."""
        try:
            chunk = os.read(self.fd, _CHUNK)
        except OSError:
            chunk = b""
        if not chunk:
            return self._end()
        if b"\n" not in chunk:
            return self._chunks.append(chunk)
        *lines, rest = b"".join([*self._chunks, chunk]).split(b"\n")
        self._chunks = [rest] if rest else []
        for line in lines:
            self._dispatch(line)

    def _receive_now(self) -> None:
        """Reads available data on the thread of the watch, unless another thread was faster."""
        if not self.closed and self.start_reading():
            try:
                if self._readable.poll(0):
                    self.receive()
            finally:
                self.stop_reading()

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
            self.fail(message.id, WireError(_frames.METHOD, f'Method "{message.method}" is unknown to a worker.'))

    # Ending

    def fail_pending(self, error: QueueError) -> None:
        """Fails all requests that wait for a response."""
        while self._pending:
            self._pending.popitem()[1].settle(None, error)

    def _end(self) -> None:
        self.closed = True
        self._watch.disarm()
        if self.busy:
            self._gone()
        self.fail_pending(QueueError("CONTEXT_MISSING", "The host has disconnected."))
        self._wake_idle()

    def _wake_idle(self) -> None:
        idle, self._idle = self._idle, None
        if idle:
            idle.settle()

    def _forked(self) -> None:
        """Closes the channel in a process that a handler forked, because it belongs to the parent process."""
        if not self.closed:
            self.closed = True
            os.close(self.fd)
            self._watch.close()
