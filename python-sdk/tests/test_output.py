"""The log and the output of a handler."""

from __future__ import annotations

from host import Host


def test_logging_writes_to_the_log_of_the_run(worker):
    host = worker("""
@define_worker
def work(job, ctx):
    log = logging.getLogger("shop.cart")
    log.debug("hidden"); log.info("n=%d", 1); log.warning("odd")
    try: 1 / 0
    except ZeroDivisionError: log.exception("bad")
""")
    host.execute()
    assert [(log["level"], log["message"], log["meta"]["logger"]) for log in host.logs] == [
        ("info", "n=1", "shop.cart"),
        ("warn", "odd", "shop.cart"),
        ("error", "bad", "shop.cart"),
    ]
    assert "ZeroDivisionError" in host.logs[2]["meta"]["stack"]


def test_logging_is_bridged_when_only_the_handler_imports_it(worker, tmp_path):
    file = tmp_path / "lazy.py"
    file.write_text("from nuxt_queue import define_worker\n@define_worker\ndef w(job, ctx):\n    import logging\n    logging.info('hi')")
    with Host() as host:
        host.initialize(file)
        host.execute()
        assert [log["message"] for log in host.logs] == ["hi"]


def test_logging_configured_by_the_user_is_kept(worker):
    host = worker("""
logging.basicConfig(level=logging.DEBUG, format="mine %(message)s")
@define_worker
def work(job, ctx): logging.debug("hello")
""")
    host.execute()
    assert host.logs == []
    host.close()
    assert b"mine hello\n" in host.process.communicate()[1]


def test_output_of_a_handler_does_not_disturb_the_channel(worker):
    host = worker("""
@define_worker
def work(job, ctx):
    print("to \\ud83d", job.data); os.write(1, b'{"jsonrpc": \\xff\\n'); print("err", file=sys.stderr)
    return sys.stdin.read()
""")
    assert host.execute("Ada")["result"]["value"] == ""
    host.close()
    out, err = host.process.communicate()
    assert out == b'to \\ud83d Ada\n{"jsonrpc": \xff\n' and err == b"err\n"
