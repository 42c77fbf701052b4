"""Sends a hundred thousand almost valid lines. The child must respond to or ignore each one, and must not hang or exit."""

from __future__ import annotations

import copy
import json
import random
import socket
import sys
import threading

import pytest
from host import PATIENCE, WORKERS, job
from nuxt_queue._serve import Server

LINES = 100_000
SEED = 20260131

VALUES = [None, True, 0, -1, 2.5, 1e308, 2**70, "", "x", "\ud83d", [], {}, [[]], {"$date": "no"}, {"$bytes": "?"}, {"$object": 1}]
KEYS = ["id", "method", "params", "result", "error", "jsonrpc", "job", "data", "execution", "reason", "code", "$date"]
TEMPLATES = [
    {"jsonrpc": "2.0", "id": 5, "method": "execute", "params": job({"n": 1})},
    {"jsonrpc": "2.0", "method": "cancel", "params": {"execution": 5, "reason": {"code": "JOB_TIMEOUT", "message": "late"}}},
    {"jsonrpc": "2.0", "id": 6, "method": "ping"},
    {"jsonrpc": "2.0", "id": 1, "result": {"value": 1, "token": 2}},
    {"jsonrpc": "2.0", "id": 1, "error": {"code": -32000, "message": "no", "data": {"code": "RUN_ENDED"}}},
    {"jsonrpc": "2.0", "id": 7, "method": "initialize", "params": {"protocol": 2, "worker": {"id": "w"}}},
]


def mutate(random_: random.Random) -> bytes:
    """Returns a line of the protocol with a missing, unknown or invalid member, or with invalid bytes."""
    message = json.loads(json.dumps(random_.choice(TEMPLATES)))
    for _ in range(random_.randrange(3)):
        target = message
        while random_.random() < 0.6 and (inner := [one for one in target.values() if isinstance(one, dict)]):
            target = random_.choice(inner)
        key = random_.choice([*target, random_.choice(KEYS)])
        if random_.random() < 0.3:
            target.pop(key, None)
        else:
            target[key] = copy.deepcopy(random_.choice(VALUES))
    line = bytearray(json.dumps(message).encode())
    for _ in range(random_.choice([0, 0, 0, 1, 4])):
        at = random_.randrange(len(line))
        kind = random_.randrange(3)
        if kind == 0:
            line[at] = random_.randrange(256)
        elif kind == 1:
            del line[at : at + random_.randrange(20)]
        else:
            line[at:at] = line[: random_.randrange(len(line))]
        if not line:
            break
    return bytes(line) + b"\n"


class Line:
    """A child in a thread of this process."""

    def __init__(self) -> None:
        self.socket, ours = socket.socketpair()
        self.socket.settimeout(PATIENCE)
        self.lines = self.socket.makefile("rb")
        self.server = Server(ours.detach(), lambda: None)
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.thread.start()


@pytest.fixture
def child(monkeypatch):
    monkeypatch.setattr(sys, "argv", sys.argv[:])
    monkeypatch.setattr(sys, "path", sys.path[:])
    line = Line()
    params = {"protocol": 1, "worker": {"id": "nothing", "file": str(WORKERS / "nothing.py")}, "maxMessage": 1 << 20}
    line.socket.sendall(json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}).encode() + b"\n")
    assert "result" in json.loads(line.lines.readline())
    yield line
    line.lines.close()
    line.socket.close()
    line.thread.join(PATIENCE)
    assert not line.thread.is_alive(), "the child did not exit after its host"


def test_no_line_hangs_or_ends_the_child(child):
    random_ = random.Random(SEED)
    counts = {"result": 0, "error": 0}
    for batch in range(LINES // 1000):
        lines = [mutate(random_) for _ in range(1000)]
        fence = f"fence-{batch}"
        # The job after these lines must receive a response.
        lines.append(json.dumps({"jsonrpc": "2.0", "id": fence, "method": "execute", "params": job()}).encode() + b"\n")
        sender = threading.Thread(target=child.socket.sendall, args=(b"".join(lines),))
        sender.start()
        while True:
            answer = json.loads(child.lines.readline())
            assert answer["jsonrpc"] == "2.0" and ("result" in answer) != ("error" in answer)
            assert "error" not in answer or answer["error"]["code"] in (-32700, -32600, -32601, -32602, -32005, -32000)
            counts["result" if "result" in answer else "error"] += 1
            if answer["id"] == fence:
                break
        sender.join()
    # The mutations are useful only if the child accepts many lines and refuses many lines.
    assert min(counts.values()) > LINES // 10, counts
