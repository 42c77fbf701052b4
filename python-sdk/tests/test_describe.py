from __future__ import annotations

import json
import os
from pathlib import Path

from test_cli import call

HANGS = """
import os, time
from pathlib import Path
Path(__file__).with_suffix(".pid").write_text(str(os.getpid()))
time.sleep(60)
"""
FINE = "from nuxt_queue import define_worker\n\n@define_worker(concurrency=3)\ndef fine(job, ctx): ...\n"


def test_a_file_that_hangs_is_killed_and_does_not_stop_others(tmp_path: Path) -> None:
    files = [tmp_path / f"{name}.py" for name in ("a", "b", "c", "d")]
    for file in files:
        file.write_text(HANGS if file.stem in "ac" else FINE)
    done = call("describe", "--timeout", "6.5", *(file.name for file in files), cwd=tmp_path)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    # A file that hangs does not delay the others.
    assert {line["file"] for line in lines[:2]} == {"b.py", "d.py"}
    lines.sort(key=lambda line: line["file"])
    assert [line["file"] for line in lines] == ["a.py", "b.py", "c.py", "d.py"]
    assert [line.get("config") for line in lines] == [None, {"concurrency": 3}, None, {"concurrency": 3}]
    assert [line["error"]["message"][:42] for line in lines if "error" in line] == [
        "It has not finished loading within 6.5 s. "
    ] * 2
    assert done.returncode == 1
    for name in "ac":
        assert not os.path.exists(f"/proc/{(tmp_path / name).with_suffix('.pid').read_text()}")


def test_describe_accepts_more_files_than_run_at_once(tmp_path: Path) -> None:
    files = [tmp_path / f"w{index}.py" for index in range(40)]
    for file in files:
        file.write_text(FINE)
    done = call("describe", *(file.name for file in files), cwd=tmp_path)
    assert [json.loads(line)["file"] for line in done.stdout.splitlines()] == [file.name for file in files]
    assert done.returncode == 0
