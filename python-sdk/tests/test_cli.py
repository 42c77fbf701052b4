from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

SDK = Path(__file__).parents[1]

WORKER = """
from helper import GREETING
from nuxt_queue import define_config, define_worker
print("imported")
config = define_config(concurrency=2)

@define_worker(dead_letter="dead")
async def hello(job, ctx):
    ctx.logger.info("greeting")
    print("printed")
    await ctx.state.update("count", lambda n: (n or 0) + 1)
    return {"text": f"{GREETING} {job.data}", "count": await ctx.state.get("count")}
"""


def call(*args: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    env = {"PYTHONPATH": str(SDK / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, "-m", "nuxt_queue", *args], cwd=cwd, env=env, capture_output=True, text=True, timeout=30
    )


def worker(folder: Path, greeting: str = "hello") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "helper.py").write_text(f"GREETING = {greeting!r}")
    file = folder / "hello.py"
    file.write_text(WORKER)
    return file


def test_describe_prints_the_config_and_sources_of_each_file(tmp_path: Path) -> None:
    one, two = worker(tmp_path / "one"), worker(tmp_path / "two")
    broken = tmp_path / "broken.py"
    broken.write_text("import no_such_module")
    done = call("describe", str(one), str(broken), str(two), cwd=tmp_path)
    first, second, third = map(json.loads, done.stdout.splitlines())
    assert done.returncode == 1
    assert first["config"] == {"concurrency": 2, "deadLetter": "dead"}
    assert first["handler"] == {"name": "hello", "async": True}
    assert sorted(first["sources"]) == [str(one), str(one.parent / "helper.py")]
    # The two folders have modules of the same name.
    assert str(two.parent / "helper.py") in third["sources"]
    assert second["error"]["code"] == "WORKER_INVALID"
    assert "no_such_module" in second["error"]["stack"]
    assert "nuxt_queue" not in second["error"]["stack"]


def test_run_prints_only_the_result_to_stdout(tmp_path: Path) -> None:
    file = worker(tmp_path / "one")
    done = call("run", str(file), "--data", '"Ada"', "--state", '{"count": 4}', cwd=tmp_path)
    assert json.loads(done.stdout) == {"text": "hello Ada", "count": 5}
    assert "greeting" in done.stderr and "printed" in done.stderr
    assert done.returncode == 0


def test_run_fails_with_the_traceback_of_the_handler(tmp_path: Path) -> None:
    file = tmp_path / "bad.py"
    file.write_text("from nuxt_queue import define_worker\n@define_worker\ndef f(job, ctx):\n    raise ValueError('bad')\n")
    done = call("run", str(file), cwd=tmp_path)
    assert done.returncode == 1 and done.stdout == ""
    assert "ValueError: bad" in done.stderr and "bad.py" in done.stderr and "_cli.py" not in done.stderr


def test_help_lists_the_commands(tmp_path: Path) -> None:
    done = call("--help", cwd=tmp_path)
    assert done.returncode == 0
    assert "describe" in done.stdout and "run" in done.stdout


def test_a_wheel_builds_without_dependencies_and_can_be_imported(tmp_path: Path) -> None:
    build = f"import sys; sys.path.insert(0, {str(SDK)!r}); import build_backend as b; print(b.build_wheel({str(tmp_path)!r}))"
    name = subprocess.run([sys.executable, "-B", "-c", build], capture_output=True, text=True, check=True).stdout.strip()
    with zipfile.ZipFile(tmp_path / name) as wheel:
        assert "nuxt_queue/py.typed" in wheel.namelist()
        assert f"{name.rsplit('-', 3)[0]}.dist-info/RECORD" in wheel.namelist()
    imported = "import nuxt_queue; print(nuxt_queue.__version__, nuxt_queue.__file__)"
    done = subprocess.run([sys.executable, "-B", "-c", imported], env={"PYTHONPATH": str(tmp_path / name)}, capture_output=True, text=True)
    version = json.loads((SDK.parent / "package.json").read_text())["version"]
    assert done.stdout.startswith(f"{version} {tmp_path}")


def test_run_passes_events_and_results_to_waits(tmp_path: Path) -> None:
    file = tmp_path / "waits.py"
    file.write_text(
        "from nuxt_queue import define_worker\n@define_worker\ndef w(job, ctx):\n"
        "    paid = ctx.step.wait_for_event('paid', 'payment')\n"
        "    return [paid, ctx.flow.start('invoice', wait=True)]"
    )
    done = call("run", str(file), "--arrived", '{"payment": 5}', "--results", '{"invoice": "no. 1"}', cwd=tmp_path)
    assert json.loads(done.stdout) == [5, "no. 1"]
    waits = call("run", str(file), cwd=tmp_path)
    assert (json.loads(waits.stdout), waits.returncode) == ({"defer": {"suspended": True}}, 0)
