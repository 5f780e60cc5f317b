"""The page of one detector: where it stands in every run, and on what it is better and worse than others."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from vetime_plugins.leaderboard.report import breakdown, tables
from vetime_plugins.leaderboard.report.analysis import Analysis
from vetime_plugins.leaderboard.report.board import FAILURES
from vetime_plugins.leaderboard.report.entries import (
    Column,
    Entry,
    Table,
    percent,
    show_bar,
    show_count,
    show_number,
    show_score,
    show_text,
    text_column,
)
from vetime_plugins.leaderboard.report.origin import find_seen, framework_of, tells_seen

__all__ = ["facts", "places", "strengths"]

_METRICS = ("VUS-PR", "AUC-PR", "Exact-Peak")  # besides the one of the site


def facts(name: str, runs: Sequence[Analysis]) -> list[tuple[str, str]]:
    """Return what is known of a detector: framework, other names, parameters, versions, what it has seen."""
    cells = [cell for run in runs for cell in run.board.of(name)]
    others = sorted({other for run in runs for other in run.others.get(name, ())})
    versions = sorted({f"{what} {one}" for cell in cells for what, one in cell.versions.items()})
    parameters = sorted({f"{what}={one!r}" for cell in cells for what, one in cell.parameters.items()})
    seen = find_seen(cells)
    nothing = "none of these data" if tells_seen(cells) else "not told"
    found = [
        ("Framework", next(filter(None, (framework_of(run.board, name) for run in runs)), "")),
        ("Stands for", ", ".join(others)),
        ("Parameters", ", ".join(parameters)),
        ("Trained on", ", ".join(seen.get("trained", ())) or nothing),
        ("Tuned on", ", ".join(seen.get("tuned", ())) or nothing),
        ("Versions", ", ".join(versions)),
    ]
    return [(what, text) for what, text in found if text]


def places(name: str, runs: Mapping[str, Analysis], pages: Mapping[str, str], metric: str) -> Table:
    """Return a row a run: place, means, rank, failures and time; `pages` are the addresses of the runs."""
    shown = [
        one
        for one in dict.fromkeys((metric, *_METRICS))
        if any(name in run.board.means(one) for run in runs.values())
    ]
    columns = [
        text_column("run"),
        text_column("place"),
        *(Column(one, "mean over data sets, times 100") for one in shown),
        Column("rank", "average over series, 1 is best", first="ascending"),
        Column("failed"),
        Column("seconds", "mean time to fit and score a series", first="ascending"),
    ]
    rows = []
    for run, analysis in runs.items():
        board = analysis.board
        at = board.detectors.index(name)
        counts = board.counts(name)
        rows.append(
            [
                Entry(run, run, href=pages[run]),
                Entry(f"{at + 1} of {len(board.detectors)}", float(at + 1)),
                *(show_bar(board.means(one).get(name, math.nan)) for one in shown),
                show_number(analysis.comparison.ranks[at], ".2f"),
                show_count(sum(counts[status] for status in FAILURES), "bad"),
                show_number(board.seconds(name), ".3g"),
            ]
        )
    return Table("Runs", columns, rows)


def strengths(name: str, run: str, analysis: Analysis) -> list[Table]:
    """Return where a detector stands by data set, kind of anomaly, recurrence and metric."""
    board = analysis.board
    recurrence = breakdown.by_recurrence(board)
    found = [
        (f"{board.metric} by data set, {run}", tables.by_dataset(board, board.metric)),
        *((f"{table.caption}, {run}", table) for table in breakdown.by_anomaly(board)),
        *([(f"By recurrence of the anomaly, {run}", recurrence)] if recurrence is not None else []),
        (f"Every metric, {run}", tables.all_metrics(board)),
    ]
    made = [_against_the_best(name, caption, table) for caption, table in found]
    standings = tables.standings(analysis)
    if name in standings.members:
        (own,) = (row for row in standings.rows if row[0].of == name)
        members = standings.members[name]
        told = [at for at in range(len(own)) if any(row[at].text for row in members)]
        rows = [[row[at] for at in told] for row in (own, *members)]
        columns = [standings.columns[at] for at in told]
        made.insert(0, Table(f"What stands in one row, {run}", columns, rows))
    return made


def _against_the_best(name: str, caption: str, table: Table) -> Table:
    """Return the columns of a table as rows: the detector's value, its place, and the best with its name."""
    columns = [
        text_column("of"),
        Column("value", "times 100"),
        text_column("place"),
        Column("best", "times 100"),
        text_column("by"),
    ]
    rows = []
    for at, column in enumerate(table.columns[1:], start=1):
        values = {row[0].of: one for row in table.rows if isinstance(one := row[at].value, float)}
        if (value := values.get(name)) is None:
            rows.append([show_text(column.text), show_score(math.nan), Entry(""), Entry(""), Entry("")])
            continue
        place = 1 + sum(percent(other) != percent(value) and other > value for other in values.values())
        best = max(values, key=values.__getitem__)
        rows.append(
            [
                show_text(column.text),
                show_bar(value),
                Entry(f"{place} of {len(values)}", float(place)),
                show_score(values[best]),
                show_text(best, "name"),
            ]
        )
    return Table(caption, columns, rows)
