"""The report's tables as data: what is in a cell, what it sorts by, what it says on hovering."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from vetime_plugins.leaderboard.evaluation import PairedDifference
from vetime_plugins.leaderboard.report.board import FAILURES, NOT_RUN, Board
from vetime_plugins.leaderboard.report.statistics import Comparison, Wins

__all__ = [
    "Column",
    "Entry",
    "Table",
    "all_metrics",
    "by_dataset",
    "by_series",
    "failures",
    "percent",
    "provenance",
    "runs",
    "standings",
    "undefined",
    "win_matrix",
]

_DASH = "-"
_NAMED = 3  # series named as examples of many


@dataclass(frozen=True)
class Column:
    """A column's heading; `title` spells out what `text` abbreviates.

    `first` is the order of the first click: "descending" where the largest is the most interesting.
    """

    text: str
    title: str = ""
    numeric: bool = True
    first: str = "descending"


@dataclass(frozen=True)
class Entry:
    """One cell: its text, what it sorts by (None: last), and how it looks.

    `weight` in [-1, 1] colours it from one end of the scale to the other; `more` is a long text to unfold.
    """

    text: str
    value: float | str | None = None
    title: str = ""
    kind: str = ""
    weight: float | None = None
    more: str = ""


@dataclass(frozen=True)
class Table:
    """Rows of as many entries as there are columns; the first entry of each is its heading."""

    caption: str
    columns: list[Column]
    rows: list[list[Entry]]
    note: str = ""
    footer: list[list[Entry]] = field(default_factory=list)

    @property
    def name_width(self) -> int:
        """Characters that the headings of the rows may take before they wrap."""
        return min(max((len(row[0].text) for row in self.rows), default=0), 36)


def percent(value: float) -> str:
    """Return a value in [0, 1] as points of 100, or a dash for NaN."""
    return _DASH if math.isnan(value) else f"{100 * value:.1f}"


def standings(
    board: Board,
    comparison: Comparison,
    wins: Wins,
    differences: Mapping[str, PairedDifference | None],
    reference: str,
) -> Table:
    """Return the table that orders the detectors."""
    columns = [
        Column("detector", numeric=False, first="ascending"),
        Column("place", "by the mean over data sets", first="ascending"),
        Column(board.metric, "mean over data sets of the mean over their series, times 100"),
        Column("rank", "average rank over series, 1 is best", first="ascending"),
        Column("wins", "share of comparisons won against each other detector on each series, in percent"),
        Column("difference", f"in {board.metric} from {reference}, points of 100"),
        Column("95 % interval", "paired bootstrap over the series of each data set"),
        Column("failed", "series without scores: error, time-out or out of memory", first="descending"),
        Column("seconds", "mean time to fit and score a series", first="ascending"),
    ]
    share = wins.share.copy()
    np.fill_diagonal(share, math.nan)
    rows = []
    for i, name in enumerate(board.detectors):
        mean = board.summary(name).mean[board.metric]
        counts = board.counts(name)
        failed = sum(counts[status] for status in FAILURES)
        others = share[i][~np.isnan(share[i])]
        rows.append(
            [
                Entry(name, name),
                Entry(str(i + 1), float(i + 1)),
                _score(mean),
                _number(comparison.ranks[i], ".2f"),
                _number(100 * others.mean() if others.size else math.nan, ".0f"),
                *_difference(differences.get(name), name == reference),
                Entry(str(failed), float(failed), kind="bad" if failed else ""),
                _number(board.seconds(name), ".3g"),
            ]
        )
    return Table(f"Detectors by {board.metric}", columns, rows)


def all_metrics(board: Board) -> Table:
    """Return every detector's mean over data sets in every metric."""
    columns = [
        Column("detector", numeric=False, first="ascending"),
        *(Column(name) for name in board.metrics),
    ]
    rows = []
    for name in board.detectors:
        means = board.summary(name).mean
        rows.append([Entry(name, name), *(_score(means[metric]) for metric in board.metrics)])
    return Table("Means over data sets, every metric", columns, _mark_best(rows))


def by_dataset(board: Board, metric: str) -> Table:
    """Return every detector's mean on every data set."""
    defined = ~np.isnan(board.values(metric)).any(axis=1)
    sizes = Counter(key.dataset for key, kept in zip(board.series, defined, strict=True) if kept)
    columns = [
        Column("detector", numeric=False, first="ascending"),
        Column("mean", "over data sets"),
        *(Column(name, f"{name}: {sizes[name]} series") for name in board.datasets),
    ]
    rows = []
    for name in board.detectors:
        summary = board.summary(name)
        values = [summary.mean[metric], *(summary.datasets[d][metric] for d in board.datasets)]
        rows.append([Entry(name, name), *(_score(value) for value in values)])
    counts = [sum(sizes.values()), *(sizes[name] for name in board.datasets)]
    footer = [[Entry("series"), *(Entry(str(n), float(n)) for n in counts)]]
    return Table(f"{metric} by data set", columns, _mark_best(rows), footer=footer)


