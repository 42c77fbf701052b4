"""The socket to the host: who reads it, and who waits for what comes."""

from __future__ import annotations

import os
import socket
import threading
from typing import Any, Callable, Optional

from . import values
from ._wire import INVALID, PARSE, TOO_LARGE, from_wire
from .errors import QueueError

_CHUNK = 65536
#: So long a handler runs before the watcher reads in its place, in seconds.
_TICK = 0.01
#: So long the watcher waits for a message before it looks whether it is still wanted, in seconds.
_PATIENCE = 0.05
#: So many ticks without a job, and the watcher sleeps until the next one.
_IDLE_TICKS = 100


class Pending:
    """An answer to come. ``wake`` tells whoever waits in a way of his own."""

    __slots__ = ("done", "error", "result", "wake")

    def __init__(self, wake: Optional[Callable[[], None]] = None) -> None:
        self.done = False
        self.result: Any = None
        self.error: Optional[QueueError] = None
        self.wake = wake


class Channel:
    """Whoever waits for something reads for all: an answer costs no switch of threads.

    Only while a handler computes or sleeps nobody waits. A watcher thread then reads, so that the host can
    cancel it and hear that it lives.
    """

    def __init__(self, sock: socket.socket, serve: Callable[[dict[str, Any]], None]) -> None:
        self._sock = sock
        self._serve = serve
        self._parts: list[bytes] = []
        self._last_id = 0
        self._pending: dict[Any, Pending] = {}
        self._sending = threading.Lock()
        self._state = threading.Condition(threading.Lock())
        self._led = False
        self._receiving = threading.Lock()
        self._watcher: Optional[threading.Thread] = None
        self._asleep = threading.Semaphore(0)
        self._sleeping = False
        #: Counts executions; odd while one runs.
        self.epoch = 0
        #: True while an event loop reads.
        self.looped = False
        self.max_message = float("inf")

    # Speaking

    def send(self, message: dict[str, Any]) -> None:
        """Raises QueueError for what cannot be written, or is too large."""
        line = values.dumps(message).encode("ascii")
        if len(line) >= self.max_message:
            text = f"A message of {len(line)} bytes is too large: the host takes {self.max_message}."
            raise QueueError("PAYLOAD_TOO_LARGE", text)
        self.send_line(line)

    def send_line(self, line: bytes) -> None:
        try:
            with self._sending:
                self._sock.sendall(line + b"\n")
        except OSError:
            self.host_gone()

    def answer(self, id_: Any, **members: Any) -> None:
        """Answers a request; what cannot be said becomes an error that can."""
        try:
            self.send({"jsonrpc": "2.0", "id": id_, **members})
        except QueueError as error:
            from ._wire import to_wire

            wire = to_wire(error)
            if error.code == "PAYLOAD_TOO_LARGE":
                wire = {"code": TOO_LARGE, "message": str(error), "data": {"code": error.code}}
            self.send_line(values.dumps({"jsonrpc": "2.0", "id": id_, "error": wire}).encode("ascii"))

    def ask(self, method: str, params: dict[str, Any], wake: Optional[Callable[[], None]] = None) -> Pending:
        pending = Pending(wake)
        with self._state:
            self._last_id += 1
            id_ = self._last_id
            self._pending[id_] = pending
        try:
            self.send({"jsonrpc": "2.0", "id": id_, "method": method, "params": params})
        except QueueError:
            self._pending.pop(id_, None)
            raise
        return pending

    def notify(self, method: str, params: dict[str, Any]) -> None:
        self.send({"jsonrpc": "2.0", "method": method, "params": params})

    # Hearing

    def wait(self, ready: Callable[[], bool]) -> bool:
        """Waits until something holds, and reads meanwhile unless somebody does. False when the host is gone."""
        with self._state:
            while not ready():
                if not self._led:
                    self._led = True
                    break
                self._state.wait()
            else:
                return True
        try:
            while not ready():
                if not self.receive():
                    return False
            return True
        finally:
            self._step_down()

    def _step_down(self) -> None:
        with self._state:
            self._led = False
            self._state.notify_all()

    def receive(self, flags: int = 0) -> bool:
        """Reads once and passes on what came. False when the host is gone."""
        with self._receiving:
            chunk = self._sock.recv(_CHUNK, flags)
            if not chunk:
                return False
            self._parts.append(chunk)
            if b"\n" not in chunk:
                return True
            *lines, rest = b"".join(self._parts).split(b"\n")
            self._parts = [rest] if rest else []
        for line in lines:
            self._dispatch(line)
        with self._state:
            self._state.notify_all()
        return True

    def _dispatch(self, line: bytes) -> None:
        try:
            message = values.loads(line)
        except (ValueError, RecursionError):
            return self._complain(PARSE, "A line that is not JSON came.")
        if not isinstance(message, dict) or message.get("jsonrpc") != "2.0":
            return self._complain(INVALID, "A line that is no JSON-RPC 2.0 message came.")
        if isinstance(message.get("method"), str):
            id_ = message.get("id")
            if isinstance(id_, (dict, list)) or not isinstance(message.get("params", {}), dict):
                return self._complain(INVALID, "A request with wrong params or id came.")
            return self._serve(message)
        id_ = message.get("id")
        pending = self._pending.pop(id_, None) if isinstance(id_, (int, str)) else None
        if pending is None:
            return
        if "error" in message:
            pending.error = from_wire(message["error"])
        else:
            pending.result = message.get("result")
        pending.done = True
        if pending.wake:
            pending.wake()

    def _complain(self, number: int, text: str) -> None:
        self.answer(None, error={"code": number, "message": text})

    def fileno(self) -> int:
        return self._sock.fileno()

    @staticmethod
    def host_gone() -> None:
        """Without a host there is nobody to tell anything: not a result, not an error."""
        os._exit(0)

    # Watching

    def begin(self) -> None:
        """An execution begins: should it take long, somebody has to read."""
        self.epoch += 1
        if self._watcher is None:
            self._watcher = threading.Thread(target=self._watch, name="nuxt-queue", daemon=True)
            self._watcher.start()
        elif self._sleeping:
            self._sleeping = False
            self._asleep.release()

    def end(self) -> None:
        self.epoch += 1

    def _watch(self) -> None:
        import time

        idle = 0
        readable = False
        while True:
            before = self.epoch
            time.sleep(_TICK)
            if self.epoch != before:
                idle = 0
                continue
            if before % 2 == 0:
                idle += 1
                if idle > _IDLE_TICKS:
                    self._sleeping = True
                    if self.epoch == before:
                        self._asleep.acquire()
                    self._sleeping = False
                    idle = 0
                continue
            if self.looped:
                # What the loop has not read since the last look it will not read before its handler lets it.
                waiting = self._readable(0)
                if waiting and readable:
                    self._receive_now()
                readable = waiting
            elif self._lead():
                while self.epoch == before and not self.looped:
                    if self._readable(_PATIENCE):
                        self._receive_now()
                self._step_down()

    def _readable(self, timeout: float) -> bool:
        import select

        return bool(select.select([self._sock], [], [], timeout)[0])

    def _lead(self) -> bool:
        with self._state:
            if self._led:
                return False
            self._led = True
            return True

    def _receive_now(self) -> None:
        """Reads what is there; never waits, since others may have to."""
        try:
            if not self.receive(socket.MSG_DONTWAIT):
                self.host_gone()
        except BlockingIOError:
            pass
