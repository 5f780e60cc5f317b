"""The tables of the report that say what was run: cells, failures, undefined metrics, versions."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping

from vetime_plugins.leaderboard.report.board import FAILURES, NOT_RUN, Board
from vetime_plugins.leaderboard.report.entries import (
    DASH,
    Column,
    Entry,
    Table,
    show_count,
    show_number,
    show_text,
)

__all__ = ["failures", "provenance", "runs", "undefined"]

_SEEN = {True: "seen", False: "not seen", None: DASH}
_NAMED = 3  # series named as examples of many
_LISTED = 8  # more values than this, such as a seed for every cell, are counted instead


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
        seen = {_SEEN[cell.saw_train] for cell in good or cells}
        rows.append(
            [
                Entry(name, name),
                show_count(counts["OK"]),
                *(show_count(counts[status], "bad") for status in (*FAILURES, NOT_RUN)),
                show_number(_mean(cell.fit_seconds for cell in good), ".3g"),
                show_number(_mean(cell.score_seconds for cell in good), ".3g"),
                show_text(seen.pop() if len(seen) == 1 else "both"),
                show_text(", ".join(sorted({cell.device for cell in cells}))),
                *([show_number(max(peaks) / 2**20 if peaks else math.nan, ".0f")] if memory else []),
                show_text(", ".join(sorted({_parameters(cell.parameters) for cell in cells})) or DASH),
            ]
        )
    return Table("Cells: one detector on one series", columns, rows)


def failures(board: Board) -> Table | None:
    """Return every failure; None where there is none.

    Those whose last lines differ in numbers alone, which often are sizes of the series, are one row.
    """
    found: dict[tuple[str, str, str], list[tuple[str, str, str]]] = {}
    for name in board.detectors:
        for cell in board.of(name):
            if cell.failed:
                reason = cell.reason or "no message recorded"
                where = f"{cell.dataset}/{cell.series}"
                alike = re.sub(r"\d+", "#", reason)
                found.setdefault((name, cell.status, alike), []).append((where, reason, cell.error or ""))
    if not found:
        return None
    columns = [
        Column("detector", numeric=False, first="ascending"),
        Column("status", numeric=False, first="ascending"),
        Column("series"),
        Column("what happened", numeric=False, first="ascending"),
    ]
    rows = []
    for (name, status, _), places in found.items():
        named = ", ".join(place for place, *_ in places)
        _, message, error = places[0]
        count = Entry(str(len(places)), float(len(places)), more=named)
        rows.append([Entry(name, name), show_text(status, "bad"), count, Entry(message, message, more=error)])
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
        rows.append([show_text(reason), show_text(metrics), count])
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
                if value is None or value == "":  # not recorded
                    continue
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
        differ = len(values) > 1
        if len(values) > _LISTED:
            values = Counter({f"{len(values)} different ones": values.total()})
        for value, count in sorted(values.items()):
            kind = "bad" if differ and group == "machine" else ""
            number = Entry("all" if count == total else str(count), float(count))
            rows.append([show_text(key), show_text(group), show_text(value, kind), number])
    return Table("Where the results come from", columns, rows)


def _mean(values: Iterable[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return math.fsum(known) / len(known) if known else math.nan


def _parameters(parameters: Mapping[str, object]) -> str:
    return ", ".join(f"{name}={json.dumps(value)}" for name, value in sorted(parameters.items()))
