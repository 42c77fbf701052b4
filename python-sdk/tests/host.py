"""The host side of the protocol, for tests."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src"
FIXTURES = ROOT.parent / "test" / "fixtures"
WORKERS = FIXTURES / "runtime" / "python"

#: Seconds that a test waits for a response.
PATIENCE = 20.0

#: Keeps the bytecode of the SDK outside of it, so that children need not compile it again.
BYTECODE = {"PYTHONPYCACHEPREFIX": str(Path(tempfile.gettempdir(), "nuxt-queue-tests-bytecode")), "PYTHONDONTWRITEBYTECODE": ""}

ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if name != "PYTHONWARNINGS"},
    "PYTHONPATH": str(SOURCE),
    **BYTECODE,
}

Frame = dict


def job(data: object = None, **members: object) -> dict[str, Any]:
    """Returns the parameters of `execute`."""
    defaults = {"id": "job-1", "queue": "q", "name": "q", "runId": "run-1", "attempt": 1, "attempts": 1, "crashes": 0}
    options = {"priority": 0, "createdAt": 1767225600000, "options": {}}
    return {"job": {**defaults, **options, "data": data, **members}, "claim": 1}


#: The first lines of each worker source.
HEAD = """
import logging, os, sys, threading, time
from nuxt_queue import QueueError, define_config, define_worker
"""


class Host:
    """Communicates with a real child."""

    def __init__(self, *, stdout: Any = subprocess.PIPE, stderr: Any = subprocess.PIPE) -> None:
        self.socket, child = socket.socketpair()
        self.socket.settimeout(PATIENCE)
        self.lines = self.socket.makefile("rb")
        self.last_id = 0
        self.process = subprocess.Popen(
            [sys.executable, "-m", "nuxt_queue", "serve"],
            env={**ENVIRONMENT, "NUXT_QUEUE_FD": str(child.fileno())},
            pass_fds=[child.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
        )
        child.close()

    def __enter__(self) -> Host:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def close(self) -> None:
        self.lines.close()
        self.socket.close()

    def send(self, message: object) -> None:
        text = message if isinstance(message, str) else json.dumps(message)
        self.socket.sendall(text.encode("utf-8") + b"\n")

    def request(self, method: str, params: object = None) -> int:
        self.last_id += 1
        self.send({"jsonrpc": "2.0", "id": self.last_id, "method": method, **({} if params is None else {"params": params})})
        return self.last_id

    def notify(self, method: str, params: object) -> None:
        self.send({"jsonrpc": "2.0", "method": method, "params": params})

    def receive(self) -> Frame:
        line = self.lines.readline()
        assert line.endswith(b"\n"), f"the child has disconnected; its last output was {line!r}"
        return json.loads(line)

    def respond(self, frame: Frame, result: object = None) -> None:
        self.send({"jsonrpc": "2.0", "id": frame["id"], "result": result})

    def initialize(self, file: Path, *, id: str = "worker", max_message: int = 5 << 20) -> Frame:
        worker = {"id": id, "file": str(file)}
        host = {"name": "nuxt-queue", "version": "0.6.0"}
        self.request("initialize", {"protocol": 1, "host": host, "worker": worker, "maxMessage": max_message})
        return self.receive()

    def start(self, data: object = None, **members: object) -> int:
        return self.request("execute", job(data, **members))

    def execute(self, data: object = None, **members: object) -> Frame:
        """Runs a job that makes no calls with a response, and returns its result. Stores log entries in `logs`."""
        id_ = self.start(data, **members)
        self.logs: list[Frame] = []
        while True:
            frame = self.receive()
            if frame.get("id") == id_ and "method" not in frame:
                return frame
            self.logs.append(frame["params"])

    def cancel(self, execution: int, code: str = "JOB_CANCELLED") -> None:
        self.notify("cancel", {"execution": execution, "reason": {"code": code, "message": f"told: {code}"}})
