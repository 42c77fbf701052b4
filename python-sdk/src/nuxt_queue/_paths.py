"""Where modules are looked for."""

from __future__ import annotations

import os
import sys


def after_library() -> int:
    """Where in ``sys.path`` folders of workers belong: a worker ``queue.py`` must not be what ``import queue`` finds."""
    library = os.path.dirname(os.path.abspath(os.__file__))
    own = [index for index, path in enumerate(sys.path) if path in {library, os.path.join(library, "lib-dynload")}]
    return max(own, default=-1) + 1
