"""The commands for people: ``describe`` and ``run``."""

from __future__ import annotations

import argparse
import json
import os
import sys
from typing import Any, Optional, Sequence

from . import values
from ._wire import WireError, traceback_of


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m nuxt_queue", description="Workers of nuxt-queue in Python.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")

    describe = commands.add_parser("describe", help="print what worker files say about themselves, a line of JSON each")
    describe.add_argument("file", nargs="+")

    run = commands.add_parser("run", help="run a worker once, without a queue; logs go to stderr, the result to stdout")
    run.add_argument("file")
    run.add_argument("--data", default="null", metavar="JSON", help="data of the job (default: null)")
    run.add_argument("--state", default="{}", metavar="JSON", help="state that the run has already (default: {})")
    run.add_argument("--id", default="1", help="id of the job (default: 1)")
    run.add_argument("--attempt", type=int, default=1, metavar="N", help="which attempt it is (default: 1)")

    commands.add_parser("serve", help="serve a host over the file descriptor that NUXT_QUEUE_FD names")
    options = parser.parse_args(argv)
    if options.command == "describe":
        return describe_files(options.file)
    return run_file(options)


def describe_files(files: Sequence[str]) -> int:
    """Each file in a process of its own, where there is ``fork``: modules of two folders may share a name."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    # What the files print is none of the answer.
    os.dup2(2, 1)
    failed = False
    for file in files:
        line = _in_fork(file) if hasattr(os, "fork") and len(files) > 1 else json.dumps(describe(file))
        failed = failed or '"error": ' in line
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
    if line:
        return line
    message = f"Python ended while it loaded the file (status {status})."
    return json.dumps({"file": file, "error": {"code": "WORKER_INVALID", "message": message}})


def describe(file: str) -> dict[str, Any]:
    """The config of a worker file, and every file of the user's it was made of."""
    from ._load import load

    try:
        handler, config, is_async = load(file)
    except WireError as error:
        return {"file": file, "error": {"code": "WORKER_INVALID", "message": str(error), **(error.data or {})}}
    about = {"name": getattr(handler, "__name__", "handler"), "async": is_async}
    try:
        json.dumps(config)
    except (TypeError, ValueError) as error:
        message = f"The config is no JSON: {error}."
        return {"file": file, "error": {"code": "WORKER_INVALID", "message": message}}
    return {"file": file, "config": config, "handler": about, "sources": _sources()}


#: Where distributions and virtual environments keep what is installed.
_PACKAGES = {"site-packages", "dist-packages"}


def _sources() -> list[str]:
    """Files that were loaded, those of Python, of packages and of this one left out."""
    import sysconfig

    paths = sysconfig.get_paths()
    foreign = [paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    foreign.append(os.path.dirname(os.path.abspath(__file__)))
    files = {getattr(module, "__file__", None) for module in list(sys.modules.values())}
    own = {os.path.abspath(file) for file in files if file}
    prefixes = tuple(f"{folder}{os.sep}" for folder in foreign)
    return sorted(file for file in own if not file.startswith(prefixes) and not _PACKAGES & set(file.split(os.sep)))


def run_file(options: argparse.Namespace) -> int:
    from ._load import load
    from .testing import run_worker

    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    try:
        data, state = _parse(options.data, "--data"), _parse(options.state, "--state")
        handler = load(options.file).handler
        result = run_worker(handler, data, state=state, id=options.id, attempt=options.attempt, verbose=True)
        text = values.dumps(result)
    except WireError as error:
        print((error.data or {}).get("stack", error), file=sys.stderr)
        return 1
    except Exception as error:
        print(traceback_of(error), file=sys.stderr)
        return 1
    out.write(text + "\n")
    out.flush()
    return 0


def _parse(text: str, option: str) -> Any:
    try:
        return values.loads(text.encode("utf-8"))
    except ValueError as error:
        raise SystemExit(f"{option} is no JSON: {error}") from None


def note(message: str, meta: Optional[Any] = None) -> None:
    """What a handler says, for who looks on."""
    print(message if not meta else f"{message} {values.dumps(meta)}", file=sys.stderr)
