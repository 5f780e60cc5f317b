"""The leaderboard as tables in Markdown, for a page of documentation."""

from __future__ import annotations

import html
import math
import re

from vetime_plugins.leaderboard.export import pandas
from vetime_plugins.leaderboard.report import breakdown, tables
from vetime_plugins.leaderboard.report.analysis import Analysis
from vetime_plugins.leaderboard.report.board import NOT_RUN
from vetime_plugins.leaderboard.report.entries import DASH, Table, percent
from vetime_plugins.leaderboard.report.origin import find_seen
from vetime_plugins.metrics.statistics import PairedDifference

__all__ = ["render_markdown"]

_NAMED = 20  # data sets; more are a number
_SHOWN = ("VUS-PR", "VUS-ROC", "AUC-PR", "AUC-ROC", "Standard-F1", "Affiliation-F1", "Exact-Peak")


def render_markdown(analysis: Analysis) -> str:
    """Return the detectors with their means, and one metric by data set, by kind of series and of anomaly.

    Parameters
    ----------
    analysis : Analysis

    Returns
    -------
    str
    """
    board = analysis.board
    parts = [_describe(analysis), _standings(analysis)]
    told = breakdown.only_kinds(board) or len(board.datasets) == 1  # by the other tables
    by_dataset = None if told else tables.by_dataset(board, board.metric)
    broken_down = (*breakdown.by_anomaly(board), breakdown.by_recurrence(board))
    for table in (tables.by_kind(board), by_dataset, *broken_down):
        if table is not None:
            parts += [f"{table.caption}:", _convert(table)]
            parts += [table.note] if table.note else []
    return "\n\n".join(parts) + "\n"


def _describe(analysis: Analysis) -> str:
    """Return the paragraph above the tables: what they rest on, and what their columns mean."""
    board, metric = analysis.board, analysis.board.metric
    sentences = [
        f"{len(board.series)} series of {len(board.datasets)} data set{'s' * (len(board.datasets) > 1)}, "
        f"{metric} defined on "
        f"{analysis.comparison.n_series}. Every value is a mean over data sets, times 100; a failure counts "
        "as 0."
    ]
    not_run = sum(board.counts(name)[NOT_RUN] for name in board.detectors)
    if board.left_out:
        sentences.append(
            f"Left out: {len(board.left_out)} series that some detector was not run on ({not_run} cells)."
        )
    elif not_run:
        sentences.append(f"{not_run} cells were not run, and count as 0.")
    sentences.append(
        f"*rank*: average over series, 1 is best. *difference*: in {metric} from "
        f"{_escape(analysis.reference)}, with the 95 % interval of a paired bootstrap. *run*, *failed*: "
        f"series, of the {len(board.every_series)} there are. *seconds*: mean time to fit and score a "
        "series, of those that succeeded."
    )
    told = {name: find_seen(board.of(name)) for name in board.detectors}
    seen = [
        f"{_escape(name)} ({'; '.join(f'{how} on {_escape(_list(sets))}' for how, sets in found.items())})"
        for name, found in told.items()
        if found
    ]
    if seen:
        sentences.append(f"Detectors that have seen these data: {', '.join(seen)}.")
    if partly := [name for name in board.unmeasured if name in _SHOWN]:
        sentences.append(f"Not taken of every detector: {', '.join(partly)}.")
    if not analysis.enough:
        sentences.append("With fewer than five series no difference is sure.")
    return " ".join(sentences)


def _list(names: list[str]) -> str:
    return ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")


def _standings(analysis: Analysis) -> str:
    board = analysis.board
    means = {name: board.means(name) for name in dict.fromkeys((board.metric, *_SHOWN))}
    means = {name: found for name, found in means.items() if found}
    head = ["", "detector", *means, "rank", "difference", "run", "failed", "seconds"]
    table = tables.standings(analysis)
    rows = []
    for name, row in zip(board.detectors, table.rows, strict=True):
        shown = {column.text: entry.text for column, entry in zip(table.columns, row, strict=True)}
        own = [percent(found.get(name, math.nan)) for found in means.values()]
        difference = _difference(analysis.differences.get(name))
        rest = [shown[column] for column in ("run", "failed", "seconds")]
        rows.append([shown["place"], _escape(name), *own, shown["rank"], difference, *rest])
    return _table(head, rows, left={1})


def _difference(found: PairedDifference | None) -> str:
    if found is None:
        return DASH
    interval = f" [{100 * found.low:+.1f}, {100 * found.high:+.1f}]" if found.has_interval else ""
    return f"{100 * found.difference:+.1f}{interval}"


def _convert(table: Table) -> str:
    head = [_escape(column.text) for column in table.columns]
    rows = [[_escape(entry.text) for entry in row] for row in (*table.rows, *table.footer)]
    return _table(head, rows, left={at for at, column in enumerate(table.columns) if not column.numeric})


def _table(head: list[str], rows: list[list[str]], *, left: set[int]) -> str:
    align = ["left" if at in left else "right" for at in range(len(head))]
    frame = pandas().DataFrame(rows, columns=head)
    return str(frame.to_markdown(index=False, colalign=align, disable_numparse=True))


def _escape(name: str) -> str:
    """Return a name that Markdown shows as it is."""
    escaped = re.sub(r"([\\`*_\[\]|~])", r"\\\1", html.escape(name, quote=False))
    return " ".join(escaped.split())
