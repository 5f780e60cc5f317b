"""Commands that are interrupted, terminated or killed: exit status, one line, no orphans, and going on."""

from __future__ import annotations

import csv
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests._shared import shared_path
from tests._tiny import save_tiny_weights
from vetime_plugins.cli import main
from vetime_plugins.errors import CheckpointError
from vetime_plugins.network.checkpoint import load_checkpoint

psutil = pytest.importorskip("psutil")

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs signals of POSIX")

HERE = "tests.leaderboard._detectors"
ENDINGS = [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "ended by SIGTERM")]
PATIENCE = 100.0  # seconds for what takes five on an idle machine


@contextmanager
def running(*command: str | Path, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """Run Python in a process group of its own, as a terminal does."""
    process = subprocess.Popen(
        [sys.executable, *map(str, command)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()
        process.wait()


def wait_until(ready: Callable[[], Any], process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + PATIENCE
    while not ready():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < end
        time.sleep(0.05)


def assert_ends(process: subprocess.Popen[str], ending: tuple[int, int, str], *, group: bool = False) -> None:
    """Send a signal; see that the process, and all it started, end, and that it said so in one line."""
    number, status, line = ending
    family = psutil.Process(process.pid).children(recursive=True)
    (os.killpg if group else os.kill)(process.pid, number)
    _, errors = process.communicate(timeout=PATIENCE)
    said = [one for one in errors.splitlines() if " points/s" not in one]  # the log of a training
    assert (process.returncode, len(said)) == (status, 1), errors
    assert said[0].endswith(f": {line}")
    assert psutil.wait_procs(family, timeout=10)[1] == []


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Three labelled series."""
    folder = tmp_path / "data" / "A"
    folder.mkdir(parents=True)
    for number in range(3):
        values = np.sin(np.arange(400) / 4) + 0.1 * np.random.default_rng(number).normal(size=400)
        values[200:212] += 3
        labels = np.zeros(400)
        labels[200:212] = 1
        path = folder / f"00{number}_A_id_{number}_X_tr_100_1st_200.csv"
        np.savetxt(path, np.stack((values, labels), 1), delimiter=",", header="0,Label", comments="")
    return tmp_path / "data"


@pytest.mark.parametrize(
    ("backend", "ending", "group"),
    [("local", ENDINGS[0], True), ("local", ENDINGS[1], False), ("loky", ENDINGS[0], False),
     ("loky", ENDINGS[1], True)],
    ids=["threads Ctrl-C", "threads SIGTERM", "processes SIGINT", "processes SIGTERM to the group"],
)  # fmt: skip
def test_a_leaderboard(
    data: Path, tmp_path: Path, backend: str, ending: tuple[int, int, str], group: bool
) -> None:
    pytest.importorskip("joblib")
    log, out = tmp_path / "log", tmp_path / "out"
    command = ["-m", "vetime_plugins", "leaderboard", "run", "tsb-ad", "--data", str(data), "--out", str(out)]
    command += ["--metric", "VUS-PR", "--quiet", "--jobs", "2", "--backend", backend, "--detectors"]
    with running(*command, f"random,{HERE}:Hangs", LEADERBOARD_LOG=str(log)) as process:
        wait_until(lambda: log.exists() and log.read_text().count("\n") == 2, process)
        assert_ends(process, ending, group=group)
    started = [int(pid) for line in log.read_text().splitlines() for pid in line.split()]
    for _ in range(100):
        if not (alive := [pid for pid in started if psutil.pid_exists(pid)]):
            break
        time.sleep(0.1)  # a process that nobody waits for is the init process's
    assert not alive
    with running(*command, "random") as process:
        said, errors = process.communicate(timeout=PATIENCE)
    assert (process.returncode, errors) == (0, "")
    # How many were done by then depends on who got the two workers first.
    found = re.search(r"(\d) cells run(?:, (\d) kept from before)?", said)
    assert found is not None
    assert int(found[1]) + int(found[2] or 0) == 3


@pytest.mark.parametrize("ending", ENDINGS, ids=["SIGINT", "SIGTERM"])
def test_scoring_many_series(tmp_path: Path, ending: tuple[int, int, str]) -> None:
    rng = np.random.default_rng(0)
    with (tmp_path / "many.csv").open("w", newline="") as file:
        csv.writer(file).writerow(["unit", "time", "value"])
        csv.writer(file).writerows(
            [unit, step, value] for unit in range(200) for step, value in enumerate(rng.normal(size=2000))
        )
    (tmp_path / "out.csv").write_text("from before")
    command = ["-m", "vetime_plugins", "score", tmp_path / "many.csv", "--id", "unit", "--time", "time"]
    with running(*command, "--out", tmp_path / "out.csv") as process:
        used = psutil.Process(process.pid)
        wait_until(lambda: used.cpu_times().user > 4, process)
        assert_ends(process, ending)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["many.csv", "out.csv"]
    assert (tmp_path / "out.csv").read_text() == "from before"


TRAINING = """
seed = 3
log_every = 1
validate_every = 1000000
save_every = 2
validation_batches = 1
[model]
preset = "small"
d_model = 32
d_proj = 8
temporal_layers = 1
vision_width = 32
vision_depth = 1
decoder_width = 32
decoder_depth = 1
image_size = 32
max_chunk_steps = 512
name = "tiny"
[steps]
vision = 1000000
[data]
points_per_batch = 2000
min_length = 500
max_length = 1200
workers = 1
"""
EXPECTATION = """
points = 2_000_000_000
windows_per_batch = 4
pool_points = 20_000
max_length = 2_000
bfloat16 = false
log_every = 1
validate_every = 1_000_000
[model]
window = 256
width = 16
depth = 1
heads = 2
"""


def trainings(run: Path) -> dict[str, list[str | Path]]:
    (run.parent / "training.toml").write_text(TRAINING)
    (run.parent / "expectation.toml").write_text(EXPECTATION)
    # A held-out set of two million points takes ten seconds to make.
    small = "from vetime_plugins.training import expectation as e; e._HELD_OUT_POINTS = 5000"
    return {
        "loop": ["-m", "vetime_plugins", "train", run.parent / "training.toml", "--out", run],
        "expectation": [
            "-c",
            f"{small}; raise SystemExit(e.main())",
            run,
            "--config",
            run.parent / "expectation.toml",
        ],
    }


def length(run: Path) -> int:
    return len((run / "curve.csv").read_text().splitlines()) if (run / "curve.csv").exists() else 0


@pytest.mark.parametrize("ending", [*ENDINGS, None], ids=["SIGINT", "SIGTERM", "SIGKILL"])
@pytest.mark.parametrize("kind", ["loop", "expectation"])
def test_a_training_goes_on(tmp_path: Path, kind: str, ending: tuple[int, int, str] | None) -> None:
    run = tmp_path / "run"
    command = trainings(run)[kind]
    with running(*command) as process:
        wait_until(lambda: length(run) > 4, process)
        if ending is not None:
            assert_ends(process, ending)
        else:
            with running(*command) as second:
                _, errors = second.communicate(timeout=PATIENCE)
            assert second.returncode == 1
            assert f"another run is at work in {run}" in errors
            family = psutil.Process(process.pid).children(recursive=True)
            process.kill()
            process.communicate()
            assert psutil.wait_procs(family, timeout=30)[1] == []
    before = length(run)
    (run / ".training.json.12345678.tmp").touch()  # as a kill leaves it
    with running(*command) as process:
        wait_until(lambda: length(run) > before + 4, process)
    assert not (run / ".training.json.12345678.tmp").exists()


CUT = """
import os, signal, sys, time
from pathlib import Path
from vetime_plugins.cli import main
left, replace = int(sys.argv[1]), Path.replace
def cut(self, target):
    global left
    if left == 0:
        print("now", flush=True)
        time.sleep(600)
    left -= 1
    return replace(self, target)
Path.replace = cut
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.parametrize("ending", [*ENDINGS, None], ids=["SIGINT", "SIGTERM", "SIGKILL"])
@pytest.mark.parametrize("names", [0, 1])
def test_a_conversion(tmp_path: Path, names: int, ending: tuple[int, int, str] | None) -> None:
    """It is cut off before the first and before the second of its files has its name."""
    out = Path(save_tiny_weights(tmp_path / "out"))
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    command = ["convert", str(shared_path("parity/uni.safetensors")), str(out)]
    with running("-c", CUT, str(names), *command) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "now\n"
        if ending is not None:
            assert_ends(process, ending)
        else:
            process.kill()
            process.communicate()
    if names == 0:
        for name, content in before.items():
            assert (out / name).read_bytes() == content
    else:
        with pytest.raises(CheckpointError, match="what wrote it was cut off; make or fetch both again"):
            load_checkpoint(out)
    assert main(command) == 0
    load_checkpoint(out)
    assert sorted(path.name for path in out.iterdir()) == ["config.json", "model.safetensors"]


@pytest.fixture
def stalling() -> Iterator[Any]:
    """Serves half of what it announces, and then nothing until the test ends."""
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "200000")
            self.end_headers()
            self.wfile.write(bytes(100_000))
            self.wfile.flush()
            over.wait(PATIENCE)

        def log_message(self, *args: Any) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{http.server_port}/nab.tar.gz"
    over.set()
    http.shutdown()
    thread.join()
    http.server_close()


@pytest.mark.parametrize("ending", ENDINGS, ids=["SIGINT", "SIGTERM"])
def test_fetching(tmp_path: Path, stalling: str, ending: tuple[int, int, str]) -> None:
    to = tmp_path / "to"
    with running("-m", "vetime_plugins", "data", "fetch", "nab", "--to", to, "--url", stalling) as process:
        used = psutil.Process(process.pid)
        wait_until(lambda: any(to.glob(".nab-*.part")) and used.net_connections(), process)
        assert_ends(process, ending)
    (part,) = to.iterdir()  # which the next fetch goes on with
    assert part.suffix == ".part"


@pytest.mark.parametrize("ignored", [signal.SIGINT, signal.SIGHUP])
def test_what_is_ignored_stays_ignored(ignored: int) -> None:
    """As under nohup, and behind ``&`` in a script."""
    code = f"""
import signal, sys, time
signal.signal({int(ignored)}, signal.SIG_IGN)
from vetime_plugins._command import run_command
def call():
    print("now", flush=True)
    time.sleep(1)
    return 7
sys.exit(run_command("x", call))
"""
    with running("-c", code) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(ignored)
        assert process.wait(PATIENCE) == 7


CLEANING = """
import sys, time
from vetime_plugins._command import run_command
def call():
    try:
        print("now", flush=True)
        time.sleep(60)
    finally:
        print("cleaning", flush=True)
        time.sleep(float(sys.argv[1]))
        print("cleaned", flush=True)
sys.exit(run_command("x", call))
"""


@pytest.mark.parametrize(
    ("after", "status", "cleaned"), [(0.0, 143, ["cleaned\n"]), (1.5, -signal.SIGTERM, [])]
)
def test_a_second_signal(after: float, status: int, cleaned: list[str]) -> None:
    """At once it is the same one again, as `timeout` sends it; later it ends a hanging clean-up."""
    with running("-c", CLEANING, "2" if not after else "600") as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.terminate()
        assert process.stdout.readline() == "cleaning\n"
        time.sleep(after)
        process.terminate()
        assert process.wait(PATIENCE) == status
        assert process.stdout.readlines() == cleaned


def test_the_handlers_of_a_caller_come_back() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    assert main(["info", "--json"]) == 0
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


WORKER = """
import sys
from vetime_plugins.training.data import _begin_worker

_begin_worker(0)
for error in (ConnectionResetError("the training ended"), EOFError(), ValueError("a fault")):
    try:
        raise error
    except Exception:
        sys.excepthook(*sys.exc_info())
"""


def test_a_worker_says_nothing_of_a_training_that_ended() -> None:
    done = subprocess.run([sys.executable, "-c", WORKER], capture_output=True, text=True, timeout=PATIENCE)
    assert done.stderr.count("Traceback") == 1
    assert done.stderr.endswith("ValueError: a fault\n")
