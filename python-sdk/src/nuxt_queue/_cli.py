"""The commands for people: ``describe`` and ``run``."""

from __future__ import annotations

import argparse
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

EXAMPLE = """\
example:
  python -m nuxt_queue run server/queues/train.py --data '{"epochs": 3}' > result.json
"""


def main(argv: Sequence[str]) -> int:
    """Runs a command and returns its exit code: 0 for success, 1 for a failure, 2 for invalid arguments."""
    options = _parser().parse_args(argv)
    if options.command == "describe":
        from ._describe import describe_files

        return describe_files(options.file, options.timeout)
    return _run(options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m nuxt_queue", description="Workers of nuxt-queue in Python.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")

    about = "Print the configs of worker files: one line of JSON per file, in order."
    describe = commands.add_parser("describe", help="print the configs of worker files", description=about)
    describe.add_argument("file", nargs="+", help="a Python file with a worker")

    about = "seconds that all files together may take to load; each line is then printed as soon as its file has loaded"
    describe.add_argument("--timeout", type=float, default=None, metavar="S", help=about)

    about = "Run a worker once, without a queue. Logs and progress go to stderr, and the result goes to stdout as JSON."
    run = commands.add_parser(
        "run",
        help="run a worker once, without a queue",
        description=about,
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    run.add_argument("file", help="a Python file with a worker")
    run.add_argument("--data", default="null", metavar="JSON", help="data of the job (default: null)")
    run.add_argument("--state", default="{}", metavar="JSON", help="initial state of the run (default: {})")
    about = "payloads of the events that the handler waits for, by name (default: {})"
    run.add_argument("--arrived", default="{}", metavar="JSON", help=about)
    about = "results of the flows that the handler waits for, by name (default: {})"
    run.add_argument("--results", default="{}", metavar="JSON", help=about)
    run.add_argument("--id", default="1", help="id of the job (default: 1)")
    run.add_argument("--attempt", type=int, default=1, metavar="N", help="number of the attempt (default: 1)")
    run.add_argument("--attempts", type=int, default=1, metavar="N", help="maximum number of attempts (default: 1)")

    commands.add_parser("serve", help="serve a host on the file descriptor that NUXT_QUEUE_FD names (default: 3)")
    return parser


def _run(options: argparse.Namespace) -> int:
    from ._errors import traceback_of
    from ._frames import WireError
    from ._load import load
    from .job import Deferral
    from .suspension import is_suspension
    from .testing import run_worker
    from .values import dumps

    data = _json(options.data, "--data")
    world = {name: _json(getattr(options, name), f"--{name}") for name in ("state", "arrived", "results")}
    for name, value in world.items():
        if not isinstance(value, dict):
            return _invalid(f"--{name} must be a JSON object")
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    # Output of the handler goes to stderr, because stdout is for the result.
    os.dup2(2, 1)
    about = {"id": options.id, "attempt": options.attempt, "attempts": options.attempts}
    try:
        result = run_worker(load(options.file).handler, data, verbose=True, **world, **about)
        text = dumps({"defer": result.wire} if isinstance(result, Deferral) else result)
    except WireError as error:
        print((error.data or {}).get("stack", error), file=sys.stderr)
        return 1
    except Exception as error:
        print(traceback_of(error), file=sys.stderr)
        return 1
    except BaseException as raised:
        if not is_suspension(raised):
            raise
        text = dumps({"defer": {"suspended": True}})
    sys.stdout.flush()
    out.write(text + "\n")
    out.flush()
    return 0


def _json(text: str, option: str) -> Any:
    from .values import loads

    try:
        return loads(text)
    except ValueError as error:
        raise SystemExit(_invalid(f"{option} is not valid JSON: {error}")) from None


def _invalid(message: str) -> int:
    print(f"python -m nuxt_queue run: {message}", file=sys.stderr)
    return 2
