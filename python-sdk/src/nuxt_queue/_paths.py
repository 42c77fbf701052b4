"""The search path of modules."""

from __future__ import annotations

import os
import sys


def after_library() -> int:
    """Returns the index in ``sys.path`` for folders of workers, so that a worker ``queue.py`` does not hide ``queue``."""
    library = os.path.dirname(os.path.abspath(os.__file__))
    own = [index for index, path in enumerate(sys.path) if path in {library, os.path.join(library, "lib-dynload")}]
    return max(own, default=-1) + 1


def add_working_directory() -> None:
    """Makes modules in the working directory importable, behind those of the library."""
    try:
        sys.path.insert(after_library(), os.getcwd())
    except FileNotFoundError:
        pass  # the directory was removed, so there is nothing to import
