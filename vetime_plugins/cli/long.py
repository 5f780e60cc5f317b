"""``vetime score --id``: a table of many series, each scored by itself."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from vetime_plugins._progress import TerminalBar
from vetime_plugins.cli import inputs, judging, tables
from vetime_plugins.cli.columns import LabelledSeries, select_series
from vetime_plugins.cli.spans import Span, anomalous_spans
from vetime_plugins.cli.tables import Table, to_float
from vetime_plugins.errors import InputError
from vetime_plugins.incidents import Incidents, find_incidents
from vetime_plugins.long_format import Group, group_rows, score_groups

_SHOWN_SERIES, _SHOWN_INCIDENTS = 10, 3
_JUDGED_BY = ("VUS-PR", "AUC-PR", "Event-F1")
_HEADS = ("VUS-PR", "AUC-PR", "Event-F1 best", "Event-F1 shown")


@dataclass(frozen=True)
class _Found:
    """What was found in one series."""

    group: Group
    threshold: float
    highest: float
    spans: list[Span]
    incidents: Incidents
    judged: judging.Judgement | None

    @property
    def anomalous(self) -> int:
        return sum(span.stop - span.start for span in self.spans)

    def as_dict(self) -> dict[str, Any]:
        return {
            "id": self.group.id,
            "rows": len(self.group.rows),
            "threshold": self.threshold,
            "highest_score": self.highest,
            "anomalous_rows": self.anomalous,
            "incidents": self.incidents.as_dicts(),
            "spans": [span.as_dict() for span in self.spans],
            "metrics": self.judged and self.judged.metrics,
            "metrics_at_threshold": self.judged and self.judged.at_threshold,
        }


def run(args: argparse.Namespace) -> int:
    """Score the series of the file that the arguments name, and report."""
    for option, given in (("--reference", args.reference), ("--plot", args.plot)):
        if given:
            raise InputError(f"{option} is for one series, and --id scores many; leave one of them out")
    table = inputs.read_file(args, args.file)
    if args.id not in table.columns:
        raise InputError(f"{table.source} has no column {args.id!r}; --id names the column of the series")
    if args.id in (*args.column, args.time, args.labels):
        raise InputError(
            f"column {args.id!r} is given twice; it is the id, a variable, the time or the labels"
        )
    rest = {name: column for name, column in table.columns.items() if name != args.id}
    series = select_series(
        Table(table.source, rest, table.decimal), columns=args.column, time=args.time, labels=args.labels
    )
    ids = table.columns[args.id]
    moments = None if series.time is None else _moments(series.time, args.time)
    groups = group_rows(_known(ids, args.id), moments, id=args.id, time=args.time)
    pipeline = inputs.load_pipeline(args)
    started = time.perf_counter()
    with TerminalBar("scoring") as bar:
        scores, flagged, thresholds = score_groups(
            groups,
            series.values,
            series.names,
            pipeline=pipeline,
            readout=args.readout,
            threshold=args.threshold,
            contamination=args.contamination,
            progress=bar,
        )
    seconds = time.perf_counter() - started
    if args.out:
        inputs.write_scores(args.out, series, scores, flagged, ids={args.id: ids})
    found = [
        _Found(
            group,
            threshold,
            float(scores[group.rows].max()),
            _spans(group, series, scores, flagged),
            _incidents(group, series, scores, threshold),
            _judged(group, series, scores, flagged),
        )
        for group, threshold in zip(groups, thresholds, strict=True)
    ]
    if args.incidents:
        tables.write_columns(args.incidents, _columns(found, args.id))
    judged = [one.judged for one in found if one.judged is not None]
    mean = judging.mean_judgement(judged)
    if args.json:
        result: dict[str, Any] = {
            "file": args.file,
            "rows": len(scores),
            "columns": list(series.names),
            "weights": args.weights,
            "seconds": round(seconds, 3),
            "threshold": {"rule": args.threshold},
            "anomalous_rows": int(flagged.sum()),
            "series": [one.as_dict() for one in found],
            "judged_series": len(judged),
            "metrics": mean and mean.metrics,
            "metrics_at_threshold": mean and mean.at_threshold,
            "out": args.out,
            "incidents_out": args.incidents,
        }
        if not args.out:
            result["scores"] = scores.tolist()
        print(json.dumps(result, allow_nan=False))
    else:
        for line in _report(args, series, found, mean, seconds):
            print(line, file=sys.stderr if tables.STDIN in (args.out, args.incidents) else sys.stdout)
    return 0


def _known(ids: np.ndarray, name: str) -> list[Hashable]:
    """Return ids as objects, none of which is missing."""
    found = ids.astype(str).tolist() if ids.dtype.kind == "M" else ids.tolist()
    missing = [row for row, one in enumerate(found) if one is None or one != one]
    if missing:
        raise InputError(
            f"column {name!r} needs a series in every row, got {len(missing)} rows without, the first is row "
            f"{missing[0] + 1}; drop or fill them"
        )
    return found


def _moments(stamps: np.ndarray, name: str) -> np.ndarray:
    """Return a column of times as numbers or dates that can be sorted."""
    if stamps.dtype.kind in "iuM" or (stamps.dtype.kind == "f" and not np.isnan(stamps).any()):
        return stamps
    numbers = [to_float(cell) for cell in stamps]
    if None not in numbers:
        found = np.array(numbers, dtype=np.float64)
        if not np.isnan(found).any():
            return found
    try:
        moments = [datetime.fromisoformat(str(cell)) for cell in stamps]
        aware = {moment.tzinfo is not None for moment in moments}
        if len(aware) > 1:
            raise ValueError("some with a time zone, some without")
    except ValueError as error:
        raise InputError(
            f"the times in column {name!r} need to be numbers or dates like 2024-03-01 09:30, by which "
            f"rows are put in order, got {error}; write them so, or sort the rows and drop the column"
        ) from error
    naive = [m.astimezone(UTC).replace(tzinfo=None) if m.tzinfo is not None else m for m in moments]
    return np.array(naive, dtype="datetime64[us]")


def _spans(group: Group, series: LabelledSeries, scores: np.ndarray, flagged: np.ndarray) -> list[Span]:
    stamps = None if series.time is None else series.time[group.rows]
    return anomalous_spans(flagged[group.rows], scores[group.rows], stamps)


def _incidents(group: Group, series: LabelledSeries, scores: np.ndarray, threshold: float) -> Incidents:
    return find_incidents(
        scores[group.rows],
        _known_values(group, series),
        threshold=threshold,
        index=None if series.time is None else series.time[group.rows],
        names=series.names,
    )


def _judged(
    group: Group, series: LabelledSeries, scores: np.ndarray, flagged: np.ndarray
) -> judging.Judgement | None:
    if series.labels is None:
        return None
    own = LabelledSeries(_known_values(group, series), series.names, labels=series.labels[group.rows])
    return judging.judge_both(own, scores[group.rows], flagged[group.rows])


def _known_values(group: Group, series: LabelledSeries) -> np.ndarray:
    """Return the values of a series (T, C), 0 of a variable that it has no value of."""
    values = series.values[group.rows]
    return np.where(np.isnan(values).all(axis=0), 0.0, values)


def _columns(found: list[_Found], name: str) -> dict[str, np.ndarray]:
    """Return the columns of the file of incidents, series by series, the id in front."""
    columns = inputs.incident_columns([incident for one in found for incident in one.incidents])
    ids = np.array([one.group.id for one in found for _ in one.incidents])
    return {"id" if name in columns else name: ids} | columns


def _report(
    args: argparse.Namespace,
    series: LabelledSeries,
    found: list[_Found],
    mean: judging.Judgement | None,
    seconds: float,
) -> Iterator[str]:
    """Yield the lines for a person."""
    rows = len(series.values)
    anomalous = sum(one.anomalous for one in found)
    names = f"{', '.join(series.names[:8])}{', ...' * (len(series.names) > 8)}"
    yield f"{args.file}: {rows:,} rows of {names} in {len(found):,} series"
    yield (
        f"scored with weights {args.weights!r} in {seconds:.2f} s ({rows / max(seconds, 1e-9):,.0f} rows/s)"
    )
    rule = f"{args.threshold:.4f} (given)" if isinstance(args.threshold, float) else args.threshold
    yield f"threshold {rule}, of each series by itself: {anomalous:,} anomalous rows ({anomalous / rows:.1%})"
    for one in sorted(found, key=lambda one: -one.highest)[:_SHOWN_SERIES]:
        yield (
            f"  {one.group.id!s:<20} {len(one.group.rows):>9,} rows  {one.anomalous:>7,} anomalous  "
            f"highest score {one.highest:.4f}"
        )
        for incident in one.incidents[:_SHOWN_INCIDENTS]:
            start, end = (
                (incident.start, incident.end)
                if incident.start_time is None
                else (incident.start_time, incident.end_time)
            )
            yield f"    {incident.kind}  {start} .. {end}"
        if len(one.incidents) > _SHOWN_INCIDENTS:
            yield f"    ... and {len(one.incidents) - _SHOWN_INCIDENTS:,} more that are less severe"
    if len(found) > _SHOWN_SERIES:
        yield f"  ... and {len(found) - _SHOWN_SERIES:,} more series with lower scores"
    if mean is not None:
        yield from _judged_lines(args.labels, found, mean)
    elif series.labels is not None:
        yield f"the labels in {args.labels!r} are of one kind in every series: no metric is defined"
    for what, path in (("scores", args.out), ("incidents", args.incidents)):
        if path and path != tables.STDIN:
            yield f"{what}: {path}"


def _judged_lines(labels: str, found: list[_Found], mean: judging.Judgement) -> Iterator[str]:
    """Yield the metrics: a few of each series, the ones with the worst first, and the mean of all."""
    judged = [(one.group.id, one.judged) for one in found if one.judged is not None]
    judged.sort(key=lambda pair: pair[1].metrics[_JUDGED_BY[0]] or 0.0)
    yield f"against the labels in {labels!r}, {len(judged):,} of {len(found):,} series, the worst first:"
    yield f"  {'':<20}" + "".join(f"  {name:>14}" for name in _HEADS)
    for name, one in judged[:_SHOWN_SERIES]:
        values = [*(one.metrics[metric] for metric in _JUDGED_BY), one.at_threshold["Event-F1"]]
        yield f"  {name!s:<20}" + "".join(f"  {judging.show_metric(value):>14}" for value in values)
    if len(judged) > _SHOWN_SERIES:
        yield f"  ... and {len(judged) - _SHOWN_SERIES:,} more, all of them with --json"
    yield f"mean of the {len(judged):,} series, over all thresholds:"
    yield from judging.metric_lines(mean, "of each series by itself")
