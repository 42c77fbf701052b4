"""``python -m nuxt_queue serve | describe | run``, or the path of this file with the same arguments."""

from __future__ import annotations

import os
import sys

if __name__ == "__main__" and not __package__:
    # Started by its path, as the engine does. `python -m` imports modules of the library while the working directory is
    # first in the path, so that a worker `types.py` would keep Python from starting. A script puts its own folder there.
    if sys.path[0] == os.path.dirname(os.path.abspath(__file__)):
        del sys.path[0]
    __package__ = "nuxt_queue"
    from nuxt_queue._paths import add_working_directory

    add_working_directory()


def main() -> int:
    """Runs a command and returns its exit code."""
    if sys.argv[1:] == ["serve"]:
        # Without reuse, this starts for each job, so it does not import an argument parser.
        from ._serve import main as serve

        serve()
        return 0
    if sys.argv[1:2] == ["prefork"]:
        from ._prefork import main as prefork

        prefork(sys.argv[2:])
        return 0
    from ._cli import main as cli

    return cli(sys.argv[1:])


if __name__ == "__main__":
    # A process spawned by `multiprocessing` runs this file again if it was started as a file, but not as a module.
    __spec__ = None
    sys.exit(main())
elif __name__ == "__mp_main__":
    # A process that a handler started with `multiprocessing` must find the module of the handler by its name.
    from nuxt_queue._load import SpawnedFinder

    sys.meta_path.append(SpawnedFinder())
