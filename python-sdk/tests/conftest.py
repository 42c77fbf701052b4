from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))
from host import HEAD, Host  # noqa: E402  after the path is set


@pytest.fixture
def worker(tmp_path: Path):
    """Returns a function that starts a child with the source of a worker."""
    hosts: list[Host] = []

    def start(source: str, *, name: str = "work", **options: object) -> Host:
        file = tmp_path / f"{name}.py"
        file.write_text(HEAD + source)
        host = Host()
        hosts.append(host)
        answer = host.initialize(file, id=name, **options)  # type: ignore[arg-type]
        assert "result" in answer, answer
        return host

    yield start
    for host in hosts:
        host.__exit__()
