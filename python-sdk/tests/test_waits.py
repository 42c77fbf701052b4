"""Handlers that wait, in a real child."""

from __future__ import annotations

import sys

import pytest
from host import Host

SUSPENDED = {"suspended": True}


def answer(host: Host, **over: bool) -> None:
    """Receives the named waits in any order, and responds in the given order. Each value says whether the wait is over."""
    asked = {}
    while asked.keys() != over.keys():
        frame = host.receive()
        assert frame["method"] == "ctx.step.wait"
        asked[frame["params"]["name"]] = frame
    for name, is_over in over.items():
        host.respond(asked[name], {"over": True, "result": name} if is_over else {"over": False, "until": 1})


def outcome(host: Host) -> object:
    result = host.receive()["result"]
    return result.get("defer", result.get("value"))


@pytest.mark.parametrize("prefix", ["def", "async def"])
def test_a_handler_is_suspended_despite_its_except_and_runs_its_finally(worker, prefix):
    await_ = "await " if prefix == "async def" else ""
    host = worker(f"""
@define_worker
{prefix} work(job, ctx):
    try:
        return {await_}ctx.step.wait_for_event("paid", "payment", key="7", timeout=50, lookback=10)
    except Exception:
        return "went on"
    finally:
        ctx.logger.info("left")
""")
    for over, ends in ((False, SUSPENDED), (True, "paid")):
        host.start()
        frame = host.receive()
        event = {"kind": "event", "event": "payment", "key": "7", "timeout": 50, "lookback": 10}
        assert frame["params"] == {"execution": frame["params"]["execution"], "name": "paid", "wait": event}
        host.respond(frame, {"over": over, "result": "paid"} if over else {"over": False, "until": 1})
        assert host.receive()["params"]["message"] == "left"
        assert outcome(host) == ends


@pytest.mark.parametrize("prefix", ["def", "async def"])
def test_a_handler_starts_another_flow_and_waits_for_it(worker, prefix):
    await_ = "await " if prefix == "async def" else ""
    host = worker(f"""
@define_worker
{prefix} work(job, ctx):
    started = {await_}ctx.flow.start("mail", 1, id="m", tags=("a", "b"))
    return [started.run_id, {await_}ctx.flow.start("invoice", wait=True)]
""")
    for over, ends in ((False, SUSPENDED), (True, ["m", "no. 1"])):
        execution = host.start()
        frame = host.receive()
        options = {"id": "m", "tags": ["a", "b"]}
        assert frame["params"] == {"execution": execution, "flow": "mail", "input": 1, "options": options}
        host.respond(frame, {"over": True, "result": {"runId": "m"}})
        frame = host.receive()
        assert frame["params"] == {"execution": execution, "flow": "invoice", "options": {"wait": True}}
        host.respond(frame, {"over": True, "result": "no. 1"} if over else {"over": False, "until": 1})
        assert outcome(host) == ends


RACE = """
import asyncio

async def nap(ctx, name):
    await ctx.step.sleep(name, 10)
    return name

@define_worker
async def work(job, ctx):
    tasks = [asyncio.ensure_future(nap(ctx, name)) for name in ("a", "b")]
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    first = sorted(task.result() for task in done)
    {then}
    return first
"""


@pytest.mark.parametrize("then", ["for task in pending: task.cancel()", "pass", "await asyncio.sleep(0.05)"])
@pytest.mark.parametrize(
    ("over", "ends"),
    [({"a": False, "b": True}, ["b"]), ({"b": True, "a": False}, ["b"]), ({"a": False, "b": False}, SUSPENDED)],
)
def test_in_a_race_of_two_waits_the_finished_one_wins(worker, then, over, ends):
    host = worker(RACE.format(then=then))
    host.start()
    answer(host, **over)
    # The wait that lost is ignored.
    assert outcome(host) == ends


