"""The leaderboard as a table in Markdown, for a page of documentation."""

from __future__ import annotations

import html
import math
import re

from vetime_plugins.leaderboard.report.board import FAILURES, NOT_RUN
from vetime_plugins.leaderboard.report.statistics import Analysis
from vetime_plugins.leaderboard.report.tables import percent

__all__ = ["render_markdown"]

_SHOWN = ("VUS-PR", "VUS-ROC", "AUC-PR", "AUC-ROC", "Standard-F1", "Affiliation-F1")


def render_markdown(analysis: Analysis) -> str:
    """Return two tables: the detectors with their means, and one metric by data set.

    Parameters
    ----------
    analysis : Analysis

    Returns
    -------
    str
        Ends in a line break.
    """
    board = analysis.board
    metrics = [board.metric, *(name for name in _SHOWN if name in board.metrics and name != board.metric)]
    summaries = {name: board.summary(name) for name in board.detectors}
    head = ["", "detector", *metrics, "rank", "difference", "failed", "seconds"]
    table = []
    for place, name in enumerate(board.detectors, start=1):
        found = analysis.differences.get(name)
        difference = "-"
        if found is not None:
            low, high = 100 * found.low, 100 * found.high
            difference = f"{100 * found.difference:+.1f} [{low:+.1f}, {high:+.1f}]"
        seconds, rank = board.seconds(name), analysis.comparison.ranks[place - 1]
        table.append(
            [
                str(place),
                _escape(name),
                *(percent(summaries[name].mean[metric]) for metric in metrics),
                "-" if math.isnan(rank) else f"{rank:.2f}",
                difference,
                str(sum(board.counts(name)[status] for status in FAILURES)),
                "-" if math.isnan(seconds) else f"{seconds:.3g}",
            ]
        )
    by_dataset = [
        [_escape(name), *(percent(summaries[name].datasets[d][board.metric]) for d in board.datasets)]
        for name in board.detectors
    ]
    not_run = sum(board.counts(name)[NOT_RUN] for name in board.detectors)
    missing = f" {not_run} cells were not run." if not_run else ""
    left_out = f" Left out: {len(board.left_out)} series that some detector was not run on."
    notes = (
        f"{len(board.series)} series of {len(board.datasets)} data sets, {board.metric} defined on "
        f"{analysis.comparison.n_series}. Every value is a mean over data sets, times 100; a failure counts "
        f"as 0.{missing}{left_out if board.left_out else ''} *rank*: average over series, 1 is best. "
        f"*difference*: in {board.metric} from {_escape(analysis.reference)}, with the 95 % interval of a "
        "paired bootstrap. *seconds*: mean time to fit and score a series."
    )
    return (
        "\n\n".join(
            [
                notes,
                _table(head, table, left={1}),
                f"{board.metric} by data set:",
                _table(["detector", *map(_escape, board.datasets)], by_dataset, left={0}),
            ]
        )
        + "\n"
    )


def _table(head: list[str], rows: list[list[str]], *, left: set[int]) -> str:
    rule = ["---" if at in left else "---:" for at in range(len(head))]
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, rule, *rows))


def _escape(name: str) -> str:
    """Return a name that Markdown shows as it is."""
    escaped = re.sub(r"([\\`*_\[\]|~])", r"\\\1", html.escape(name, quote=False))
    return " ".join(escaped.split())
