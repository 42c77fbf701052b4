"""Replays recorded conversations of the protocol to a real child. Also runs as a script, without pytest."""

from __future__ import annotations

import json
from typing import Any

from host import FIXTURES, WORKERS, Host

CONVERSATIONS = [json.loads(line) for line in (FIXTURES / "protocol.jsonl").read_text("utf-8").splitlines()]


def matches(said: Any, expected: Any) -> bool:
    """Returns whether a frame matches. `"*"` matches any value, and a member with the value `"*?"` may be absent."""
    if expected in ("*", "*?"):
        return True
    if isinstance(expected, dict):
        return (
            isinstance(said, dict)
            and said.keys() <= expected.keys()
            and all(matches(said[key], wanted) if key in said else wanted == "*?" for key, wanted in expected.items())
        )
    if isinstance(expected, list):
        return isinstance(said, list) and len(said) == len(expected) and all(map(matches, said, expected))
    return type(said) is type(expected) and said == expected


def replay(conversation: dict[str, Any]) -> None:
    """Sends the messages of the host, and compares the messages of the child."""
    file = str(WORKERS / f"{conversation['worker']}.py")
    with Host() as host:
        for speaker, frame in conversation["frames"]:
            if speaker == "host":
                if isinstance(frame, dict) and frame.get("method") == "initialize":
                    frame["params"]["worker"]["file"] = file
                host.send(frame)
            else:
                said = host.receive()
                assert matches(said, frame), f"{conversation['name']}: expected {frame}, got {said}"
        host.close()
        assert host.process.wait(20) == 0, "the child did not exit after its host"


if __name__ == "__main__":
    for one in CONVERSATIONS:
        replay(one)
        print("ok", one["name"])
