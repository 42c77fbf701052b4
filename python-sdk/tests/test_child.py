from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from host import HEAD, Host

BUSY = "while not ctx.cancelled: pass"
SLEEPING = "while not ctx.cancelled: time.sleep(0.01)"
WAITING = "ctx.signal.wait()"


@pytest.mark.parametrize("wait", [BUSY, SLEEPING, WAITING])
@pytest.mark.parametrize("kind", ["def", "async def"])
def test_a_handler_is_pinged_and_cancelled_while_it_computes_or_sleeps(worker, kind, wait):
    wait = "await ctx.signal.wait()" if kind == "async def" and wait is WAITING else wait
    host = worker(f"""
@define_worker
{kind} work(job, ctx):
    ctx.logger.info("begun")
    {wait}
    try: ctx.raise_if_cancelled()
    except QueueError as error: return error.code
""")
    execution = host.start()
    assert host.receive()["params"]["message"] == "begun"
    ping = host.request("ping")
    assert host.receive() == {"jsonrpc": "2.0", "id": ping, "result": {}}
    host.cancel(execution + 100)  # an unknown execution
    host.cancel(execution, "JOB_TIMEOUT")
    assert host.receive()["result"]["value"] == "JOB_TIMEOUT"


def test_the_child_responds_to_ping_while_a_module_loads(worker, tmp_path):
    file = tmp_path / "slow.py"
    file.write_text(HEAD + "while not os.path.exists(__file__ + '.go'): time.sleep(0.01)\n@define_worker\ndef w(job, ctx): pass")
    with Host() as host:
        worker_ = {"id": "slow", "file": str(file)}
        host.request("initialize", {"protocol": 1, "host": {}, "worker": worker_, "maxMessage": 65536})
        ping = host.request("ping")
        assert host.receive()["id"] == ping
        Path(f"{file}.go").touch()
        assert host.receive()["result"]["protocol"] == 1


def test_an_idle_child_causes_no_thread_switches(worker):
    host = worker("@define_worker\ndef work(job, ctx): return ctx.job.data")
    for n in range(50):
        assert host.execute(n)["result"]["value"] == n

    def switches() -> int:
        tasks = Path(f"/proc/{host.process.pid}/task")
        lines = [line for task in tasks.iterdir() for line in (task / "status").read_text().splitlines()]
        return sum(int(line.split()[1]) for line in lines if "ctxt_switches" in line)

    if not Path("/proc/self/task").exists():
        pytest.skip("needs /proc")
    before = switches()
    # There is nothing to await, because the test checks that nothing happens.
    assert host.process.poll() is None and not _readable(host, 0.5)
    assert switches() - before <= 2


def _readable(host: Host, seconds: float) -> bool:
    import select

    return bool(select.select([host.socket], [], [], seconds)[0])


def test_concurrent_calls_receive_their_own_responses(worker):
    sync = worker("""
@define_worker
def work(job, ctx):
    found = {}
    def ask(n): found[str(n)] = [ctx.state.get(f"{n}.{i}") for i in range(20)]
    threads = [threading.Thread(target=ask, args=(n,)) for n in range(8)]
    [t.start() for t in threads]; ask(8); [t.join() for t in threads]
    return found
""")
    waits = worker(
        """
import asyncio
@define_worker
async def tasks(job, ctx):
    async def ask(n): return [await ctx.state.get(f"{n}.{i}") for i in range(20)]
    return dict(zip(map(str, range(9)), await asyncio.gather(*map(ask, range(9)))))
""",
        name="tasks",
    )
    expected = {str(n): [f"{n}.{i}" for i in range(20)] for n in range(9)}
    for host in (sync, waits):
        for _ in range(3):
            host.start()
            held = []
            while "method" in (frame := host.receive()):
                # Responds to two calls at a time in reverse order, as long as two calls are open.
                held.append(frame)
                if len(held) == 2 or not _readable(host, 0.005):
                    for one in reversed(held):
                        host.respond(one, one["params"]["key"])
                    held.clear()
            assert frame["result"]["value"] == expected


