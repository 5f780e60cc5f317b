"""The tables of the report that say what was run: cells, failures, undefined metrics, versions."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping

from vetime_plugins.leaderboard.export import pandas
from vetime_plugins.leaderboard.report.board import FAILURES, NOT_RUN, Board
from vetime_plugins.leaderboard.report.entries import (
    DASH,
    Column,
    Entry,
    Table,
    show_count,
    show_number,
    show_text,
    text_column,
)
from vetime_plugins.leaderboard.report.origin import show_detector

__all__ = ["failures", "provenance", "runs", "undefined"]

_SEEN = {True: "seen", False: "not seen", None: DASH}
_NAMED = 3  # series named as examples of many
_LISTED = 8  # more values than this, such as a seed for every cell, are counted instead


def runs(board: Board) -> Table:
    """Return what became of every detector's cells, and what they took."""
    memory = any(cell.peak_gpu_bytes is not None for cell in board.every_cell())
    columns = [
        text_column("detector"),
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
        cells, counts = pandas().DataFrame([vars(cell) for cell in board.of(name)]), board.counts(name)
        good = cells[cells["status"] == "OK"]
        peak = cells["peak_gpu_bytes"].astype(float).max() / 2**20
        seen = (good if len(good) else cells)["saw_train"].map(_SEEN).unique()
        rows.append(
            [
                show_detector(board, name),
                show_count(counts["OK"]),
                *(show_count(counts[status], "bad") for status in (*FAILURES, NOT_RUN)),
                show_number(good["fit_seconds"].mean(), ".3g"),
                show_number(good["score_seconds"].mean(), ".3g"),
                show_text(seen[0] if len(seen) == 1 else "both"),
                show_text(", ".join(sorted(cells["device"].unique()))),
                *([show_number(peak, ".0f")] if memory else []),
                show_text(", ".join(sorted(cells["parameters"].map(_parameters).unique())) or DASH),
            ]
        )
    return Table("Cells: one detector on one series", columns, rows)


def failures(board: Board) -> Table | None:
    """Return every failure; None where there is none.

    Those whose last lines differ in numbers alone, which often are sizes of the series, are one row.
    """
    failed = [cell for cell in board.every_cell() if cell.failed]
    if not failed:
        return None
    columns = [text_column("detector"), text_column("status"), Column("series"), text_column("what happened")]
    cells = pandas().DataFrame([vars(cell) for cell in failed])
    cells["reason"] = [cell.reason or "no message recorded" for cell in failed]
    alike = cells["reason"].str.replace(r"\d+", "#", regex=True)
    rows = []
    for (name, status, _), group in cells.groupby(["detector", "status", alike], sort=False):
        named = ", ".join(group["dataset"] + "/" + group["series"])
        first = group.iloc[0]
        what = Entry(first["reason"], first["reason"], more=first["error"] or "")
        count = Entry(str(len(group)), float(len(group)), more=named)
        rows.append([show_detector(board, name), show_text(status, "bad"), count, what])
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
    columns = [text_column("reason"), text_column("metrics"), Column("series", numeric=False)]
    rows = []
    for (reason, places), names in by_reason.items():
        metrics = "all" if len(names) == len(board.metrics) else ", ".join(names)
        shown = ", ".join(places[:_NAMED]) + (", …" if len(places) > _NAMED else "")
        count = Entry(f"{len(places)}: {shown}", float(len(places)), more="\n".join(places[_NAMED:]))
        rows.append([show_text(reason), show_text(metrics), count])
    return Table("Undefined metrics", columns, rows)


def provenance(board: Board) -> Table:
    """Return machine, versions and seed, with the number of cells that share each value."""
    cells = board.every_cell()
    kinds = {
        "run": [{"task": cell.task, "seed": cell.seed, "device": cell.device} for cell in cells],
        "machine": [cell.hardware for cell in cells],
        "version": [cell.versions for cell in cells],
    }
    columns = [text_column("what"), text_column("kind"), text_column("value"), Column("cells")]
    rows = []
    for kind, found in kinds.items():
        for key in sorted({name for one in found for name in one}):
            values = Counter(_plain(one[key]) for one in found if one.get(key) not in (None, ""))
            differ = "bad" if len(values) > 1 and kind == "machine" else ""
            if len(values) > _LISTED:
                values = Counter({f"{len(values)} different ones": values.total()})
            for value, count in sorted(values.items()):
                number = Entry("all" if count == len(cells) else str(count), float(count))
                rows.append([show_text(key), show_text(kind), show_text(value, differ), number])
    return Table("Where the results come from", columns, rows)


def _plain(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def _parameters(parameters: Mapping[str, object]) -> str:
    return ", ".join(f"{name}={json.dumps(value)}" for name, value in sorted(parameters.items()))
