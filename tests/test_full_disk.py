"""What writes files on a disk that fills up: one clear error, and no half of a file under its name."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests._shared import noisy_wave, shared_path
from tests._tiny import save_tiny_weights
from tests.test_signals import TRAINING
from vetime_plugins.cli import main
from vetime_plugins.cli.tables import write_columns
from vetime_plugins.network.conversion import convert_official
from vetime_plugins.streaming import StreamingVETime
from vetime_plugins.synthesis.backgrounds import save_backgrounds
from vetime_plugins.training import expectation

resource = pytest.importorskip("resource")

RUN = [
    "leaderboard",
    "run",
    "embedded",
    "--limit",
    "2",
    "--detectors",
    "random",
    "--metric",
    "VUS-PR",
    "--quiet",
]

Refused = Callable[..., str]


@contextmanager
def room(limit: int) -> Iterator[None]:
    """Have no file with more bytes than that: every write beyond it fails, in whatever library."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture
def refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """Run a command where no file may have more bytes; return its one line."""
    monkeypatch.chdir(tmp_path)

    def run(limit: int, *command: str | Path) -> str:
        capsys.readouterr()
        with room(limit):
            status = main([str(part) for part in command])
        lines = [line for line in capsys.readouterr().err.splitlines() if " points/s" not in line]  # a log
        assert (status, len(lines)) == (1, 1), lines
        assert "File too large" in lines[0]
        return lines[0]

    return run


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".lock"
    }


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a table, and what commands wrote into it before."""
    (tmp_path / "x.csv").write_text("value\n" + "\n".join(map(str, noisy_wave(2000))))
    return tmp_path


@pytest.mark.parametrize("name", ["out.csv", "out.parquet", "out.png", "out.svg"])
@pytest.mark.parametrize("before", [None, b"from before"])
def test_scores_tables_and_pictures(place: Path, refused: Refused, name: str, before: bytes | None) -> None:
    if name.endswith(".parquet"):
        pytest.importorskip("pyarrow")
    if before is not None:
        (place / name).write_bytes(before)
    there = files(place)
    option = "--plot" if name[-3:] in {"png", "svg"} else "--out"
    line = refused(4096, "score", "x.csv", option, name)
    assert line.startswith(f"vetime score: error: cannot write {name}: ")
    assert files(place) == there


def test_incidents(place: Path, refused: Refused) -> None:
    there = files(place)
    # A dozen bytes are less than the header.
    assert "cannot write i.csv" in refused(12, "score", "x.csv", "--incidents", "i.csv")
    assert files(place) == there


@pytest.mark.parametrize("limit", [400, 4096])
def test_a_conversion(place: Path, refused: Refused, limit: int) -> None:
    """The file of weights does not fit, or even its description does not."""
    source = shared_path("parity/uni.safetensors")
    convert_official(source, place / "out")
    there = files(place)
    line = refused(limit, "convert", source, "out")
    assert line.startswith("vetime convert: error: File too large")
    assert files(place) == there
    refused(limit, "convert", source, "new")
    assert files(place) == there


@pytest.mark.parametrize("limit", [600, 6000])
def test_a_training(place: Path, refused: Refused, limit: int) -> None:
    """The state does not fit, or even the configuration does not; with room it goes on."""
    text = TRAINING.replace("vision = 1000000", "vision = 3").replace("workers = 1", "workers = 0")
    (place / "t.toml").write_text(text)
    refused(limit, "train", "t.toml", "--out", "run")
    assert set(files(place / "run")) <= {"training.json", "curve.csv"}
    assert main(["train", "t.toml", "--out", "run"]) == 0
    assert {"training.json", "curve.csv", "weights/config.json"} <= set(files(place / "run"))


@pytest.fixture
def results(place: Path) -> Path:
    """Results of one detector on two series."""
    pytest.importorskip("joblib")
    assert main([*RUN, "--out", str(place / "results")]) == 0
    return place / "results"


@pytest.mark.parametrize("limit", [100, 3000])
def test_a_leaderboard(place: Path, refused: Refused, limit: int) -> None:
    """Scores do not fit, or even a description does not; with room it goes on."""
    pytest.importorskip("joblib")
    refused(limit, *RUN, "--out", "results")
    assert not [name for name in files(place / "results") if name.endswith(".tmp")]
    assert main([*RUN, "--out", "results"]) == 0


def test_reports_and_exports(place: Path, refused: Refused, results: Path) -> None:
    pytest.importorskip("jinja2")
    there = files(place)
    line = refused(100, "leaderboard", "export", "results", "--out", "cells.csv")
    assert line.startswith("vetime leaderboard: error: ")
    line = refused(100, "leaderboard", "report", "results", "--out", "page.html")
    assert "cannot write page.html" in line
    refused(100, "leaderboard", "site", "results", "--out", "site")
    assert files(place) == there


def test_fetching(place: Path, refused: Refused) -> None:
    archive = place / "a.tar.gz"
    archive.write_bytes(bytes(100_000))
    there = files(place)
    line = refused(4096, "data", "fetch", "nab", "--to", "to", "--url", archive.as_uri())
    assert line.startswith("vetime data: error: cannot write to: ")
    assert {name for name in files(place) if not name.endswith(".part")} == set(there)


@pytest.mark.parametrize("what", ["stream", "bank", "run"])
def test_what_python_writes(tmp_path: Path, what: str) -> None:
    for name in ("stream", "bank"):
        (tmp_path / name).write_bytes(b"from before")
    stream = StreamingVETime(16)
    stream.warm_up(np.sin(np.arange(40) / 3))
    calls: dict[str, Callable[[], Any]] = {
        "stream": lambda: stream.save(tmp_path / "stream"),
        "bank": lambda: save_backgrounds(tmp_path / "bank", {"a": np.arange(1000.0)}),
        "run": lambda: expectation.train(expectation.ExpectationTraining(), tmp_path / "run"),
    }
    with room(300), pytest.raises(OSError, match="File too large"):
        calls[what]()
    assert files(tmp_path) == {"stream": b"from before", "bank": b"from before"}


def test_a_link_stays_and_what_it_points_to_is_replaced(place: Path) -> None:
    (place / "real.csv").write_text("from before")
    (place / "real.csv").chmod(0o640)
    (place / "link.csv").symlink_to("real.csv")
    write_columns(place / "link.csv", {"a": np.arange(2)})
    assert (place / "link.csv").is_symlink()
    assert (place / "real.csv").read_text() == "a\n0\n1\n"
    assert (place / "real.csv").stat().st_mode & 0o777 == 0o640


def test_pipes_are_written_to_as_they_are(place: Path) -> None:
    weights = save_tiny_weights(place / "tiny")
    os.mkfifo(place / "pipe")
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.extend((place / "pipe").read_text().splitlines()))
    reader.start()
    command = ["score", str(place / "x.csv"), "--weights", weights, "--threshold", "0.5"]
    assert main([*command, "--out", str(place / "pipe")]) == 0
    reader.join()
    assert len(read) == 2001
    assert (place / "pipe").is_fifo()
