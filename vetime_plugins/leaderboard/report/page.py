"""The page: what it shows and in which order, and the files it is put together from."""

from __future__ import annotations

import base64
import hashlib
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from importlib import resources
from os import PathLike
from typing import Any

from vetime_plugins._files import whole_file
from vetime_plugins._lazy import need
from vetime_plugins.errors import InputError
from vetime_plugins.leaderboard.export import load_cells
from vetime_plugins.leaderboard.report import breakdown, figures, records, tables
from vetime_plugins.leaderboard.report.analysis import Analysis
from vetime_plugins.leaderboard.report.board import (
    FAILURES,
    NOT_RUN,
    Board,
    Kind,
    Missing,
    find_kind,
)
from vetime_plugins.leaderboard.report.downloads import as_address, as_csv, as_json
from vetime_plugins.leaderboard.report.earlier import Changes, find_changes
from vetime_plugins.leaderboard.report.entries import format_p
from vetime_plugins.leaderboard.report.groups import analyse_cells
from vetime_plugins.leaderboard.report.markdown import render_markdown
from vetime_plugins.leaderboard.report.origin import count_frameworks, describe_run, framework_of
from vetime_plugins.leaderboard.report.series import SeriesSource, choose_series, draw_scores
from vetime_plugins.leaderboard.report.svg import FRAMEWORKS
from vetime_plugins.leaderboard.results import Cell

__all__ = ["compare_with", "render", "render_page", "write_report", "write_text"]


def write_report(
    folder: str | PathLike[str],
    out: str | PathLike[str],
    *,
    metric: str = "VUS-PR",
    against: str | None = None,
    data: str | PathLike[str] | None = None,
    missing: Missing = "leave-out",
    only: Kind | None = None,
    detectors: Sequence[str] | None = None,
    compare: str | PathLike[str] | None = None,
    markdown: str | PathLike[str] | None = None,
    merge: bool = True,
) -> Analysis:
    """Write the report of a folder of results.

    Parameters
    ----------
    folder : str or path
        Of results, or a file of `vetime leaderboard export`; without scores no series is drawn.
    out : str or path
        The HTML file.
    metric : str, default "VUS-PR"
        To order and compare the detectors by.
    against : str, optional
        Detector to compare the others with; the best one where left out.
    data : str or path, optional
        Folder of the series, for results that came without them.
    missing : {"leave-out", "zero"}, default "leave-out"
        What to do with series that some detectors were not run on, see `build_board`.
    only : {"univariate", "multivariate"}, optional
        Report the series of this kind, and the detectors that were run on any of them.
    detectors : sequence of str, optional
        Report these alone: names, or shell patterns of names.
    compare : str or path, optional
        An earlier run, as `folder` is one: what has changed since becomes a section of the page.
    markdown : str or path, optional
        File for the table in Markdown.
    merge : bool, default True
        Show one model behind several names, and detectors that agree in every metric on every series, as one.

    Returns
    -------
    Analysis
        What the report says.

    Raises
    ------
    InputError
        If the folder holds no results that can be compared, there is no such metric or detector, or a file
        cannot be written.
    MissingDependencyError
        If Jinja or matplotlib is not installed.
    """
    cells = load_cells(folder)
    if not cells:
        raise InputError(f"no results in {folder}; make some with: vetime leaderboard run TASK --out DIR")
    if only is not None:
        cells = [cell for cell in cells if find_kind(cell) == only]
        if not cells:
            raise InputError(f"no results in {folder} are of {only} series; leave out --only {only}")
    if detectors is not None:
        cells = _choose(cells, detectors)
    analysis = analyse_cells(cells, metric=metric, against=against, missing=missing, group=merge)
    changes = None if compare is None else compare_with(analysis, compare, only=only, detectors=detectors)
    write_text(out, render_page(analysis, SeriesSource(folder, data), changes=changes))
    if markdown is not None:
        write_text(markdown, render_markdown(analysis))
    return analysis


def compare_with(
    analysis: Analysis,
    source: str | PathLike[str],
    *,
    only: Kind | None = None,
    detectors: Sequence[str] | None = None,
) -> Changes:
    """Return what has changed since an earlier run; InputError if it cannot be read or compared.

    What a report leaves out by `only` and `detectors` is left out of the earlier run too.
    """
    patterns = ["*"] if detectors is None else detectors
    try:
        cells = [
            cell
            for cell in load_cells(source)
            if only in (None, find_kind(cell))
            and (cell.detector in patterns or any(fnmatchcase(cell.detector, one) for one in patterns))
        ]
        return find_changes(analysis, cells)
    except InputError as error:
        raise InputError(f"the earlier run {source}: {error}") from error


def _choose(cells: Sequence[Cell], patterns: Sequence[str]) -> list[Cell]:
    """Return the cells of detectors that fit a pattern; a name is itself, whatever brackets it holds."""
    names = {cell.detector for cell in cells}
    chosen = set()
    for pattern in patterns:
        fitting = {pattern} & names or {name for name in names if fnmatchcase(name, pattern)}
        if not fitting:
            raise InputError(f"no detector fits {pattern}; the results are of {', '.join(sorted(names))}")
        chosen |= fitting
    return [cell for cell in cells if cell.detector in chosen]


