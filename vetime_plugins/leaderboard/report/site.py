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
from vetime_plugins.leaderboard.export import load_cells
from vetime_plugins.leaderboard.report.analysis import Analysis, analyse
from vetime_plugins.leaderboard.report.board import FAILURES, build_board
from vetime_plugins.leaderboard.report.entries import (
    DASH,
    Column,
    Entry,
    Table,
    show_count,
    show_number,
    show_score,
    show_text,
    text_column,
)
from vetime_plugins.leaderboard.report.origin import describe_run, find_framework, find_seen, merge_equal
from vetime_plugins.leaderboard.report.page import render, render_page, write_text
from vetime_plugins.leaderboard.report.series import SeriesSource

__all__ = ["write_site"]

_INDEX = "index.html"
_FOLDER = "detectors"
_METRICS = ("VUS-PR", "AUC-PR", "Exact-Peak")  # on the page of a detector, besides the one of the site


@dataclass(frozen=True, eq=False)
class _Run:
    """One run: its source, its name, which is that of its page, and what its report says."""

    source: Path
    name: str
    analysis: Analysis
    merged: dict[str, list[str]]

    @property
    def page(self) -> str:
        return f"{self.name}.html"


def write_site(
    runs: Sequence[str | PathLike[str]],
    out: str | PathLike[str],
    *,
    metric: str = "VUS-PR",
    title: str = "Leaderboard",
) -> list[Path]:
    """Write a folder of pages that link to each other and load nothing, to be put on any web server.

    Parameters
    ----------
    runs : sequence of str or path
        Folders of results, or files of `vetime leaderboard export`; the page of a run is called like it.
    out : str or path
        Folder of the site, made where it is missing; files of the same names are replaced, others stay.
    metric : str, default "VUS-PR"
        To order and compare the detectors by.
    title : str, default "Leaderboard"

    Returns
    -------
    list of pathlib.Path
        The pages, the index first.

    Raises
    ------
    InputError
        If there is no run, two have the same name, or one holds no results that can be compared.
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
    detectors = sorted({name for run in read for name in run.analysis.board.detectors})
    files = {name: f"{_FOLDER}/{_file_name(name)}.html" for name in detectors}
    root = Path(out)
    pages = {_INDEX: _index(read, files, metric, title)}
    for run in read:
        links = {name: quote(files[name]) for name in run.analysis.board.detectors}
        source = SeriesSource(run.source, None)
        pages[run.page] = render_page(run.analysis, source, run.merged, home=_INDEX, links=links)
    pages |= {files[name]: _detector(name, read, metric, title) for name in detectors}
    try:
        (root / _FOLDER).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make the folder {root}: {error.strerror or error}") from error
    for name, text in pages.items():
        write_text(root / name, text)
    return [root / name for name in pages]


def _read(source: Path, metric: str) -> _Run:
    cells, merged = merge_equal(load_cells(source))
    try:
        board = build_board(cells, metric=metric)
    except InputError as error:
        raise InputError(f"{source}: {error}") from error
    return _Run(source, _file_name(source.resolve().stem), analyse(board), merged)


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
        board, facts = run.analysis.board, dict(describe_run(run.analysis.board))
        first = board.detectors[0]
        rows.append(
            [
                Entry(run.name, run.name, href=quote(run.page)),
                show_text(facts.get("Task", DASH)),
                show_text(facts.get("Run", DASH)),
                show_count(len(board.detectors)),
                show_count(len(board.series)),
                show_count(len(board.datasets)),
                Entry(first, first, href=quote(files[first])),
                show_score(board.summary(first).mean[metric]),
            ]
        )
    several = [text_column("detector"), text_column("framework"), *(Column(run.name) for run in runs)]
    means = []
    for name, file in files.items():
        row = [Entry(name, name, href=quote(file)), show_text(_framework(name, runs) or DASH)]
        for run in runs:
            board = run.analysis.board
            row.append(show_score(board.summary(name).mean[metric] if name in board.detectors else math.nan))
        means.append(row)
    return render(
        "site.html.jinja",
        title=title,
        lead=f"{len(files)} detectors, {len(runs)} runs.",
        home="",
        tables=[Table("Runs", columns, rows), Table(f"{metric} of every detector", several, means, _SAME)],
    )


_SAME = "Each value is a mean over the data sets of a run, times 100; runs have different series."


def _detector(name: str, runs: Sequence[_Run], metric: str, title: str) -> str:
    """Return the page of a detector: its place in every run, and its means on every data set."""
    mine = [run for run in runs if name in run.analysis.board.detectors]
    cells = [cell for run in mine for cell in run.analysis.board.of(name)]
    shown = [
        one
        for one in dict.fromkeys((metric, *_METRICS))
        if any(one in r.analysis.board.metrics for r in mine)
    ]
    columns = [
        text_column("run"),
        text_column("place"),
        *(Column(one, "mean over data sets, times 100") for one in shown),
        Column("rank", "average over series, 1 is best", first="ascending"),
        Column("failed"),
        Column("seconds", "mean time to fit and score a series", first="ascending"),
    ]
    rows, by_dataset = [], []
    for run in mine:
        board = run.analysis.board
        at = board.detectors.index(name)
        summary, counts = board.summary(name), board.counts(name)
        rows.append(
            [
                Entry(run.name, run.name, href=f"../{quote(run.page)}"),
                Entry(f"{at + 1} of {len(board.detectors)}", float(at + 1)),
                *(show_score(summary.mean.get(one, math.nan)) for one in shown),
                show_number(run.analysis.comparison.ranks[at], ".2f"),
                show_count(sum(counts[status] for status in FAILURES), "bad"),
                show_number(board.seconds(name), ".3g"),
            ]
        )
        heads = [text_column("data set"), *(Column(one) for one in board.metrics)]
        values = [
            [show_text(dataset), *(show_score(means[one]) for one in board.metrics)]
            for dataset, means in summary.datasets.items()
        ]
        by_dataset.append(Table(f"{run.name}: means by data set", heads, values))
    others = sorted({other for run in mine for other in run.merged.get(name, ())})
    seen = find_seen(cells)
    facts = [
        ("Framework", _framework(name, runs)),
        ("The same as", ", ".join(others)),
        (
            "Parameters",
            ", ".join(sorted({f"{k}={v!r}" for cell in cells for k, v in cell.parameters.items()})),
        ),
        ("Versions", ", ".join(sorted({f"{k} {v}" for cell in cells for k, v in cell.versions.items()}))),
        *((f"{how.capitalize()} on", ", ".join(sets)) for how, sets in seen.items()),
    ]
    return render(
        "site.html.jinja",
        title=f"{name} - {title}",
        lead=". ".join(f"{what}: {text}" for what, text in facts if text),
        home=f"../{_INDEX}",
        tables=[Table("Runs", columns, rows), *by_dataset],
    )


def _framework(name: str, runs: Sequence[_Run]) -> str:
    found = (find_framework(cell) for run in runs for cell in run.analysis.board.of(name))
    return next((one for one in found if one), "")


def _file_name(name: str) -> str:
    """Return a name for a page that is one in an address too: distinct for distinct names."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.")
    return plain if plain == name else f"{plain}-{hashlib.sha256(name.encode()).hexdigest()[:6]}"