def test_a_handler_is_suspended_only_after_concurrent_steps_are_recorded(worker):
    host = worker("""
import asyncio

async def slow():
    await asyncio.sleep(0.05)
    return "done"

@define_worker
async def work(job, ctx):
    await asyncio.gather(ctx.step.sleep("a", 10), ctx.step.run("slow", slow))
""")
    host.start()
    wait, lookup = host.receive(), host.receive()
    host.respond(wait, {"over": False, "until": 1})
    host.respond(lookup, {"found": False})
    record = host.receive()
    assert record["params"]["result"] == "done"
    host.respond(record, "done")
    assert outcome(host) == SUSPENDED


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python before 3.11 has no groups of tasks")
@pytest.mark.parametrize(("fails", "ends"), [("", SUSPENDED), ("raise ValueError('boom')", None)])
def test_a_task_group_is_suspended_as_one(worker, fails, ends):
    host = worker(f"""
import asyncio

async def nap(ctx, name):
    try: await ctx.step.sleep(name, 10)
    finally:
        if name == "b":
            {fails or "pass"}

@define_worker
async def work(job, ctx):
    async with asyncio.TaskGroup() as group:
        for name in ("a", "b"): group.create_task(nap(ctx, name))
""")
    host.start()
    answer(host, a=False, b=False)
    said = host.receive()
    assert said.get("result", {}).get("defer") == ends
    assert ("error" in said) is (ends is None)


@pytest.mark.parametrize(
    ("prefix", "await_", "swallows"),
    [
        ("def", "", "except BaseException: pass"),
        ("async def", "await ", "except BaseException: pass"),
    ],
)
def test_a_handler_that_continues_after_suspension_fails_for_good(worker, prefix, await_, swallows):
    host = worker(f"""
@define_worker
{prefix} work(job, ctx):
    try:
        {await_}ctx.step.sleep("nap", 10)
    {swallows}
    try:
        {await_}ctx.step.run("undo", lambda: 1)
    {swallows}
    return "done"
""")
    host.start()
    answer(host, nap=False)
    error = host.receive()["error"]
    assert error["data"]["code"] == "STEP_SWALLOWED"
    assert error["data"]["retryable"] is False
    assert '"nap"' in error["message"]


def test_gathering_a_wait_with_return_exceptions_fails_for_good(worker):
    host = worker("""
import asyncio

@define_worker
async def work(job, ctx):
    return len(await asyncio.gather(ctx.step.sleep("nap", 10), return_exceptions=True))
""")
    host.start()
    answer(host, nap=False)
    assert host.receive()["error"]["data"]["code"] == "STEP_SWALLOWED"


@pytest.mark.parametrize("prefix", ["def", "async def"])
def test_a_failed_step_is_recorded_and_raised_again(worker, prefix):
    await_ = "await " if prefix == "async def" else ""
    host = worker(f"""
tries = []

def fails():
    tries.append(1)
    raise ValueError("no")

@define_worker
{prefix} work(job, ctx):
    try:
        {await_}ctx.step.run("pay", fails, attempts=2, backoff=1)
    except Exception as error:
        return [type(error).__name__, error.name, str(error), len(tries)]
""")
    for known, tried in ((False, 2), (True, 2)):
        host.start()
        lookup = host.receive()
        assert lookup["params"]["name"] == "pay"
        stored = {"name": "ValueError", "message": "no"}
        host.respond(lookup, {"found": True, "error": stored} if known else {"found": False})
        if not known:
            fail = host.receive()
            assert fail["method"] == "ctx.step.fail"
            assert {**stored, "stack": "*"} == {**fail["params"]["error"], "stack": "*"}
            host.respond(fail, stored)
        assert outcome(host) == ["QueueError", "ValueError", "no", tried]


@pytest.mark.parametrize("prefix", ["def", "async def"])
def test_numbered_names_are_unique(worker, prefix):
    await_ = "await " if prefix == "async def" else ""
    host = worker(f"""
@define_worker
{prefix} work(job, ctx):
    return [{await_}ctx.step.run(name, lambda: 1) for name in ("page", "page", "page#2")]
""")
    host.start()
    for name in ("page", "page#2", "page#2#1"):
        lookup = host.receive()
        assert lookup["params"]["name"] == name
        host.respond(lookup, {"found": True, "result": name})
    assert outcome(host) == ["page", "page#2", "page#2#1"]


def test_a_step_has_a_timeout_and_may_not_wait(worker):
    host = worker("""
import asyncio

@define_worker
async def work(job, ctx):
    codes = []
    for part in (lambda: asyncio.sleep(60), lambda: ctx.step.sleep("nap", 1)):
        try:
            await ctx.step.run("part", part, timeout=200)
        except Exception as error:
            codes.append(error.code)
    return codes
""")
    host.start()
    for name in ("part", "part#2"):
        lookup = host.receive()
        assert lookup["params"]["name"] == name
        host.respond(lookup, {"found": False})
        fail = host.receive()
        host.respond(fail, fail["params"]["error"])
    assert outcome(host) == ["STEP_TIMEOUT", "WAIT_INVALID"]
