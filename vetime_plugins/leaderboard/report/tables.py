"""The tables of the report that compare detectors."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from vetime_plugins.leaderboard.report.analysis import Analysis
from vetime_plugins.leaderboard.report.board import FAILURES, NOT_RUN, Board
from vetime_plugins.leaderboard.report.entries import (
    DASH,
    Column,
    Entry,
    Table,
    format_p,
    mark_best,
    show_bar,
    show_count,
    show_heat,
    show_number,
    show_score,
    show_text,
    text_column,
)
from vetime_plugins.leaderboard.report.origin import show_detector, show_framework, show_seen
from vetime_plugins.metrics.statistics import PairedDifference, average_ranks

__all__ = ["all_metrics", "by_dataset", "by_kind", "by_series", "show_difference", "standings", "win_matrix"]


_BOLD = "Bold: the two can be told apart (Wilcoxon, Holm). "


def standings(analysis: Analysis, links: Mapping[str, str] | None = None) -> Table:
    """Return the table that orders the detectors; `links` are the addresses of their own pages."""
    board = analysis.board
    columns = [
        text_column("detector"),
        Column("place", "by the mean over data sets", first="ascending"),
        Column(board.metric, "mean over data sets of the mean over their series, times 100"),
        text_column("framework"),
        Column("seen", "data sets of this run that it was trained or tuned on", numeric=False),
        Column("difference", f"in {board.metric} from {analysis.reference}, points of 100"),
        Column("95 % interval", "paired bootstrap over the series of each data set"),
        Column("rank", "average rank over series, 1 is best", first="ascending"),
        Column("wins", "share of comparisons won against each other detector on each series, in percent"),
        Column("seconds", "mean time to fit and score a compared series that succeeded", first="ascending"),
        Column("run", f"on how many of the folder's {len(board.every_series)} series"),
        Column("failed", "series without scores: error, time-out or out of memory"),
        Column("undefined", f"series with scores that {board.metric} is undefined on"),
    ]
    share = analysis.wins.share.copy()
    np.fill_diagonal(share, math.nan)
    rows, members = [], {}
    for i, name in enumerate(board.detectors):
        wins = share[i][~np.isnan(share[i])]
        mean = board.summary(name).mean[board.metric]
        place = show_number(math.nan if math.isnan(mean) else i + 1, ".0f")
        compared = [
            *_from_reference(analysis, name),
            show_number(analysis.comparison.ranks[i], ".2f"),
            show_number(100 * wins.mean() if wins.size else math.nan, ".0f"),
        ]
        rows.append(_standing(board, name, mean, place, compared, (links or {}).get(name, "")))
        if analysis.others.get(name):
            members[name] = [_member(analysis.every, other) for other in analysis.others[name]]
    return Table(f"Detectors by {board.metric}", columns, rows, members=members)


def _member(board: Board, name: str) -> list[Entry]:
    """Return the row of a detector that another one stands for, beside which it is not compared."""
    measured = board.measured(name, board.metric)  # on other series its mean would mislead
    mean = board.summary(name).mean[board.metric] if measured else math.nan
    return _standing(board, name, mean, Entry(""), [Entry("")] * 4)


def _standing(
    board: Board, name: str, mean: float, place: Entry, compared: Sequence[Entry], href: str = ""
) -> list[Entry]:
    counts = board.counts(name)
    failed, n_run = sum(counts[status] for status in FAILURES), counts.total() - counts[NOT_RUN]
    return [
        show_detector(board, name, href),
        place,
        show_bar(mean),
        show_framework(board, name),
        show_seen(board.of(name)),
        *compared,
        show_number(board.seconds(name), ".3g"),
        Entry(str(n_run), float(n_run), kind="bad" if counts[NOT_RUN] else ""),
        show_count(failed, "bad"),
        show_count(board.count_undefined(name)),
    ]


def all_metrics(board: Board) -> Table:
    """Return every detector's mean over data sets in every metric that any has on all series."""
    means = {metric: board.means(metric) for metric in (*board.metrics, *board.unmeasured)}
    means = {metric: found for metric, found in means.items() if found}
    columns = [text_column("detector"), *(Column(metric) for metric in means)]
    rows = [
        [show_detector(board, name), *(show_heat(found.get(name, math.nan)) for found in means.values())]
        for name in board.detectors
    ]
    return Table("Means over data sets, every metric", columns, mark_best(rows))


def by_dataset(board: Board, metric: str) -> Table:
    """Return every detector's mean on every data set."""
    defined = ~np.isnan(board.values(metric)).any(axis=1)
    sizes = Counter(key.dataset for key, kept in zip(board.series, defined, strict=True) if kept)
    columns = [
        text_column("detector"),
        Column("mean", "over data sets"),
        *(Column(name, f"{name}: {sizes[name]} series") for name in board.datasets),
    ]
    rows = []
    for name in board.detectors:
        summary = board.summary(name)
        values = [summary.mean[metric], *(summary.datasets[d][metric] for d in board.datasets)]
        rows.append([show_detector(board, name), *(show_heat(value) for value in values)])
    counts = [sum(sizes.values()), *(sizes[name] for name in board.datasets)]
    footer = [[Entry("series"), *(Entry(str(n), float(n)) for n in counts)]]
    return Table(f"{metric} by data set", columns, mark_best(rows), footer=footer)