def test_calls_after_the_end_of_the_job_are_refused(worker):
    host = worker("""
kept = []
def late(ctx):
    try: ctx.logger.info("late")
    except QueueError as error: return error.code
@define_worker
def work(job, ctx):
    kept.append(ctx)
    return [late(one) for one in kept]
""")
    assert host.execute()["result"]["value"] == [None]
    assert host.execute()["result"]["value"] == ["RUN_ENDED", None]


FAILURES = {
    "sys.exit(3)": ("SystemExit", "The handler called sys.exit(3). Return instead, or raise an error."),
    "raise KeyboardInterrupt": ("KeyboardInterrupt", "KeyboardInterrupt"),
    "return {1, 2}": ("QueueError", "There is a set, which has no order at \"result.value\""),
    "ctx.progress({1})": ("QueueError", "There is a set, which has no order at \"value\""),
    "ctx.state.set('a', 'x' * 70000)": ("QueueError", "A message of "),
    "raise type('Odd', (Exception,), {'__str__': lambda self: 1 / 0})": ("Odd", "Odd, whose message cannot be read"),
}


@pytest.mark.parametrize("code", FAILURES)
@pytest.mark.parametrize("kind", ["def", "async def"])
def test_an_exception_of_a_handler_fails_only_its_attempt(worker, kind, code):
    code_ = f"await {code}" if kind == "async def" and code.startswith("ctx.") else code
    host = worker(f"@define_worker\n{kind} work(job, ctx):\n    if job.data: {code_}", max_message=65536)
    error = host.execute(1)["error"]
    name, message = FAILURES[code]
    assert error["code"] == -32000 and error["data"]["name"] == name and error["message"].startswith(message)
    assert "nuxt_queue/" not in error["data"]["stack"]
    assert "result" in host.execute(0)


def test_an_unrecoverable_error_is_not_retryable(worker):
    host = worker("""
from nuxt_queue import UnrecoverableError

class Own(UnrecoverableError): pass
Foreign = type("UnrecoverableError", (Exception,), {})

@define_worker
def work(job, ctx):
    raise {"own": Own, "foreign": Foreign, "other": ValueError}[job.data]("stop")
""")
    retryable = [host.execute(data)["error"]["data"].get("retryable") for data in ("own", "foreign", "other")]
    assert retryable == [False, False, None]


def test_an_error_contains_its_code_causes_and_details(worker):
    host = worker("""
@define_worker
def work(job, ctx):
    error = ValueError("0")
    for n in range(1, 8):
        try: raise ValueError(str(n)) from error
        except ValueError as raised: error = raised
    try: open("/no/such")
    except OSError as missing:
        if job.data: raise
    raise QueueError("NO_MORE", "stop", retryable=False, details={"n": 1}) from error
""")
    error = host.execute(0)["error"]
    assert error["message"] == "stop" and error["data"]["code"] == "NO_MORE"
    assert error["data"]["retryable"] is False and error["data"]["details"] == {"n": 1}
    causes = []
    while "cause" in (error := error.get("data", error)):
        error = error["cause"]
        causes.append(error["message"])
    assert causes == ["7", "6", "5", "4"]
    assert host.execute(1)["error"]["data"]["code"] == "ENOENT"


def test_processes_of_a_handler_cannot_use_the_channel(worker):
    host = worker("""
import multiprocessing, subprocess
def square(n): return n * n
@define_worker
def work(job, ctx):
    global held
    held = [subprocess.Popen(["sleep", "60"])]
    child = os.fork()
    if child == 0:
        try: ctx.logger.info("from a fork")
        except QueueError as error: os._exit(7 if error.code == "CONTEXT_MISSING" else 8)
        os._exit(9)
    forked = os.WEXITSTATUS(os.waitpid(child, 0)[1])
    pools = [multiprocessing.get_context(kind).Pool(1) for kind in ("fork", "spawn")]
    squares = [pool.map(square, [job.data]) for pool in pools]
    [pool.terminate() for pool in pools]
    return {"forked": forked, "squares": squares, "pid": held[0].pid}
""")
    value = host.execute(3)["result"]["value"]
    assert value["forked"] == 7 and value["squares"] == [[9], [9]]
    host.process.kill()
    assert host.lines.readline() == b""  # although `sleep` is still running
    os.kill(value["pid"], signal.SIGKILL)


