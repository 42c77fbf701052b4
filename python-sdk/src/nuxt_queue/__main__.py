"""``python -m nuxt_queue serve | describe | run``."""

from __future__ import annotations

import sys


def main() -> int:
    """Runs a command and answers its exit code."""
    if sys.argv[1:] == ["serve"]:
        # Started for each job where nothing is reused, so without a parser of arguments.
        from ._serve import main as serve

        serve()
        return 0
    from ._cli import main as cli

    return cli(sys.argv[1:])


if __name__ == "__main__":
    # What `multiprocessing` spawns runs this file again if it was started as a file, but not if it was as a module.
    __spec__ = None
    sys.exit(main())
elif __name__ == "__mp_main__":
    # A process that a handler started with `multiprocessing`, which needs the handler's module by its name.
    from nuxt_queue._load import SpawnedFinder

    sys.meta_path.append(SpawnedFinder())
