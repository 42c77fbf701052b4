"""A build backend for a pure Python package. It zips the sources and writes the metadata of a wheel."""

from __future__ import annotations

import base64
import hashlib
import re
import tarfile
import zipfile
from pathlib import Path
from typing import Any, Optional

ROOT = Path(__file__).parent
NAME = "nuxt_queue"
VERSION = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.M).group(1)  # type: ignore[union-attr]
INFO = f"{NAME}-{VERSION}.dist-info"
METADATA = f"""Metadata-Version: 2.1
Name: {NAME}
Version: {VERSION}
Summary: Workers of nuxt-queue in Python
License: MIT
Requires-Python: >=3.9
Description-Content-Type: text/markdown

"""
WHEEL = "Wheel-Version: 1.0\nGenerator: nuxt_queue\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def _sources() -> list[Path]:
    files = (ROOT / "src" / NAME).rglob("*")
    return sorted(file for file in files if file.suffix == ".py" or file.name == "py.typed")


def build_wheel(wheel_directory: str, config_settings: Any = None, metadata_directory: Optional[str] = None) -> str:
    name = f"{NAME}-{VERSION}-py3-none-any.whl"
    contents = {str(file.relative_to(ROOT / "src")): file.read_bytes() for file in _sources()}
    contents[f"{INFO}/METADATA"] = (METADATA + (ROOT / "README.md").read_text(encoding="utf-8")).encode()
    contents[f"{INFO}/WHEEL"] = WHEEL.encode()
    with zipfile.ZipFile(Path(wheel_directory) / name, "w", zipfile.ZIP_DEFLATED) as wheel:
        record = ""
        for path, content in contents.items():
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            record += f"{path},sha256={digest},{len(content)}\n"
            wheel.writestr(path, content)
        wheel.writestr(f"{INFO}/RECORD", record + f"{INFO}/RECORD,,\n")
    return name


def build_sdist(sdist_directory: str, config_settings: Any = None) -> str:
    base = f"{NAME}-{VERSION}"
    with tarfile.open(Path(sdist_directory) / f"{base}.tar.gz", "w:gz") as archive:
        for file in [*_sources(), *(ROOT / name for name in ("pyproject.toml", "README.md", "build_backend.py"))]:
            archive.add(file, f"{base}/{file.relative_to(ROOT)}")
    return f"{base}.tar.gz"