def by_series(board: Board) -> Table:
    """Return every value of the metric, series by series."""
    columns = [
        Column("series", numeric=False, first="ascending"),
        Column("data set", numeric=False, first="ascending"),
        *_numbered(board),
    ]
    rows = []
    for i, key in enumerate(board.series):
        row = [Entry(key.name, key.name), Entry(key.dataset, key.dataset)]
        for j, name in enumerate(board.detectors):
            status, value = board.status(name, key), float(board.values()[i, j])
            if status == "OK":
                row.append(_score(value))
            else:
                row.append(Entry(status, None if math.isnan(value) else value, kind="bad"))
        rows.append(row)
    note = "Columns are numbered like the places above; hover over a number for the name."
    return Table(f"{board.metric} on every series", columns, rows, note)


def win_matrix(board: Board, wins: Wins, comparison: Comparison) -> Table:
    """Return how often the detector of the row is better than that of the column."""
    columns = [Column("detector", numeric=False, first="ascending"), *_numbered(board)]
    rows = []
    share = wins.share
    for i, name in enumerate(board.detectors):
        row = [Entry(f"{i + 1} {name}", float(i + 1))]
        for j, other in enumerate(board.detectors):
            if i == j or math.isnan(share[i, j]):
                row.append(Entry("" if i == j else _DASH))
                continue
            won, tied = int(wins.wins[i, j]), int(wins.ties[i, j])
            title = (
                f"{name} against {other}: {won} won, {tied} tied, {wins.n_series - won - tied} lost; "
                f"p = {comparison.p_values[i, j]:.2g}"
            )
            kind = "sure" if comparison.p_values[i, j] <= comparison.level else ""
            weight = round(2 * float(share[i, j]) - 1, 3)
            row.append(Entry(f"{100 * share[i, j]:.0f}", float(share[i, j]), title, kind, weight))
        rows.append(row)
    note = (
        "Percent of the series on which the detector of the row is better than that of the column; a tie "
        "counts half. Bold: the two can be told apart (Wilcoxon, Holm). Columns are numbered like the rows."
    )
    return Table("Who beats whom", columns, rows, note)


def runs(board: Board) -> Table:
    """Return what became of every detector's cells, and what they took."""
    memory = any(cell.peak_gpu_bytes is not None for name in board.detectors for cell in board.of(name))
    columns = [
        Column("detector", numeric=False, first="ascending"),
        Column("OK"),
        *(Column(status) for status in FAILURES),
        Column("not run"),
        Column("fit, s", "mean over the series that succeeded", first="ascending"),
        Column("score, s", "mean over the series that succeeded", first="ascending"),
        Column("train part", "whether it was fitted on the train part", numeric=False),
        Column("device", numeric=False),
        *([Column("GPU, MiB", "largest peak of a series")] if memory else []),
        Column("parameters", numeric=False),
    ]
    rows = []
    for name in board.detectors:
        cells, counts = board.of(name), board.counts(name)
        good = [cell for cell in cells if not cell.failed]
        peaks = [cell.peak_gpu_bytes for cell in cells if cell.peak_gpu_bytes is not None]
        seen = {cell.saw_train for cell in good or cells}
        rows.append(
            [
                Entry(name, name),
                Entry(str(counts["OK"]), float(counts["OK"])),
                *(
                    Entry(str(counts[status]), float(counts[status]), kind="bad" if counts[status] else "")
                    for status in (*FAILURES, NOT_RUN)
                ),
                _number(_mean(cell.fit_seconds for cell in good), ".3g"),
                _number(_mean(cell.score_seconds for cell in good), ".3g"),
                _text("both" if len(seen) == 2 else "seen" if seen == {True} else "not seen"),
                _text(", ".join(sorted({cell.device for cell in cells}))),
                *([_number(max(peaks) / 2**20 if peaks else math.nan, ".0f")] if memory else []),
                _text(", ".join(sorted({_parameters(cell.parameters) for cell in cells})) or _DASH),
            ]
        )
    return Table("Cells: one detector on one series", columns, rows)