def by_kind(board: Board) -> Table | None:
    """Return means and ranks over the univariate and over the multivariate series; None for one kind.

    A detector is compared on a kind only where it was run on every series of it.
    """
    boards = board.by_kind()
    if len(boards) < 2:
        return None
    columns = [text_column("detector")]
    entries: dict[str, list[Entry]] = {name: [show_detector(board, name)] for name in board.detectors}
    for kind, part in boards.items():
        n_series, complete = len(part.series), part.detectors
        columns += [
            Column(f"{kind} {board.metric}", "mean over data sets of the mean over their series, times 100"),
            Column("rank", f"average rank among the {len(complete)} detectors compared", first="ascending"),
            Column("run", f"on how many of the {n_series} {kind} series"),
            Column("failed", f"{kind} series without scores"),
        ]
        ranks = dict(zip(complete, average_ranks(part.defined()), strict=True)) if complete else {}
        for name, row in entries.items():
            mean = part.summary(name).mean[board.metric] if name in ranks else math.nan
            statuses = Counter(board.status(name, key) for key in part.series)
            n_run = n_series - statuses[NOT_RUN]
            failed = sum(statuses[status] for status in FAILURES)
            run = Entry(str(n_run), float(n_run), kind="bad" if n_run < n_series else "")
            rank = show_number(ranks.get(name, math.nan), ".2f")
            row += [show_score(mean), rank, run, show_count(failed, "bad")]
    note = (
        "Over all series of a kind, and so over other series than the standings where some detectors were "
        "run on one kind only. A detector that lacks some series of a kind is not compared on it: ranks are "
        f"among {' and '.join(f'{len(part.detectors)} ({kind})' for kind, part in boards.items())} detectors."
    )
    return Table(
        f"{board.metric} of univariate and multivariate series", columns, list(entries.values()), note
    )


def by_series(board: Board) -> Table:
    """Return every value of the metric, series by series."""
    columns = [text_column("series"), text_column("data set"), *_numbered(board)]
    rows = []
    for i, key in enumerate(board.series):
        row = [show_text(key.name), show_text(key.dataset)]
        for j, name in enumerate(board.detectors):
            status, value = board.status(name, key), float(board.values()[i, j])
            if status != "OK":
                row.append(Entry(status, None if math.isnan(value) else value, kind="bad"))
            elif value == 0 and math.isnan(board.cells[name, key].metrics[board.metric]):
                row.append(Entry("undefined", value, "for this detector alone: counts as 0", kind="bad"))
            else:
                row.append(show_score(value))
        rows.append(row)
    note = "Columns are numbered like the places above; hover over a number for the name."
    return Table(f"{board.metric} on every series", columns, rows, note)


def win_matrix(analysis: Analysis) -> Table:
    """Return how often the detector of the row is better than that of the column."""
    board, wins, comparison = analysis.board, analysis.wins, analysis.comparison
    columns = [text_column("detector"), *_numbered(board)]
    rows = []
    share = wins.share
    for i, name in enumerate(board.detectors):
        row = [replace(show_detector(board, name), text=f"{i + 1} {name}", value=float(i + 1))]
        for j, other in enumerate(board.detectors):
            if i == j or math.isnan(share[i, j]):
                row.append(Entry("" if i == j else DASH))
                continue
            won, tied = int(wins.wins[i, j]), int(wins.ties[i, j])
            title = f"{name} against {other}: {won} won, {tied} tied, {wins.n_series - won - tied} lost"
            if analysis.enough:
                title += f"; p {format_p(comparison.p_values[i, j])}"
            kind = "sure" if analysis.enough and comparison.p_values[i, j] <= comparison.level else ""
            weight = round(2 * float(share[i, j]) - 1, 3) if analysis.enough else None
            row.append(Entry(f"{100 * share[i, j]:.0f}", float(share[i, j]), title, kind, weight))
        rows.append(row)
    note = (
        "Percent of the series on which the detector of the row is better than that of the column; a tie "
        f"counts half. {_BOLD if analysis.enough else ''}Columns are numbered like the rows."
    )
    return Table("Who beats whom", columns, rows, note)


def _from_reference(analysis: Analysis, name: str) -> list[Entry]:
    found = analysis.differences.get(name)
    if name == analysis.reference:
        return [Entry("reference", 0.0), Entry("")]
    return [Entry(DASH), Entry("")] if found is None else show_difference(found, sure=analysis.enough)


def show_difference(found: PairedDifference, *, sure: bool) -> list[Entry]:
    """Return a difference and its interval, coloured where the interval is clear of zero and `sure`."""
    if not found.has_interval:
        title = "no data set has two series: there is nothing to resample"
        return [Entry(f"{100 * found.difference:+.1f}", found.difference), Entry(DASH, title=title)]
    kind = ("good" if found.low > 0 else "bad" if found.high < 0 else "") if sure else ""
    interval = f"{100 * found.low:+.1f} to {100 * found.high:+.1f}"
    title = f"over {found.n_series} series of {found.n_datasets} data sets"
    return [
        Entry(f"{100 * found.difference:+.1f}", found.difference, kind=kind),
        Entry(interval, found.low, title, kind),
    ]


def _numbered(board: Board) -> list[Column]:
    return [Column(str(i + 1), name) for i, name in enumerate(board.detectors)]
