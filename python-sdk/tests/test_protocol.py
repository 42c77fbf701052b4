from __future__ import annotations

import pytest
from replay import CONVERSATIONS, matches, replay


@pytest.mark.parametrize("conversation", CONVERSATIONS, ids=lambda one: one["name"])
def test_the_child_follows_a_recorded_conversation(conversation):
    replay(conversation)


@pytest.mark.parametrize(
    ("said", "expected", "fits"),
    [
        ({"a": 1}, {"a": 1}, True),
        ({"a": 1, "b": 2}, {"a": 1}, False),
        ({"a": 1}, {"a": "*", "b": "*?"}, True),
        ({}, {"a": "*"}, False),
        ([1], [1, 2], False),
        (True, 1, False),
    ],
)
def test_the_comparison_can_fail(said, expected, fits):
    assert matches(said, expected) is fits
