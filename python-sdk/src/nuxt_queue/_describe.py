"""Prints the configs of worker files."""

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
    """Prints a line of JSON for each file, and returns the exit code.

    Each file is loaded in its own process, because modules of two folders may have the same name, and because a file
    that hangs must not stop the others. The processes are forks where the system supports them, so that the interpreter
    starts only once. The lines have the order of the files. With a timeout, each line is printed as soon as its file has
    loaded.
    """
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    # Output of the files goes to stderr, because stdout is for the configs.
    os.dup2(2, 1)
    if hasattr(os, "fork") and (len(files) > 1 or timeout is not None):
        # Imported once here, and not in each fork.
        from importlib import import_module

        for name in ("sysconfig", "nuxt_queue._load"):
            import_module(name)
        from ._forks import run_in_forks

        forked = run_in_forks(files, lambda file: json.dumps(describe(file)), timeout)
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
    """Returns the config of a worker file, and all files of the user that were loaded for it."""
    from ._load import load

    before = set(sys.modules)
    try:
        worker = load(file)
    except WireError as error:
        return _failure(file, str(error), (error.data or {}).get("stack"))
    try:
        config = json.loads(json.dumps(worker.config, allow_nan=False))
    except (TypeError, ValueError) as error:
        return _failure(file, f"The config of {file} is not valid JSON: {error}.")
    about = {"name": getattr(worker.handler, "__name__", type(worker.handler).__name__), "async": worker.is_async}
    return {"file": file, "config": config, "handler": about, "sources": _sources(before)}


#: The folders in which distributions and virtual environments install packages.
_PACKAGES = {"site-packages", "dist-packages"}


def _sources(before: set[str]) -> list[str]:
    """Returns the files of the modules that are not in ``before``, except those of Python and of installed packages."""
    import sysconfig

    paths = sysconfig.get_paths()
    excluded = {os.path.realpath(paths[name]) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    excluded.add(os.path.dirname(os.path.realpath(__file__)))
    folders = tuple(folder + os.sep for folder in excluded)
    files = {getattr(module, "__file__", None) for name, module in list(sys.modules.items()) if name not in before}
    own = {os.path.abspath(file) for file in files if isinstance(file, str)}
    return sorted(
        file
        for file in own
        if not os.path.realpath(file).startswith(folders) and not _PACKAGES.intersection(file.split(os.sep))
    )
