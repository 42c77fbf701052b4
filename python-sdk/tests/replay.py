"""Replays the conversations of the protocol against a real child. Also a script: needs no pytest."""

from __future__ import annotations

import json
from typing import Any

from host import FIXTURES, WORKERS, Host

CONVERSATIONS = [json.loads(line) for line in (FIXTURES / "protocol.jsonl").read_text("utf-8").splitlines()]


def matches(said: Any, expected: Any) -> bool:
    """Whether a frame is as expected: `"*"` is any value, a member that is `"*?"` may be absent."""
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
    """Plays the host, and holds the child to its part."""
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
        assert host.process.wait(20) == 0, "the child did not end with its host"


if __name__ == "__main__":
    for one in CONVERSATIONS:
        replay(one)
        print("ok", one["name"])
