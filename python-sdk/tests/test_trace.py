"""What a broken tracing library does to a job: nothing."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING

from nuxt_queue import _trace

if TYPE_CHECKING:
    import pytest

HEADERS = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}


def fail(*_given: object) -> None:
    raise RuntimeError("no context entry point")


class Broken:
    """Fails when it is imported, as opentelemetry-api does without its entry points."""

    def find_spec(self, name: str, *_others: object) -> None:
        if name.startswith("opentelemetry"):
            fail()


def test_a_library_that_cannot_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_trace, "_modules", None)
    monkeypatch.setattr(_trace, "_is_missing", False)
    for name in [name for name in sys.modules if name.startswith("opentelemetry")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Broken(), *sys.meta_path])
    _trace.attach(HEADERS)()


def test_a_propagator_and_a_context_that_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    context, propagate = ModuleType("context"), ModuleType("propagate")
    monkeypatch.setattr(_trace, "_modules", (context, propagate))
    propagate.extract = fail  # type: ignore[attr-defined]
    _trace.attach(HEADERS)()
    propagate.extract = dict  # type: ignore[attr-defined]
    context.attach = lambda _context: "token"  # type: ignore[attr-defined]
    context.detach = fail  # type: ignore[attr-defined]
    _trace.attach(HEADERS)()
