"""A static site made of runs: a page that lists them, the report of each, and a page about each detector."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from urllib.parse import quote

from vetime_plugins.errors import InputError
from vetime_plugins.leaderboard.export import load_cells, write_cells
from vetime_plugins.leaderboard.report import profile
from vetime_plugins.leaderboard.report.analysis import Analysis
from vetime_plugins.leaderboard.report.downloads import as_csv, as_json
from vetime_plugins.leaderboard.report.earlier import Changes
from vetime_plugins.leaderboard.report.entries import (
    DASH,
    Column,
    Entry,
    Table,
    show_bar,
    show_count,
    show_text,
    text_column,
)
from vetime_plugins.leaderboard.report.groups import analyse_cells
from vetime_plugins.leaderboard.report.origin import (
    count_frameworks,
    describe_run,
    framework_of,
    show_detector,
    show_framework,
    show_seen,
)
from vetime_plugins.leaderboard.report.page import compare_with, render, render_page, write_text
from vetime_plugins.leaderboard.report.series import SeriesSource
from vetime_plugins.leaderboard.results import Cell

__all__ = ["write_site"]

_INDEX = "index.html"
_FOLDER = "detectors"


@dataclass(frozen=True, eq=False)
class _Run:
    """One run: its source, its name, which is that of its files, its cells, and what its report says."""

    source: Path
    name: str
    cells: list[Cell]
    analysis: Analysis

    @property
    def page(self) -> str:
        return f"{self.name}.html"

    @property
    def tasks(self) -> set[str]:
        return {cell.task for cell in self.cells} - {""}

    @property
    def files(self) -> dict[str, str]:
        """Addresses of its data, by the names of the files."""
        names = (f"{self.name}.csv", f"{self.name}.json", f"{self.name}-cells.csv")
        return {name: quote(name) for name in names}


def write_site(
    runs: Sequence[str | PathLike[str]],
    out: str | PathLike[str],
    *,
    metric: str = "VUS-PR",
    title: str = "Leaderboard",
    compare: Sequence[str | PathLike[str]] = (),
) -> list[Path]:
    """Write a folder of pages that link to each other and load nothing, to be put on any web server.

    Parameters
    ----------
    runs : sequence of str or path
        Folders of results, or files of `vetime leaderboard export`; the page of a run is called like it.
        Beside it come the standings as ``.csv`` and ``.json``, and every cell as ``-cells.csv``.
    out : str or path
        Folder of the site, made where it is missing; files of the same names are replaced, others stay.
    metric : str, default "VUS-PR"
        To order and compare the detectors by.
    title : str, default "Leaderboard"
    compare : sequence of str or path
        Earlier runs, each of the task of one of the `runs`, whose page says what has changed since.

    Returns
    -------
    list of pathlib.Path
        The pages, the index first.

    Raises
    ------
    InputError
        If there is no run, two have the same name, one holds no results that can be compared, or an earlier
        run is not of the task of exactly one of them.
    MissingDependencyError
        If Jinja or matplotlib is not installed.
    """
    if not runs:
        raise InputError("a site needs a run: a folder of results, or a file of `vetime leaderboard export`")
    read = [_read(Path(run), metric) for run in runs]
    names = [run.name for run in read]
    for name in names:
        if names.count(name) > 1 or f"{name}.html" == _INDEX:
            raise InputError(f"the page of two runs would be {name}.html; rename one of the files or folders")
    changes = _match(read, compare)
    detectors = sorted({name for run in read for name in run.analysis.board.detectors})
    files = {name: f"{_FOLDER}/{_file_name(name)}.html" for name in detectors}
    root = Path(out)
    pages = {_INDEX: _index(read, files, metric, title)}
    for run in read:
        links = {name: quote(files[name]) for name in run.analysis.board.detectors}
        pages[run.page] = render_page(
            run.analysis,
            SeriesSource(run.source, None),
            changes=changes.get(run.name),
            home=_INDEX,
            links=links,
            files=run.files,
        )
    pages |= {files[name]: _detector(name, read, metric, title) for name in detectors}
    try:
        (root / _FOLDER).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make the folder {root}: {error.strerror or error}") from error
    for name, text in pages.items():
        write_text(root / name, text)
    for run in read:
        write_text(root / f"{run.name}.csv", as_csv(run.analysis))
        write_text(root / f"{run.name}.json", as_json(run.analysis))
        write_cells(root / f"{run.name}-cells.csv", run.cells)
    return [root / name for name in pages]


def _read(source: Path, metric: str) -> _Run:
    try:
        cells = load_cells(source)
        analysis = analyse_cells(cells, metric=metric)
    except InputError as error:
        raise InputError(f"{source}: {error}") from error
    return _Run(source, _file_name(source.resolve().stem), cells, analysis)


def _match(runs: Sequence[_Run], earlier: Sequence[str | PathLike[str]]) -> dict[str, Changes]:
    """Return what has changed since earlier runs, by the name of the run of the same task."""
    found: dict[str, Changes] = {}
    for source in earlier:
        tasks = {cell.task for cell in load_cells(source)} - {""}
        fitting = [run for run in runs if run.tasks == tasks and run.name not in found]
        if len(fitting) != 1:
            raise InputError(
                f"an earlier run must be of the task of exactly one run; {source} is of "
                f"{', '.join(sorted(tasks)) or 'no task'}, and {len(fitting)} runs without an earlier one are"
            )
        found[fitting[0].name] = compare_with(fitting[0].analysis, source)
    return found


def _index(runs: Sequence[_Run], files: dict[str, str], metric: str, title: str) -> str:
    columns = [
        text_column("run"),
        text_column("task"),
        text_column("days"),
        Column("detectors"),
        Column("series"),
        Column("data sets"),
        text_column("first"),
        Column(metric, "mean over data sets of the first, times 100"),
    ]
    rows = []
    for run in runs:
        board, facts = run.analysis.board, dict(describe_run(run.analysis.every))
        first = board.detectors[0]
        rows.append(
            [
                Entry(run.name, run.name, href=quote(run.page)),
                show_text(facts.get("Task", DASH)),
                show_text(facts.get("Run", DASH).partition(";")[0]),  # what lacks a day is told on its page
                show_count(len(board.detectors)),
                show_count(len(board.series)),
                show_count(len(board.datasets)),
                Entry(first, first, href=quote(files[first])),
                show_bar(board.summary(first).mean[metric]),
            ]
        )
    several = [
        text_column("detector"),
        text_column("framework"),
        *(Column(run.name, f"{metric}, mean over data sets, times 100") for run in runs),
        Column("seen", "data sets of the runs that it was trained or tuned on", numeric=False),
    ]
    means = []
    for name, file in files.items():
        mine = [run.analysis for run in runs if name in run.analysis.board.detectors]
        board = next((one.board for one in mine if framework_of(one.board, name)), mine[0].board)
        values = (
            run.analysis.board.summary(name).mean[metric] if run.analysis in mine else math.nan
            for run in runs
        )
        means.append(
            [
                show_detector(board, name, quote(file)),
                show_framework(board, name),
                *map(show_bar, values),
                show_seen([cell for one in mine for cell in one.board.of(name)]),
            ]
        )
    means.sort(key=lambda row: -max(entry.bar or 0.0 for entry in row))
    return render(
        "site.html.jinja",
        title=title,
        lead=f"{len(files)} detectors, {len(runs)} run{'s' * (len(runs) > 1)}.",
        home="",
        facts=[],
        framework="",
        tables=[Table("Runs", columns, rows)],
        sections={},
        filtered=Table(f"{metric} of every detector", several, means, _SAME),
        frameworks_found=count_frameworks(row[0].framework for row in means),
    )


_SAME = (
    "Each value is a mean over the data sets of a run, times 100; runs have different series. A detector "
    "that another one stands for in every run has its row in the reports alone."
)


def _detector(name: str, runs: Sequence[_Run], metric: str, title: str) -> str:
    """Return the page of a detector: its place in every run, and what it is good at."""
    mine = {run.name: run.analysis for run in runs if name in run.analysis.board.detectors}
    pages = {run.name: f"../{quote(run.page)}" for run in runs}
    return render(
        "site.html.jinja",
        title=f"{name} - {title}",
        lead="",
        home=f"../{_INDEX}",
        facts=profile.facts(name, list(mine.values())),
        framework=next(filter(None, (framework_of(one.board, name) for one in mine.values())), ""),
        tables=[profile.places(name, mine, pages, metric)],
        sections={run: profile.strengths(name, run, one) for run, one in mine.items()},
        filtered=None,
        frameworks_found=[],
    )


def _file_name(name: str) -> str:
    """Return a name for a page that is one in an address too: distinct for distinct names."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.")
    return plain if plain == name else f"{plain}-{hashlib.sha256(name.encode()).hexdigest()[:6]}"
