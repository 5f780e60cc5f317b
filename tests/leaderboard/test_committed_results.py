"""The committed cells: the tables of the documentation are what they say."""

from __future__ import annotations

import csv
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from vetime_plugins.cli import main
from vetime_plugins.detectors.specs import choose
from vetime_plugins.leaderboard.export import read_cells
from vetime_plugins.leaderboard.tasks import Task

pytest.importorskip("jinja2", reason="the report needs the extra report")
pytest.importorskip("matplotlib", reason="the report needs the extra report")

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "docs" / f"leaderboard-{name}.md" for name in ("results", "kinds")]
RESULTS = ROOT / "benchmarks" / "results" / "leaderboard"


def report_commands() -> list[tuple[Path, list[str]]]:
    """Return the pages and the arguments of each `vetime leaderboard report` on them."""
    return [
        (page, shlex.split(line)[1:])
        for page in PAGES
        for line in page.read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
        if line.startswith("vetime leaderboard report ")
    ]


@pytest.mark.parametrize(
    ("page", "arguments"), report_commands(), ids=[Path(one[2]).stem for _, one in report_commands()]
)
def test_the_tables_of_the_page_are_those_of_the_committed_cells(page, arguments, tmp_path, monkeypatch):
    source, markdown = ROOT / arguments[2], arguments[arguments.index("--markdown") + 1]
    monkeypatch.chdir(tmp_path)
    assert main([*arguments[:2], str(source), *arguments[3:]]) == 0
    text = (tmp_path / markdown).read_text(encoding="utf-8")
    assert text in page.read_text(encoding="utf-8")


def table_commands() -> list[list[str]]:
    """Return the commands of docs/accuracy.md that tabulate committed cells."""
    lines = (ROOT / "docs" / "accuracy.md").read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    commands = [shlex.split(line)[1:] for line in lines if line.startswith("python benchmarks/")]
    return [one for one in commands if any(word.startswith("benchmarks/results/") for word in one)]


@pytest.mark.parametrize("command", table_commands(), ids=" ".join)
def test_the_tables_of_accuracy_are_those_of_the_committed_cells(command):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    made = subprocess.run(
        [sys.executable, *command], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    ).stdout
    assert made.strip().startswith("| ")
    assert made in (ROOT / "docs" / "accuracy.md").read_text(encoding="utf-8")


def test_every_committed_table_of_cells_can_be_read():
    assert len(table_commands()) == 8
    found = 0
    for path in sorted(RESULTS.parent.rglob("*.csv")):
        with path.open(encoding="utf-8", newline="") as stream:
            if "train_length" not in next(csv.reader(stream)):  # curves, and evidence of selection
                continue
        cells = read_cells(path)
        assert {cell.status for cell in cells} <= {"OK", "ERROR", "TIMEOUT", "OOM"}
        assert len({(cell.detector, cell.dataset, cell.series) for cell in cells}) == len(cells)
        found += 1
    assert found == 13


@pytest.mark.parametrize(
    ("kind", "folder", "n_series"),
    [
        ("univariate", "leaderboard", 132),
        ("multivariate", "leaderboard", 40),
        ("textbook", "textbook", 256),
        ("smd", "textbook", 16),
    ],
)
def test_the_run_is_complete(kind, folder, n_series):
    task = Task.read(ROOT / "benchmarks" / "leaderboard" / f"{kind}.toml")
    cells = read_cells(RESULTS.parent / folder / f"{kind}.csv")
    assert {cell.task for cell in cells} == {task.name}
    assert {cell.detector for cell in cells} == {one.name for one in choose(task.detectors)}
    if task.source.datasets is not None:
        assert {cell.dataset for cell in cells} == set(task.source.datasets)
    series = {cell.series for cell in cells}
    assert len(series) == n_series
    assert len(cells) == len(series) * len({cell.detector for cell in cells})
