"""The child process. It loads one worker and runs its jobs until the host disconnects."""

from __future__ import annotations

import os
import signal
import sys

from . import _frames, _logging
from ._channel import Channel
from ._execution import ENDED, Execution
from ._frames import Request, WireError
from ._load import Loaded, load
from ._trace import attach
from .context import RunContext
from .errors import QueueError
from .job import Deferral, Job
from .suspension import is_suspension
from .values import dumps, is_object

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ._loop import Loop
    from .aio import AsyncRunContext

PROTOCOL = 1
#: The smallest allowed `maxMessage`. It leaves room for an error that reports a message as too large.
MIN_MESSAGE = 4096

_RESULT = ("result", "value")


class Server:
    """Handles the requests of the host.

    Args:
        fd: The socket to the host.
        gone: Called when the host has disconnected while it is still needed.
        loaded: The worker, or the error that loading it raised, if it was loaded before this process was forked.
    """

    def __init__(self, fd: int, gone: Callable[[], None], loaded: Loaded | WireError | None = None) -> None:
        self.channel = Channel(fd, self._serve, gone)
        self._loaded = loaded
        self._worker: Loaded | None = None
        self._running: tuple[Execution, RunContext | AsyncRunContext] | None = None
        self._loop: Loop | None = None

    def run(self) -> None:
        """Handles one request after another until the host disconnects."""
        while True:
            request = self.channel.next_request()
            if request is None:
                return
            handle = self._execute if request.method == "execute" else self._initialize
            try:
                if not is_object(request.params):
                    raise WireError(_frames.PARAMS, f'The params of "{request.method}" must be an object.')
                result = handle(request.id, request.params)
            except BaseException as error:  # an exception of a handler ends only its attempt
                flush()
                self.channel.fail(request.id, error)
            else:
                flush()
                self.channel.respond(request.id, result)

    def context(self) -> RunContext | AsyncRunContext | None:
        """Returns the context of the running job."""
        return self._running[1] if self._running and not self.channel.closed else None

    def _serve(self, request: Request) -> bool:
        if request.method == "cancel":
            self._cancel(request.params)
        elif request.method != "ping":
            return False
        if request.id is not _frames.NOTIFICATION:
            self.channel.respond(request.id, "{}")
        return True

    def _cancel(self, params: object) -> None:
        running = self._running
        if running and is_object(params) and running[0].id == params.get("execution"):
            reason = params.get("reason")
            facts = reason if is_object(reason) else {}
            code, message = facts.get("code", "JOB_CANCELLED"), facts.get("message", "The job was cancelled.")
            running[1].cancel(QueueError(str(code), str(message)))

    def _initialize(self, _id: object, params: dict[str, Any]) -> str:
        if params.get("protocol") != PROTOCOL:
            text = f"This worker speaks version {PROTOCOL} of the protocol; got version {params.get('protocol')!r}."
            raise WireError(_frames.VERSION, text)
        worker, limit = params.get("worker"), params.get("maxMessage")
        if not is_object(worker) or not isinstance(worker.get("file"), str):
            raise WireError(_frames.PARAMS, '"initialize" needs the parameter "worker.file".')
        if isinstance(limit, bool) or not isinstance(limit, (int, float)) or limit < MIN_MESSAGE:
            raise WireError(_frames.PARAMS, f'"initialize" needs a "maxMessage" of {MIN_MESSAGE} or more.')
        if self._worker:
            raise WireError(_frames.INVALID, f"This child has already loaded {self._worker.file}.")
        self.channel.max_message = limit
        self.channel.begin()
        try:
            if isinstance(self._loaded, WireError):
                raise self._loaded
            self._worker = self._loaded or load(worker["file"], str(worker.get("id")))
        finally:
            self.channel.finish()
        version = ".".join(map(str, sys.version_info[:3]))
        runtime = {"name": "python", "version": version}
        return dumps({"protocol": PROTOCOL, "runtime": runtime, "capabilities": {"heartbeat": True}})

    def _execute(self, id_: object, params: dict[str, Any]) -> str:
        if self._worker is None:
            raise WireError(_frames.INVALID, 'Send "initialize" first.')
        try:
            job = Job.from_wire(params.get("job"))
        except (KeyError, TypeError) as error:
            raise WireError(_frames.PARAMS, f'The parameter "job" of "execute" is invalid: {error}.') from None
        execution = Execution(self.channel, id_)
        value = suspended = None
        detach = attach(job.headers)
        self.channel.begin()
        try:
            value = self._handle(self._worker, execution, job, params.get("claim", 1))
            self._running[1].suspension.refuse()  # type: ignore[index]
        except BaseException as raised:
            suspended = is_suspension(raised)
            if not suspended:
                raise
        finally:
            execution.ended = True
            self._running = None
            detach()
            self.channel.finish()
            self.channel.fail_pending(QueueError("RUN_ENDED", f"A call of the context {ENDED}"))
        if suspended:
            outcome = '"defer":{"suspended":true}'
        elif isinstance(value, Deferral):
            outcome = f'"defer":{dumps(value.wire)}'
        elif value is None:
            outcome = ""
        else:
            outcome = f'"value":{dumps(value, _RESULT)}'
        return "{" + ",".join(filter(None, (outcome, usage()))) + "}"

    def _handle(self, worker: Loaded, execution: Execution, job: Job[Any], claim: int) -> object:
        if worker.is_async:
            if self._loop is None:
                from ._loop import Loop

                self._loop = Loop(self.channel)
            ctx = self._loop.context(execution, job, claim)
            self._running = (execution, ctx)
            return self._loop.run(worker.handler(job, ctx))
        ctx = RunContext(job, execution, claim)
        self._running = (execution, ctx)
        value = worker.handler(job, ctx)
        if hasattr(value, "__await__"):
            raise TypeError("The handler returned an awaitable. Define it with `async def`.")
        return value


def flush() -> None:
    """Writes the output that the streams hold back."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, OSError, ValueError):
            pass  # closed or replaced by the handler


try:
    import resource

    def usage() -> str:
        """Returns the resource usage of this process as a member of a result."""
        used = resource.getrusage(resource.RUSAGE_SELF)
        size = used.ru_maxrss if sys.platform == "darwin" else used.ru_maxrss * 1024
        return f'"usage":{{"maxRss":{size},"cpu":{(used.ru_utime + used.ru_stime) * 1000:.0f}}}'

except ImportError:  # Windows

    def usage() -> str:
        """Returns nothing, because Windows does not provide the usage."""
        return ""


def _end_process() -> None:
    """Ends the process without a result, because there is no host to receive it."""
    flush()
    os._exit(0)


def prepare() -> int:
    """Prepares the process for a host. Returns the descriptor that ``NUXT_QUEUE_FD`` names, 3 by default."""
    fd = int(os.environ.pop("NUXT_QUEUE_FD", "3"))
    # Programs that the handler starts must not use the channel.
    os.set_inheritable(fd, False)
    # Ctrl-C must not end the child. The host decides when it ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)  # type: ignore[union-attr]
    return fd


def serve(fd: int, loaded: Loaded | WireError | None = None) -> None:
    """Serves the host on a socket until it disconnects."""
    server = Server(fd, _end_process, loaded)
    _logging.bridge(server.context)
    server.run()


def main() -> None:
    """Serves the host on the descriptor that ``NUXT_QUEUE_FD`` names, 3 by default."""
    serve(prepare())
