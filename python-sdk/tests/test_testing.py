from __future__ import annotations

import asyncio
from datetime import datetime, timezone
from typing import Any

import pytest

from nuxt_queue import AsyncRunContext, Job, QueueError, RunContext, Suspended, define_config, define_worker
from nuxt_queue.testing import AsyncFakeContext, FakeContext, run_worker


def everything(job: Job, ctx: RunContext) -> Any:
    ctx.logger.info("begin", n=1)
    ctx.logger.warning("careful")
    ctx.progress(0.5, "half")
    ctx.state.set("seen", job.data)
    ctx.state.set_batch({"a": 1, "b": 2})
    ctx.state.delete("b")
    ctx.state.update("count", lambda count: (count or 0) + 1)
    ctx.flow.emit("done", {"n": 1})
    ctx.client.send("token", "x")
    if not ctx.client.has_subscribers():
        ctx.client.send("answer", "y", store=True)
    ctx.enqueue("mail", {"to": "ada"}, delay=500)
    ctx.emit("own", 1, key="once")
    assert ctx.emit("own", 1, key="once") is None
    pages = [ctx.step.run("page", lambda: n) for n in (1, 2)]
    return {"all": ctx.state.get_all(), "has": ctx.state.has("b"), "pages": pages}


def test_a_fake_context_behaves_like_the_queue_and_records_calls() -> None:
    ctx = FakeContext({"x": 1}, state={"count": 4})
    assert everything(ctx.job, ctx) == {
        "all": {"count": 5, "seen": {"x": 1}, "a": 1},
        "has": False,
        "pages": [1, 2],
    }
    assert ctx.logs == [("info", "begin", {"n": 1}), ("warn", "careful", {})]
    assert ctx.progress_values == [0.5]
    assert ctx.emitted == [("done", {"n": 1})]
    assert ctx.sent == [("token", "x"), ("answer", "y")]
    assert ctx.recorder.stored == [("answer", "y")]
    assert ctx.enqueued == [("mail", {"to": "ada"}, {"delay": 500})]
    assert ctx.events == [("own", 1)]
    assert ctx.recorder.steps == {"page": 1, "page#2": 2}


async def counts(job: Job, ctx: AsyncRunContext) -> Any:
    await ctx.state.update("count", lambda count: (count or 0) + job.data)
    await ctx.step.run("once", lambda: 1)
    await ctx.progress(1)
    await ctx.client.send("done", store=not await ctx.client.has_subscribers())
    return await ctx.state.get("count"), ctx.cancelled


def test_run_worker_runs_coroutines() -> None:
    assert run_worker(counts, 2, state={"count": 1}) == (3, False)


def test_a_step_of_an_earlier_attempt_does_not_run_again() -> None:
    ctx = FakeContext()
    ctx.recorder.steps["charge"] = "paid"
    assert ctx.step.run("charge", lambda: pytest.fail("done twice")) == "paid"


def ships(job: Job, ctx: RunContext) -> Any:
    ctx.step.sleep("nap", 60_000)
    ctx.step.sleep("until", datetime(2026, 1, 31, tzinfo=timezone.utc))
    paid = ctx.step.wait_for_event("paid", "payment.received", key=job.data)
    rated = ctx.step.wait_for_event("rated", "rated", timeout=50)
    run = ctx.flow.start("mail", paid, tags=["child"])
    return paid, rated, run.run_id, ctx.flow.start("invoice", {"n": 1}, wait=True)


def test_waits_receive_the_values_of_the_test() -> None:
    ctx = FakeContext("7", arrived={"payment.received": {"amount": 5}}, results={"invoice": "no. 1"})
    assert ships(ctx.job, ctx) == ({"amount": 5}, None, "mail-1", "no. 1")
    assert ctx.waits == [
        ("nap", {"kind": "sleep", "delay": 60_000}),
        ("until", {"kind": "sleep", "until": 1769817600000}),
        ("paid", {"kind": "event", "event": "payment.received", "key": "7"}),
        ("rated", {"kind": "event", "event": "rated", "timeout": 50}),
    ]
    assert ctx.started == [("mail", {"amount": 5}, {"tags": ["child"]}), ("invoice", {"n": 1}, {"wait": True})]


def test_queries_updates_and_signals_reach_other_runs() -> None:
    ctx = FakeContext(results={"total": 42})
    assert ctx.flow.query("order", "run-1", "total") == 42
    assert ctx.flow.update("order", "run-1", "address", {"street": "Main St 1"}, id="once") is None
    ctx.flow.signal("order", "run-1", "approved", True)
    assert ctx.recorder.messages == [
        ("query", "total", None),
        ("update", "address", {"street": "Main St 1"}),
        ("signal", "approved", True),
    ]


def test_a_pending_wait_suspends_a_handler_despite_its_except() -> None:
    def careless(job: Job, ctx: RunContext) -> str:
        try:
            ctx.step.wait_for_event("paid", "payment.received")
        except Exception:
            pass
        return "went on"

    with pytest.raises(Suspended):
        run_worker(careless)
    with pytest.raises(Suspended):
        run_worker(ships, "7", arrived={"payment.received": 1})


async def races(job: Job, ctx: AsyncRunContext) -> str:
    async def named(name: str) -> str:
        await ctx.step.wait_for_event(name, name)
        return name

    tasks = [asyncio.ensure_future(named(name)) for name in ("never", "soon")]
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    return done.pop().result()


def test_of_two_concurrent_waits_the_finished_one_wins() -> None:
    assert run_worker(races, arrived={"soon": 1}) == "soon"
    with pytest.raises(Suspended):
        run_worker(races)


def test_a_cancelled_handler_receives_the_reason() -> None:
    ctx = FakeContext()
    ctx.cancel(QueueError("JOB_TIMEOUT", "too slow"))
    assert ctx.cancelled and ctx.signal.is_set()
    with pytest.raises(QueueError, match="too slow"):
        ctx.raise_if_cancelled()


def test_a_fake_context_refuses_unsupported_values() -> None:
    with pytest.raises(QueueError, match="cannot be stored"):
        FakeContext().state.set("bad", {1, 2})
    with pytest.raises(QueueError, match="from 0 to 1"):
        FakeContext().progress(50)


def test_a_deferral_is_sent_in_milliseconds() -> None:
    assert FakeContext().defer(delay=5000).wire == {"delay": 5000}


def test_config_is_in_camel_case_except_names_of_variables() -> None:
    config = define_config(
        dead_letter="dead",
        rate_limit={"max": 1, "duration": 1000},
        backoff={"type": "exponential", "delay": 1, "max_delay": 10},
        process={"idle_timeout": 1, "env": {"my_var": "x"}},
        my_plugin=True,
    )
    assert config == {
        "deadLetter": "dead",
        "rateLimit": {"max": 1, "duration": 1000},
        "backoff": {"type": "exponential", "delay": 1, "maxDelay": 10},
        "process": {"idleTimeout": 1, "env": {"my_var": "x"}},
        "myPlugin": True,
    }


def test_define_worker_returns_the_function_unchanged() -> None:
    @define_worker(concurrency=2)
    def handler(job: Job, ctx: RunContext) -> str:
        return "x"

    ctx = AsyncFakeContext()
    assert handler(ctx.job, FakeContext()) == "x"
