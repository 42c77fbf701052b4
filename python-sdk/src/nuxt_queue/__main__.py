"""``python -m nuxt_queue serve | describe | run``."""

from __future__ import annotations

import sys


def main() -> int:
    if sys.argv[1:2] == ["serve"]:
        # Started for each job, so without a parser of arguments.
        from ._serve import main as serve

        serve()
        return 0
    from ._cli import main as cli

    return cli(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
