"""What happens to threads, forks and memory, and to files on a full disk."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests._shared import noisy_wave
from tests._tiny import save_tiny_weights
from vetime_plugins import VETimePipeline
from vetime_plugins.errors import OutOfMemoryError, VETimeError
from vetime_plugins.streaming import StreamingVETime


@pytest.fixture(scope="module")
def small() -> VETimePipeline:
    return VETimePipeline.from_pretrained("small", device="cpu")


def test_eight_threads_share_one_pipeline(small: VETimePipeline) -> None:
    many = [noisy_wave(150 + 10 * i, None if i % 2 else 2, seed=i) for i in range(16)]
    expected = [small.score(one) for one in many]
    with ThreadPoolExecutor(8) as threads:
        for found, one in zip(threads.map(small.score, many), expected, strict=True):
            np.testing.assert_array_equal(found, one)


FORK = """
import os, numpy as np
from vetime_plugins import VETimePipeline
pipeline, x = VETimePipeline.from_pretrained("small", device="cpu"), np.sin(np.arange(300) / 5)
expected = pipeline.score(x)
children = []
for _ in range(4):
    child = os.fork()
    if not child:
        os._exit(not np.array_equal(pipeline.score(x), expected))
    children.append(child)
assert [os.waitpid(child, 0)[1] for child in children] == [0] * 4
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("threads", ["1", "2"])
def test_four_forks_of_a_loaded_process_score(threads: str) -> None:
    result = subprocess.run(
        [sys.executable, "-c", FORK],
        env={**os.environ, "OMP_NUM_THREADS": threads},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize(
    "error",
    [
        MemoryError("Unable to allocate 5.00 TiB"),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 5 GiB"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 5 bytes\nstack"),
    ],
)
def test_without_memory_the_error_says_sizes_and_cure(tmp_path: Path, error: Exception) -> None:
    pipeline = VETimePipeline.from_pretrained(save_tiny_weights(tmp_path), device="cpu", batch_size=3)

    def refuse(*args: Any, **kwargs: Any) -> None:
        raise error

    hook = pipeline.model.register_forward_pre_hook(refuse)
    message = r"100 steps x 2 variables, in batches of 3 chunks: .*allocate.* Take a smaller batch_size"
    with pytest.raises(OutOfMemoryError, match=message) as caught:
        pipeline.score(noisy_wave(100, 2))
    assert isinstance(caught.value, MemoryError)
    assert isinstance(caught.value, VETimeError)
    assert "\n" not in str(caught.value)
    hook.remove()
    assert pipeline.score(noisy_wave(100, 2)).shape == (100,)


def test_other_errors_of_the_network_stay_what_they_are(tmp_path: Path) -> None:
    pipeline = VETimePipeline.from_pretrained(save_tiny_weights(tmp_path), device="cpu")
    pipeline.model.register_forward_pre_hook(lambda *args: torch.zeros(2) @ torch.zeros(3))
    with pytest.raises(RuntimeError, match="inconsistent tensor size"):
        pipeline.score(noisy_wave(100))


LITTLE_MEMORY = """
import resource, sys, numpy as np
from vetime_plugins import VETimePipeline
from vetime_plugins.errors import OutOfMemoryError
pipeline = VETimePipeline.from_pretrained("small", device="cpu")
x = np.random.default_rng(0).normal(size=300)
before = pipeline.score(x)
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 2**26, -1))
try:
    pipeline.score(np.random.default_rng(0).normal(size=(20_000, 40)))
except OutOfMemoryError as error:
    assert "20000 steps x 40 variables" in str(error), error
else:
    raise SystemExit("it fitted")
assert np.array_equal(pipeline.score(x), before)
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux")
def test_a_process_lives_on_after_memory_ended() -> None:
    result = subprocess.run(
        [sys.executable, "-c", LITTLE_MEMORY], capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stderr) == (0, "")


def test_a_full_disk_leaves_the_saved_stream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = StreamingVETime(16)
    stream.warm_up(noisy_wave(40))
    stream.save(tmp_path / "stream")
    before = (tmp_path / "stream").read_bytes()

    def full(file: Any, **arrays: Any) -> None:
        file.write(b"half of it")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", full)
    with pytest.raises(OSError, match="No space left"):
        stream.save(tmp_path / "stream")
    assert (tmp_path / "stream").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["stream"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux")
@pytest.mark.parametrize(
    "arguments", [["info"], ["info", "--json"], ["score", "x.csv", "--out", "/dev/full"]]
)
def test_the_command_on_a_full_disk_says_so_in_a_line(tmp_path: Path, arguments: list[str]) -> None:
    (tmp_path / "x.csv").write_text("value\n" + "\n".join(map(str, noisy_wave(60))))
    with open("/dev/full", "w") as full:
        result = subprocess.run(
            [sys.executable, "-m", "vetime_plugins", *arguments],
            cwd=tmp_path,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert result.returncode == 1
    assert "No space left on device" in result.stderr
    assert result.stderr.count("\n") == 1
