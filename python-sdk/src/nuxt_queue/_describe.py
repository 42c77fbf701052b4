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


def describe_files(files: Sequence[str], timeout: float | None = None) -> int:
    """Prints a line of JSON for each file and returns the exit code.

    Each is loaded in a process of its own, since the modules of two folders may share a name and one that hangs must
    not stop the others; forks of this one where there are forks, so that the interpreter starts only once. The lines
    come in the order of the files; with a timeout each comes as soon as its file has loaded.
    """
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    # What the files print is none of the answer.
    os.dup2(2, 1)
    if hasattr(os, "fork") and (len(files) > 1 or timeout is not None):
        # Once here, rather than in each fork.
        from importlib import import_module

        for name in ("sysconfig", "nuxt_queue._load"):
            import_module(name)
        from ._forks import in_forks

        forked = in_forks(files, lambda file: json.dumps(describe(file)), timeout)
        described = (text or json.dumps(_failure(file, why)) for file, text, why in forked)
        if timeout is None:
            by_file = {json.loads(line)["file"]: line for line in described}
            described = (by_file[file] for file in files)
    else:
        described = (json.dumps(describe(file)) for file in files)
    failed = False
    for line in described:
        failed = failed or "error" in json.loads(line)
        out.write(line + "\n")
        out.flush()
    return 1 if failed else 0


def _failure(file: str, message: str, stack: str | None = None) -> dict[str, Any]:
    return {"file": file, "error": {"code": "WORKER_INVALID", "message": message, "stack": stack or message}}


def describe(file: str) -> dict[str, Any]:
    """The config of a worker file, and every file of the user's it was made of."""
    from ._load import load

    before = set(sys.modules)
    try:
        worker = load(file)
    except WireError as error:
        return _failure(file, str(error), (error.data or {}).get("stack"))
    try:
        config = json.loads(json.dumps(worker.config, allow_nan=False))
    except (TypeError, ValueError) as error:
        return _failure(file, f"The config of {file} is no JSON: {error}.")
    about = {"name": getattr(worker.handler, "__name__", type(worker.handler).__name__), "async": worker.is_async}
    return {"file": file, "config": config, "handler": about, "sources": _sources(before)}


#: Where distributions and virtual environments keep what is installed.
_PACKAGES = {"site-packages", "dist-packages"}


def _sources(before: set[str]) -> list[str]:
    """The files that were loaded since there were these modules, but for those of Python, of packages and of this one."""
    import sysconfig

    paths = sysconfig.get_paths()
    foreign = {os.path.realpath(paths[name]) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    foreign.add(os.path.dirname(os.path.realpath(__file__)))
    folders = tuple(folder + os.sep for folder in foreign)
    files = {getattr(module, "__file__", None) for name, module in list(sys.modules.items()) if name not in before}
    own = {os.path.abspath(file) for file in files if isinstance(file, str)}
    return sorted(
        file
        for file in own
        if not os.path.realpath(file).startswith(folders) and not _PACKAGES.intersection(file.split(os.sep))
    )
