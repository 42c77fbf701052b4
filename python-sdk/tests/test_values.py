from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from nuxt_queue import QueueError, values


@dataclass
class Point:
    x: int
    at: datetime


class Color(Enum):
    RED = "red"


MOMENT = datetime(2026, 1, 31, 12, 0, 0, 123456, tzinfo=timezone(timedelta(hours=2)))


@pytest.mark.parametrize(
    ("value", "wire"),
    [
        (2**53 - 1, "9007199254740991"),
        (2**53, '{"$bigint":"9007199254740992"}'),
        (-(2**63), '{"$bigint":"-9223372036854775808"}'),
        (True, "true"),
        (math.nan, '{"$number":"NaN"}'),
        (-math.inf, '{"$number":"-Infinity"}'),
        (-0.0, '{"$number":"-0"}'),
        (b"\x00\xff", '{"$bytes":"AP8="}'),
        (memoryview(b"a"), '{"$bytes":"YQ=="}'),
        (MOMENT, '{"$date":"2026-01-31T10:00:00.123Z"}'),
        (date(2026, 1, 31), '"2026-01-31"'),
        (UUID(int=1), '"00000000-0000-0000-0000-000000000001"'),
        (Decimal("0.10"), '"0.10"'),
        (Path("a/b"), '"a/b"'),
        (Color.RED, '"red"'),
        ((1, (2,)), "[1,[2]]"),
        (Point(1, MOMENT), '{"x":1,"at":{"$date":"2026-01-31T10:00:00.123Z"}}'),
        ({"$date": "no date"}, '{"$object":{"$date":"no date"}}'),
        ({"$a": 1, "b": 2}, '{"$a":1,"b":2}'),
        ("\ud83d 😀", '"\\ud83d \\ud83d\\ude00"'),
    ],
)
def test_values_without_a_json_notation_are_tagged(value: Any, wire: str) -> None:
    assert values.dumps(value) == wire


@pytest.mark.parametrize(
    "value",
    [
        2**63,
        -math.inf,
        b"\x00\xff",
        datetime(2026, 1, 31, 10, 0, 0, 123000, tzinfo=timezone.utc),
        {"$date": "no date"},
        {"deep": [{"$object": {"$bytes": 1}}, None, 1.5, "\ud83d"]},
    ],
)
def test_values_survive_a_round_trip(value: Any) -> None:
    assert values.loads(values.dumps(value).encode("ascii")) == value


def test_negative_zero_and_nan_survive_a_round_trip() -> None:
    zero, nan = values.loads(values.dumps([-0.0, math.nan]).encode("ascii"))
    assert math.copysign(1, zero) == -1
    assert math.isnan(nan)


def test_a_naive_datetime_is_local_time() -> None:
    moment = datetime(2026, 1, 31, 12)
    read = values.loads(values.dumps(moment).encode("ascii"))
    assert read.timestamp() == moment.timestamp()


def test_undefined_becomes_none_and_similar_objects_are_kept() -> None:
    assert values.loads(b'[{"$undefined":true},{"$date":12},{"$number":"x"}]') == [None, {"$date": 12}, {"$number": "x"}]


@pytest.mark.parametrize(
    ("value", "path"),
    [({"a": [{1, 2}]}, "a.0"), ({"a": {(1, 2): 3}}, "a.(1, 2)"), ((n for n in []), ""), ({"f": print}, "f")],
)
def test_an_unsupported_value_is_refused_with_its_path(value: Any, path: str) -> None:
    with pytest.raises(QueueError) as caught:
        values.dumps(value)
    assert caught.value.code == "VALUE_UNSUPPORTED"
    assert caught.value.details is not None
    assert ".".join(caught.value.details["path"]) == path


def test_a_cycle_is_refused() -> None:
    value: list[Any] = []
    value.append(value)
    with pytest.raises(QueueError, match="refers to itself"):
        values.dumps(value)
    assert sys.getrecursionlimit() >= 1000
