"""The child: loads one worker, then runs its jobs until the host is gone."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections import deque
from typing import Any, Callable, Optional, Union

from . import _wire, values
from ._channel import Channel, Pending
from ._load import Loaded, load
from ._wire import WireError, to_wire
from .aio import AsyncRunContext
from .context import RunContext
from .errors import Deferral, QueueError
from .job import Job

PROTOCOL = 1
#: Room for any error.
_MIN_MESSAGE = 4096

Context = Union[RunContext, AsyncRunContext]


class Execution:
    """One job, and what its context calls."""

    def __init__(self, channel: Channel, id_: Any) -> None:
        self.id = id_
        self.ended = False
        self._channel = channel

    def ask(self, method: str, params: dict[str, Any]) -> Any:
        self._check(method)
        pending = self._channel.ask(method, {"execution": self.id, **params})
        if not self._channel.wait(lambda: pending.done):
            self._channel.host_gone()
        return outcome(pending)

    def notify(self, method: str, params: dict[str, Any]) -> None:
        self._check(method)
        self._channel.notify(method, {"execution": self.id, **params})

    def _check(self, method: str) -> None:
        if self.ended:
            message = f'"{method}" came after its job had ended. Wait for what a handler starts.'
            raise QueueError("RUN_ENDED", message)


def outcome(pending: Pending) -> Any:
    if pending.error:
        raise pending.error
    return pending.result


class Server:
    def __init__(self, sock: socket.socket) -> None:
        self.channel = Channel(sock, self.serve)
        self._queue: deque[dict[str, Any]] = deque()
        self._worker: Optional[Loaded] = None
        self._running: Optional[tuple[Any, Context]] = None
        #: Runs code in the thread of the handler, where that is an event loop.
        self.call_soon: Callable[..., Any] = lambda fn, *args: fn(*args)
        self._loop: Any = None

    def run(self) -> None:
        while self.channel.wait(lambda: bool(self._queue)):
            message = self._queue.popleft()
            id_, params = message.get("id"), message.get("params", {})
            carry_out = self._initialize if message["method"] == "initialize" else self._execute
            try:
                result = carry_out(id_, params)
            except BaseException as error:  # Whatever a handler raises is the end of its attempt only.
                self._flush()
                self.channel.answer(id_, error=to_wire(error))
            else:
                self._flush()
                self.channel.answer(id_, result=result)

    def serve(self, message: dict[str, Any]) -> None:
        """What the host asks; called by whichever thread reads."""
        method, id_, params = message["method"], message.get("id"), message.get("params", {})
        if method in ("initialize", "execute"):
            self._queue.append(message)
        elif method == "cancel":
            running = self._running
            reason = params.get("reason")
            if running and running[0] == params.get("execution") and isinstance(reason, dict):
                error = QueueError(str(reason.get("code")), str(reason.get("message")))
                self.call_soon(running[1].cancel, error)
        elif id_ is not None:
            if method == "ping":
                self.channel.answer(id_, result={})
            else:
                text = f'A worker has no method "{method}".'
                self.channel.answer(id_, error={"code": _wire.METHOD, "message": text})

    def _initialize(self, _id: Any, params: dict[str, Any]) -> dict[str, Any]:
        if params.get("protocol") != PROTOCOL:
            text = f"This speaks version {PROTOCOL} of the protocol, not {params.get('protocol')}."
            raise WireError(_wire.VERSION, text)
        worker, limit = params.get("worker"), params.get("maxMessage")
        if not isinstance(worker, dict) or not isinstance(worker.get("file"), str):
            raise WireError(_wire.PARAMS, '"initialize" needs worker.file.')
        if not isinstance(limit, (int, float)) or limit < _MIN_MESSAGE:
            raise WireError(_wire.PARAMS, f'"initialize" needs a maxMessage of {_MIN_MESSAGE} or more.')
        self.channel.max_message = limit
        self._worker = load(worker["file"], str(worker.get("id")))
        version = ".".join(map(str, sys.version_info[:3]))
        runtime = {"name": "python", "version": version}
        return {"protocol": PROTOCOL, "runtime": runtime, "capabilities": {"heartbeat": True}}

    def _execute(self, id_: Any, params: dict[str, Any]) -> dict[str, Any]:
        if self._worker is None:
            raise WireError(_wire.INVALID, 'Send "initialize" first.')
        if not isinstance(params.get("job"), dict):
            raise WireError(_wire.PARAMS, '"execute" needs a job.')
        try:
            job = Job(params["job"])
        except KeyError as error:
            raise WireError(_wire.PARAMS, f'The job has no "{error.args[0]}".') from None
        execution = Execution(self.channel, id_)
        self.channel.begin()
        try:
            value = self._handle(self._worker, execution, job, params.get("claim", 1))
        finally:
            execution.ended = True
            self._running = None
            self.channel.end()
        result = {"defer": value.wire} if isinstance(value, Deferral) else {"value": value}
        return {**result, **_usage()}

    def _handle(self, worker: Loaded, execution: Execution, job: Job, claim: int) -> Any:
        if worker.is_async:
            if self._loop is None:
                from ._loop import Loop

                self._loop = Loop(self)
            return self._loop.run(worker.handler, execution, job, claim)
        ctx = RunContext(job, execution, claim)
        self.running(execution, ctx)
        return worker.handler(job, ctx)

    def running(self, execution: Execution, ctx: Context) -> None:
        self._running = (execution.id, ctx)

    def context(self) -> Optional[Context]:
        return self._running[1] if self._running else None

    @staticmethod
    def _flush() -> None:
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (OSError, ValueError):
                pass  # Closed by the handler.


try:
    import resource

    def _usage() -> dict[str, Any]:
        used = resource.getrusage(resource.RUSAGE_SELF)
        # Kilobytes, but for macOS.
        size = used.ru_maxrss if sys.platform == "darwin" else used.ru_maxrss * 1024
        return {"usage": {"maxRss": size, "cpu": round((used.ru_utime + used.ru_stime) * 1000, 1)}}

except ImportError:  # Windows.

    def _usage() -> dict[str, Any]:
        return {}


def main() -> None:
    channel = socket.socket(fileno=int(os.environ.pop("NUXT_QUEUE_FD", "3")))
    # What the handler starts has no business with the channel.
    os.set_inheritable(channel.fileno(), False)
    channel.setblocking(True)
    # The host decides, also when somebody presses Ctrl-C.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)  # type: ignore[union-attr]
    server = Server(channel)
    from ._logging import bridge

    bridge(server.context)
    server.run()