def test_the_child_ignores_interrupts(worker):
    host = worker("@define_worker\ndef work(job, ctx): return os.getpid()")
    host.process.send_signal(signal.SIGINT)
    assert host.execute()["result"]["value"] == host.process.pid


@pytest.mark.parametrize("name", ["email", "json", "types"])
def test_a_worker_may_have_the_name_of_a_standard_module(worker, name):
    host = worker("@define_worker\ndef work(job, ctx):\n    raise ValueError(job.data)", name=name)
    assert host.execute("x")["error"]["message"] == "x"


def test_the_child_exits_when_its_host_disconnects(worker):
    host = worker("@define_worker\ndef work(job, ctx):\n    ctx.logger.info('on')\n    time.sleep(1000)")
    host.start()
    host.receive()
    host.close()
    assert host.process.wait(20) == 0


def test_lines_may_be_long_or_arrive_in_pieces(worker):
    host = worker("@define_worker\ndef work(job, ctx): return len(job.data)")
    assert host.execute("x" * 3_000_000)["result"]["value"] == 3_000_000
    line = b'{"jsonrpc":"2.0","id":77,"method":"ping"}\n'
    for byte in line:
        host.socket.sendall(bytes([byte]))
    assert host.receive() == {"jsonrpc": "2.0", "id": 77, "result": {}}


BAD = [
    ("[]", -32600, None),
    ('{"jsonrpc":"1.0","id":1,"method":"ping"}', -32600, None),
    ('{"jsonrpc":"2.0","id":{},"method":"ping"}', -32600, None),
    ('{"jsonrpc":"2.0","id":true,"result":1}', -32600, None),
    ('{"jsonrpc":"2.0","id":1,"method":5}', -32600, None),
    ('{"jsonrpc":"2.0","id":1}', -32600, None),
    ('{"jsonrpc":"2.0","id":NaN,"method":"ping"}', -32700, None),
    ("", -32700, None),
    ("[" * 100_000, -32700, None),
    ('{"jsonrpc":"2.0","id":9,"method":"execute","params":[]}', -32602, 9),
    ('{"jsonrpc":"2.0","id":9,"method":"execute","params":{"job":{}}}', -32602, 9),
    ('{"jsonrpc":"2.0","id":"a","method":"dance"}', -32601, "a"),
]


@pytest.mark.parametrize(("line", "number", "id_"), BAD, ids=range(len(BAD)))
def test_the_child_responds_to_an_invalid_line_and_continues(worker, line, number, id_):
    host = worker("@define_worker\ndef work(job, ctx): return 1")
    host.send(line)
    answer = host.receive()
    assert answer["error"]["code"] == number and answer["id"] == id_
    host.send({"jsonrpc": "2.0", "id": 999, "result": "nobody asked"})
    assert host.execute()["result"]["value"] == 1


UNLOADABLE = {
    "import no_such_module": "No module named",
    "def f(:": "SyntaxError",
    "x = 1": "has no handler",
    "sys.exit(1)": "sys.exit",
    "@define_worker\ndef a(j, c): pass\n@define_worker\ndef b(j, c): pass": "several handlers: a, b",
    "@define_worker\ndef a(j, c): yield 1": "is a generator",
    "config = define_config(attempts=1)\n@define_worker(attempts=2)\ndef a(j, c): pass": "Set it in one place",
}


@pytest.mark.parametrize("source", UNLOADABLE)
def test_an_invalid_worker_file_reports_the_reason(tmp_path, source):
    file = tmp_path / "bad.py"
    file.write_text(HEAD + source)
    with Host() as host:
        error = host.initialize(file)["error"]
        assert error["code"] == -32001 and error["data"]["code"] == "WORKER_INVALID"
        assert UNLOADABLE[source] in error["message"]
        assert "nuxt_queue/" not in error["data"]["stack"] and "<frozen" not in error["data"]["stack"]


def test_start_up_imports_no_slow_modules():
    slow = {"asyncio", "inspect", "traceback", "dataclasses", "uuid", "decimal", "logging", "typing", "threading", "socket"}
    code = "import sys, nuxt_queue._serve; print(*sys.modules)"
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1] / "src")}
    done = subprocess.run([sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {env['PYTHONPATH']!r}); {code}"], capture_output=True, text=True, check=True)
    assert slow.isdisjoint(done.stdout.split())
