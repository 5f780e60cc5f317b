"""The standings as data: a file of comma-separated values, and one of JSON, with nothing rounded away."""

from __future__ import annotations

import base64
import json
import math
from typing import Any

from vetime_plugins._spreadsheet import guard
from vetime_plugins.leaderboard.export import pandas
from vetime_plugins.leaderboard.report.analysis import Analysis
from vetime_plugins.leaderboard.report.board import FAILURES, NOT_RUN
from vetime_plugins.leaderboard.report.origin import describe_run, find_seen, framework_of

__all__ = ["as_address", "as_csv", "as_json"]

_DIGITS = 6  # of values in [0, 1] and of seconds, as in exported cells


def as_json(analysis: Analysis) -> str:
    """Return the run, and for every detector what the tables of standings and of metrics hold."""
    board = analysis.board
    described = {
        "run": dict(describe_run(analysis.every)),
        "metric": board.metric,
        "reference": analysis.reference,
        "n_series": len(board.series),
        "n_defined": analysis.comparison.n_series,
        "datasets": list(board.datasets),
        "detectors": _records(analysis),
    }
    return json.dumps(described, indent=1, ensure_ascii=True, allow_nan=False) + "\n"


def as_csv(analysis: Analysis) -> str:
    """Return a row for every detector; text that a spreadsheet would take for a formula is guarded."""
    rows = []
    for record in _records(analysis):
        means, datasets, seen = (record.pop(key) for key in ("metrics", "datasets", "seen"))
        flat = {**record, **{f"{how}_on": "; ".join(names) for how, names in seen.items()}}
        flat |= means
        flat |= {f"{analysis.board.metric}, {name}": value for name, value in datasets.items()}
        rows.append({guard(name): guard(value) for name, value in flat.items()})
    text: str = pandas().DataFrame(rows, dtype=object).to_csv(index=False, lineterminator="\n")
    return text


def as_address(text: str, kind: str) -> str:
    """Return an address that holds a file of a media type itself: it is saved without a network."""
    return f"data:{kind};base64,{base64.b64encode(text.encode()).decode()}"


def _records(analysis: Analysis) -> list[dict[str, Any]]:
    board, every = analysis.board, analysis.every
    share = dict(zip(board.detectors, analysis.wins.share, strict=True))
    ranks = dict(zip(board.detectors, analysis.comparison.ranks, strict=True))
    records = []
    for place, name in enumerate(board.detectors, start=1):
        for one in (name, *analysis.others.get(name, ())):
            mine = one == name
            source = board if mine else every
            summary, counts = source.summary(one), source.counts(one)
            shown = {metric for metric in board.metrics if mine or every.measured(one, metric)}
            means = {metric: source.means(metric) for metric in board.unmeasured}
            partly = {metric: found[one] for metric, found in means.items() if one in found}
            difference = analysis.differences.get(one) if mine else None
            wins = [value for at, value in enumerate(share[name]) if board.detectors[at] != name]
            interval = difference is not None and difference.has_interval
            record = {
                "detector": one,
                "row": name,
                "framework": framework_of(every, one),
                "place": place if mine and not math.isnan(summary.mean[board.metric]) else None,
                "rank": ranks[name] if mine else None,
                "wins": _mean(wins) if mine else None,
                "difference": difference.difference if difference is not None else None,
                "low": difference.low if difference is not None and interval else None,
                "high": difference.high if difference is not None and interval else None,
                "seconds": every.seconds(one),
                "run": counts.total() - counts[NOT_RUN],
                "failed": sum(counts[status] for status in FAILURES),
                "undefined": every.count_undefined(one),
                "seen": {how: find_seen(every.of(one)).get(how, []) for how in ("trained", "tuned")},
                "metrics": {key: value for key, value in summary.mean.items() if key in shown} | partly,
                "datasets": {
                    key: values[board.metric]
                    for key, values in summary.datasets.items()
                    if board.metric in shown
                },
            }
            records.append(_plain(record))
    return records


def _mean(values: list[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return math.fsum(known) / len(known) if known else math.nan


def _plain(value: Any) -> Any:
    """Return what JSON can hold: rounded, and None for NaN."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if not isinstance(value, float):
        return value
    return None if math.isnan(value) else round(float(value), _DIGITS)