def render_page(
    analysis: Analysis,
    source: SeriesSource,
    *,
    changes: Changes | None = None,
    home: str = "",
    links: Mapping[str, str] | None = None,
    files: Mapping[str, str] | None = None,
) -> str:
    """Return the HTML page of a run; the same for the same results: nothing of it is of the day it is made.

    Parameters
    ----------
    analysis : Analysis
    source : SeriesSource
        Where scores are drawn from.
    changes : Changes, optional
        Those since an earlier run.
    home : str
        Address of a page above this one.
    links : mapping of str to str, optional
        Addresses of pages about detectors.
    files : mapping of str to str, optional
        Addresses of the standings as data, by name; the page itself holds them where left out.

    Returns
    -------
    str

    Raises
    ------
    MissingDependencyError
        If Jinja or matplotlib is not installed.
    """
    return render(
        "report.html.jinja",
        **_describe(analysis, links),
        changes=changes,
        home=home,
        files=files or _embed_files(analysis),
        pictures=_draw(analysis),
        drawings=_draw_series(analysis, source),
    )


def _embed_files(analysis: Analysis) -> dict[str, str]:
    return {
        "standings.csv": as_address(as_csv(analysis), "text/csv"),
        "standings.json": as_address(as_json(analysis), "application/json"),
    }


def render(template: str, **fields: Any) -> str:
    """Return a page made of one of the templates, with the style and the script that all pages have.

    Raises
    ------
    MissingDependencyError
        If Jinja is not installed.
    """
    jinja = need("jinja2", "the report needs jinja2>=3.1", extra="report")
    assets = {
        file.name: file.read_text(encoding="utf-8")
        for file in resources.files(__package__).joinpath("assets").iterdir()
        if file.name.endswith((".jinja", ".css", ".js"))
    }
    environment = jinja.Environment(
        loader=jinja.DictLoader(assets),
        autoescape=True,  # names come from whoever ran the leaderboard; pictures are marked as safe
        undefined=jinja.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals["frameworks"] = FRAMEWORKS
    script = assets["report.js"]
    # The page's policy names the one script that may run: a name that got past the escaping would not.
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    page: str = environment.get_template(template).render(
        **fields, style=assets["report.css"], script=script, script_hash=digest
    )
    return page


def _draw(analysis: Analysis) -> dict[str, str | None]:
    """Draw the figures; None where there is nothing to draw."""
    several = len(analysis.board.detectors) > 1 and analysis.comparison.n_series > 0
    compared = any(found is not None for found in analysis.differences.values())
    return {
        "ranks": figures.draw_ranks(analysis) if several else None,
        "differences": figures.draw_differences(analysis) if compared else None,
        "time": figures.draw_trade_off(analysis),
    }


def _draw_series(analysis: Analysis, source: SeriesSource) -> list[tuple[str, str, str | None]]:
    """Return heading, reason and picture of the series that are shown; None where it could not be drawn."""
    board = analysis.board
    return [
        ("/".join(key), why, draw_scores(f"series{number}", board, key, source))
        for number, (key, why) in enumerate(choose_series(board, analysis.reference))
    ]


def _describe(analysis: Analysis, links: Mapping[str, str] | None) -> Mapping[str, Any]:
    """Return the texts and tables that the template fills in."""
    board, every, comparison = analysis.board, analysis.every, analysis.comparison
    others = [name for name in board.metrics if name != board.metric]
    sizes = Counter(key.dataset for key in board.series)
    counts = sum((every.counts(name) for name in every.detectors), Counter())
    tasks = sorted({cell.task for cell in board.every_cell()})
    return {
        "title": ", ".join(filter(None, tasks)) or "cells of no named task",
        "board": board,
        "comparison": comparison,
        "reference": analysis.reference,
        "n_single": sum(size == 1 for size in sizes.values()),
        "incomplete": _group_incomplete(board),
        "n_ok": counts["OK"],
        "counts": [(status, counts[status]) for status in (*FAILURES, NOT_RUN) if counts[status]],
        "friedman": None if math.isnan(comparison.friedman_p) else format_p(comparison.friedman_p),
        "level": f"{100 * comparison.level:.0f} %",
        "facts": describe_run(every),
        "frameworks_found": count_frameworks(
            framework
            for name in board.detectors
            for framework in {
                framework_of(every, one) for one in (name, *analysis.others.get(name, ()))
            }  # a row counts for each framework that it stands for
        ),
        "n_grouped": sum(map(len, analysis.others.values())),
        "enough": analysis.enough,
        "standings": tables.standings(analysis, links),
        "all_metrics": tables.all_metrics(board),
        "by_dataset": tables.by_dataset(board, board.metric),
        "other_metrics": [tables.by_dataset(board, name) for name in others],
        "by_kind": tables.by_kind(board),
        "by_anomaly": breakdown.by_anomaly(board),
        "by_recurrence": breakdown.by_recurrence(board),
        "win_matrix": tables.win_matrix(analysis),
        "by_series": tables.by_series(board),
        "runs": records.runs(every),
        "failures": records.failures(every),
        "undefined": records.undefined(board),
        "provenance": records.provenance(every),
    }


def _group_incomplete(board: Board) -> list[tuple[int, str]]:
    """Return how many series detectors lack, and which lack as many: all of them, since they are few."""
    lacking: dict[int, list[str]] = {}
    for name in board.detectors:
        lacking.setdefault(board.counts(name)[NOT_RUN], []).append(name)
    return [(number, ", ".join(sorted(names))) for number, names in sorted(lacking.items()) if number]


def write_text(path: str | PathLike[str], text: str) -> None:
    """Write a page; InputError if that cannot be."""
    try:
        with whole_file(path) as stream:
            stream.write(text.encode("utf-8", "backslashreplace"))
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}") from error