def failures(board: Board) -> Table | None:
    """Return every failure, those with the same last line together; None where there is none."""
    found: dict[tuple[str, str, str], list[tuple[str, str]]] = {}
    for name in board.detectors:
        for cell in board.of(name):
            if cell.failed:
                lines = (cell.error or "").strip().splitlines() or ["no message recorded"]
                where = f"{cell.dataset}/{cell.series}"
                found.setdefault((name, cell.status, lines[-1]), []).append((where, cell.error or ""))
    if not found:
        return None
    columns = [
        Column("detector", numeric=False, first="ascending"),
        Column("status", numeric=False, first="ascending"),
        Column("series"),
        Column("what happened", numeric=False, first="ascending"),
    ]
    rows = []
    for (name, status, message), places in found.items():
        named = ", ".join(place for place, _ in places)
        count = Entry(str(len(places)), float(len(places)), more=named)
        rows.append(
            [Entry(name, name), _text(status, "bad"), count, Entry(message, message, more=places[0][1])]
        )
    return Table("Failures", columns, rows)


def undefined(board: Board) -> Table | None:
    """Return the metrics that are undefined, where and why; None where there are none."""
    found = board.undefined()
    if not found:
        return None
    by_reason: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for (metric, reason), keys in found.items():
        places = tuple(f"{key.dataset}/{key.name}" for key in keys)
        by_reason.setdefault((reason, places), []).append(metric)
    columns = [
        Column("reason", numeric=False, first="ascending"),
        Column("metrics", numeric=False, first="ascending"),
        Column("series", numeric=False),
    ]
    rows = []
    for (reason, places), names in by_reason.items():
        metrics = "all" if len(names) == len(board.metrics) else ", ".join(names)
        shown = ", ".join(places[:_NAMED]) + (", …" if len(places) > _NAMED else "")
        count = Entry(f"{len(places)}: {shown}", float(len(places)), more="\n".join(places[_NAMED:]))
        rows.append([_text(reason), _text(metrics), count])
    return Table("Undefined metrics", columns, rows)


def provenance(board: Board) -> Table:
    """Return machine, versions and seed, with the number of cells that share each value."""
    found: dict[tuple[str, str], Counter[str]] = {}
    total = 0
    for name in board.detectors:
        for cell in board.of(name):
            total += 1
            entries = [("run", "task", cell.task), ("run", "seed", cell.seed), ("run", "device", cell.device)]
            entries += [("machine", key, value) for key, value in cell.hardware.items()]
            entries += [("version", key, value) for key, value in cell.versions.items()]
            for group, key, value in entries:
                text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
                found.setdefault((group, key), Counter())[text] += 1
    columns = [
        Column("what", numeric=False, first="ascending"),
        Column("kind", numeric=False, first="ascending"),
        Column("value", numeric=False, first="ascending"),
        Column("cells"),
    ]
    order = {"run": 0, "machine": 1, "version": 2}
    rows = []
    for (group, key), values in sorted(found.items(), key=lambda item: (order[item[0][0]], item[0][1])):
        for value, count in sorted(values.items()):
            kind = "bad" if len(values) > 1 and group == "machine" else ""
            number = Entry("all" if count == total else str(count), float(count))
            rows.append([_text(key), _text(group), _text(value, kind), number])
    return Table("Where the results come from", columns, rows)


def _difference(found: PairedDifference | None, is_reference: bool) -> list[Entry]:
    if found is None:
        return [Entry("reference" if is_reference else _DASH, 0.0 if is_reference else None), Entry("")]
    kind = "good" if found.low > 0 else "bad" if found.high < 0 else ""
    interval = f"{100 * found.low:+.1f} to {100 * found.high:+.1f}"
    title = f"over {found.n_series} series of {found.n_datasets} data sets"
    return [
        Entry(f"{100 * found.difference:+.1f}", found.difference, kind=kind),
        Entry(interval, found.low, title, kind),
    ]


def _numbered(board: Board) -> list[Column]:
    return [Column(str(i + 1), name) for i, name in enumerate(board.detectors)]


def _score(value: float) -> Entry:
    return Entry(percent(value), None if math.isnan(value) else value)


def _number(value: float, form: str) -> Entry:
    value = float(value)
    return Entry(_DASH) if math.isnan(value) else Entry(format(value, form), value)


def _text(text: str, kind: str = "") -> Entry:
    return Entry(text, text, kind=kind)


def _mark_best(rows: Sequence[list[Entry]]) -> list[list[Entry]]:
    """Mark the highest entry of every column but the first, as it is shown: equal ones all."""
    marked = [list(row) for row in rows]
    for at in range(1, len(rows[0])):
        shown = [row[at] for row in rows if isinstance(row[at].value, float)]
        if len(rows) < 2 or not shown:
            continue
        best = max(shown, key=lambda entry: entry.value).text  # type: ignore[arg-type,return-value]
        for row in marked:
            if row[at].text == best:
                row[at] = Entry(row[at].text, row[at].value, kind="best")
    return marked


def _mean(values: Iterable[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return math.fsum(known) / len(known) if known else math.nan


def _parameters(parameters: Mapping[str, object]) -> str:
    return ", ".join(f"{name}={json.dumps(value)}" for name, value in sorted(parameters.items()))
