"""A process that forks a child for each job, so that the interpreter and the SDK start only once."""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys

from . import _serve
from ._frames import UNLOADABLE, WireError
from ._load import Loaded, load

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn


#: What children need beyond the imports of this module. Imported before the first fork, it is shared by all of them.
_SHARED = ("nuxt_queue._loop", "nuxt_queue.aio", "nuxt_queue.context")


class ForkServer:
    """Forks children on request of the host, and reports how they end.

    Args:
        fd: The socket to the host.
        loaded: The worker of the children, or the error that loading it raised. None if each child loads it itself.
    """

    def __init__(self, fd: int, loaded: Loaded | WireError | None) -> None:
        self._fd = fd
        self._loaded = loaded
        self._children: set[int] = set()
        self._rest = b""
        # A signal writes a byte, which ends the wait for requests.
        self._woken, self._wakes = os.pipe()
        os.set_blocking(self._wakes, False)
        os.set_blocking(self._woken, False)
        signal.signal(signal.SIGCHLD, _ignore)
        signal.set_wakeup_fd(self._wakes, warn_on_full_buffer=False)

    def run(self) -> None:
        """Handles requests until the host disconnects."""
        poller = select.poll()
        poller.register(self._fd, select.POLLIN)
        poller.register(self._woken, select.POLLIN)
        # The garbage collector of a child would write to all objects, and so copy their memory.
        gc.collect()
        gc.freeze()
        while True:
            for fd, _ in poller.poll():
                if fd == self._woken:
                    self._reap()
                elif not self._receive():
                    return

    def _receive(self) -> bool:
        chunk = os.read(self._fd, 65536)
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            self._fork(json.loads(line))
        return chunk != b""

    def _fork(self, request: dict[str, object]) -> None:
        pid = os.fork()
        if pid == 0:
            try:
                self._become_child(str(request["path"]), str(request["token"]))
            except BaseException as error:
                # The frames below are those of the fork server.
                sys.excepthook(type(error), error, error.__traceback__)
                sys.stderr.flush()
                os._exit(1)
            _end()
        self._children.add(pid)
        self._send({"forked": request["fork"], "pid": pid})

    def _become_child(self, path: str, token: str) -> None:
        # The host ends a child together with its descendants, which are its group.
        os.setsid()
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for fd in (self._fd, self._woken, self._wakes):
            os.close(fd)
        channel, out, err = (_connect(path, token, number) for number in range(3))
        os.dup2(out, 1)
        os.dup2(err, 2)
        os.close(out)
        os.close(err)
        _serve.serve(channel, self._loaded)

    def _reap(self) -> None:
        try:
            while os.read(self._woken, 4096):
                pass
        except BlockingIOError:
            pass
        for pid in list(self._children):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                self._children.discard(pid)
                self._send({"exited": pid, **_exit_of(status)})

    def _send(self, message: dict[str, object]) -> None:
        data = f"{json.dumps(message)}\n".encode()
        try:
            while data:
                data = data[os.write(self._fd, data) :]
        except OSError:
            # The host has gone, and its supervisor ends the children.
            os._exit(0)


def _end() -> NoReturn:
    """Ends a child as `multiprocessing` ends its forks. Destroying all modules would copy their memory, which takes longer than a job."""
    threading = sys.modules.get("threading")
    if threading is not None:
        threading._shutdown()
    # No public function does this without destroying the modules.
    atexit._run_exitfuncs()  # pyright: ignore[reportPrivateUsage]
    _serve.flush()
    os._exit(0)


def _ignore(_signal: int, _frame: object) -> None:
    """Handles a signal that only has to end a wait."""


def _connect(path: str, token: str, number: int) -> int:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.connect(path)
    connection.sendall(f"{token}{number}\n".encode())
    return connection.detach()


def _exit_of(status: int) -> dict[str, object]:
    if os.WIFSIGNALED(status):
        return {"code": None, "signal": signal.Signals(os.WTERMSIG(status)).name}
    return {"code": os.WEXITSTATUS(status), "signal": None}


def _load_once(file: str, worker: str) -> Loaded | WireError:
    """Loads the worker of all children. Returns an error instead, which each child then reports."""
    try:
        loaded = load(file, worker)
    except WireError as error:
        return error
    count = _threads()
    if count == 1:
        return loaded
    text = (
        f"{file} starts {count - 1} thread(s) while it is loaded, and a fork would lose them. "
        "Start them in the handler, or set `prefork` to True, so that each process loads the file itself."
    )
    return WireError(UNLOADABLE, text, {"code": "WORKER_INVALID", "name": "QueueError", "stack": text})


def _threads() -> int:
    try:
        return len(os.listdir("/proc/self/task"))
    except OSError:
        threading = sys.modules.get("threading")
        return 1 if threading is None else threading.active_count()


def main(arguments: list[str]) -> None:
    """Serves the host on the descriptor that ``NUXT_QUEUE_FD`` names. The arguments are the file and the id of a worker, or none."""
    fd = _serve.prepare()
    for name in _SHARED:
        importlib.import_module(name)
    ForkServer(fd, _load_once(*arguments) if arguments else None).run()
