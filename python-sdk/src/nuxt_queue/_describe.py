"""Tells what worker files say about themselves."""

from __future__ import annotations

import json
import os
import sys

from ._frames import WireError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any


def describe_files(files: Sequence[str]) -> int:
    """Prints a line of JSON for each file, in order, and answers the exit code.

    Each is loaded in a process of its own, since the modules of two folders may share a name; a fork of this one where
    there are forks, so that the interpreter starts only once.
    """
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    # What the files print is none of the answer.
    os.dup2(2, 1)
    failed = False
    for file in files:
        line = _in_fork(file) if hasattr(os, "fork") and len(files) > 1 else json.dumps(describe(file))
        failed = failed or "error" in json.loads(line)
        out.write(line + "\n")
        out.flush()
    return 1 if failed else 0


def _in_fork(file: str) -> str:
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        with os.fdopen(writing, "w") as pipe:
            pipe.write(json.dumps(describe(file)))
        sys.stdout.flush()
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        line = pipe.read()
    _, status = os.waitpid(pid, 0)
    return line or json.dumps(_failure(file, f"Python ended while it loaded the file (status {status})."))


def _failure(file: str, message: str, stack: str | None = None) -> dict[str, Any]:
    return {"file": file, "error": {"code": "WORKER_INVALID", "message": message, "stack": stack or message}}


def describe(file: str) -> dict[str, Any]:
    """The config of a worker file, and every file of the user's it was made of."""
    from ._load import load

    try:
        worker = load(file)
    except WireError as error:
        return _failure(file, str(error), (error.data or {}).get("stack"))
    try:
        config = json.loads(json.dumps(worker.config, allow_nan=False))
    except (TypeError, ValueError) as error:
        return _failure(file, f"The config of {file} is no JSON: {error}.")
    about = {"name": getattr(worker.handler, "__name__", type(worker.handler).__name__), "async": worker.is_async}
    return {"file": file, "config": config, "handler": about, "sources": _sources()}


#: Where distributions and virtual environments keep what is installed.
_PACKAGES = {"site-packages", "dist-packages"}


def _sources() -> list[str]:
    """The files that were loaded, but for those of Python, of packages and of this one."""
    import sysconfig

    paths = sysconfig.get_paths()
    foreign = {os.path.realpath(paths[name]) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    foreign.add(os.path.dirname(os.path.realpath(__file__)))
    folders = tuple(folder + os.sep for folder in foreign)
    files = {getattr(module, "__file__", None) for module in list(sys.modules.values())}
    own = {os.path.abspath(file) for file in files if isinstance(file, str)}
    return sorted(
        file
        for file in own
        if not os.path.realpath(file).startswith(folders) and not _PACKAGES.intersection(file.split(os.sep))
    )
