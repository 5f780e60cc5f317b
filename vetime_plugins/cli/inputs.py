"""What ``vetime score`` and ``vetime plot`` share: options, the series, its scores and the threshold."""

from __future__ import annotations

import argparse
import importlib.util
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vetime_plugins._progress import TerminalBar
from vetime_plugins.cli import tables
from vetime_plugins.cli.columns import LabelledSeries, select_series
from vetime_plugins.errors import InputError, MissingDependencyError
from vetime_plugins.series.inputs import as_series
from vetime_plugins.thresholds import RULES, check_contamination, check_rule

if TYPE_CHECKING:
    from vetime_plugins.explanation import Explanation
    from vetime_plugins.incidents import Incident, Incidents
    from vetime_plugins.pipeline import VETimePipeline

__all__ = [
    "Scored",
    "add_model_arguments",
    "add_table_arguments",
    "add_threshold_arguments",
    "add_weights_arguments",
    "check_output",
    "check_picture",
    "draw",
    "load_pipeline",
    "load_series",
    "read_file",
    "score_series",
    "write_scores",
]

PICTURE_SUFFIXES = (".png", ".svg", ".pdf", ".jpg", ".jpeg", ".webp")


@dataclass(frozen=True)
class Scored:
    """What scoring gave.

    Scores ``(T,)`` and those of the variables ``(T, C)`` in [0, 1], the threshold that they are flagged by,
    the incidents, and the seconds that it took.
    """

    scores: np.ndarray
    variable_scores: np.ndarray
    threshold: float
    incidents: Incidents
    seconds: float


def add_table_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the file and the roles of its columns."""
    parser.add_argument("file", metavar="FILE", help="CSV (.csv, .tsv, .gz; - is standard input) or .parquet")
    group = parser.add_argument_group("columns")
    group.add_argument(
        "--column",
        action="append",
        default=[],
        metavar="NAME",
        help="a variable of the series; may be repeated (default: every column but the time and the labels)",
    )
    group.add_argument("--time", metavar="NAME", help="the column of time stamps; kept, never scored")
    group.add_argument("--labels", metavar="NAME", help="the column of true labels, 0 or 1; never scored")
    group.add_argument("--separator", metavar="CHAR", help="of a CSV file (default: comma, semicolon or tab)")
    group.add_argument(
        "--decimal", choices=(".", ","), default=".", help="decimal mark of a CSV file (default: %(default)s)"
    )
    group.add_argument(
        "--na",
        action="append",
        default=[],
        metavar="TEXT",
        help="a cell of a CSV file that stands for a missing value, e.g. - or -999; may be repeated "
        "(empty cells, NA, nan, NULL and the like do in any case)",
    )
    group.add_argument(
        "--header",
        action=argparse.BooleanOptionalAction,
        help="whether a CSV file's first line names the columns; without it they are called 0, 1, ...",
    )


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the choice of weights and how they are run."""
    group = parser.add_argument_group("model")
    add_weights_arguments(group)
    group.add_argument(
        "--readout",
        choices=("point", "window"),
        help="sharp scores, or scores smoothed at the series' period (default: the weights' own)",
    )
    group.add_argument(
        "--reference",
        metavar="FILE",
        help="normal or earlier data of the same columns to compare with; also sets the threshold",
    )


def add_weights_arguments(group: Any, of: str = "") -> None:
    """Add the weights and the device to a group of options."""
    group.add_argument(
        "--weights",
        default="small",
        help=f"{of}small, expectation or a weights folder (default: %(default)s)",
    )
    group.add_argument(
        "--device", default="auto", help="auto, cpu, cuda, cuda:N or mps (default: %(default)s)"
    )


def add_threshold_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the rule that turns scores into flags."""
    group = parser.add_argument_group("threshold")
    group.add_argument(
        "--threshold",
        type=_threshold,
        default="auto",
        metavar="RULE|NUMBER",
        help=f"{', '.join(RULES)} or a score; rows above it are anomalous (default: %(default)s)",
    )
    group.add_argument(
        "--contamination",
        type=_contamination,
        default=0.1,
        metavar="SHARE",
        help="share of anomalous rows that the rule quantile assumes, up to 0.5 (default: %(default)s)",
    )


def _threshold(text: str) -> str | float:
    number = tables.to_float(text)
    try:
        return check_rule(text if number is None else number)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _contamination(text: str) -> float:
    try:
        check_contamination(share := float(text))
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    except ValueError:
        raise argparse.ArgumentTypeError(f"contamination must be a number, got {text!r}") from None
    return share


def check_output(path: str | None, *, as_json: bool = False) -> None:
    """Fail before the work, not after it, if `path` cannot be written."""
    if path is None or path == tables.STDIN:
        if path is not None and as_json:
            raise InputError("--json and --out - both want standard output; give --out a file")
        return
    folder = Path(path).absolute().parent
    if not folder.is_dir():
        raise InputError(f"cannot write {path}: there is no folder {folder}; make it first")
    if Path(path).is_dir():
        raise InputError(f"cannot write {path}: it is a folder; name a file in it")


def check_picture(path: str | None) -> None:
    """Fail before the work, not after it, if no picture can be drawn to `path`."""
    if path is None:
        return
    if not path.lower().endswith(PICTURE_SUFFIXES):
        raise InputError(f"cannot draw {path}: its name must end in one of {', '.join(PICTURE_SUFFIXES)}")
    check_output(path)
    if importlib.util.find_spec("matplotlib") is None:
        raise MissingDependencyError('pictures need matplotlib>=3.8; run: pip install "vetime-plugins[cli]"')


def load_series(args: argparse.Namespace) -> LabelledSeries:
    """Read the file and the columns that the arguments name."""
    table = read_file(args, args.file)
    return select_series(table, columns=args.column, time=args.time, labels=args.labels)


def read_file(args: argparse.Namespace, path: str) -> tables.Table:
    """Read a file in the notation that the arguments tell."""
    return tables.read_table(
        path, separator=args.separator, header=args.header, decimal=args.decimal, missing=args.na
    )


def load_pipeline(args: argparse.Namespace) -> VETimePipeline:
    """Return the pipeline of the weights that the arguments name, one for the whole run."""
    from vetime_plugins.pipeline import cached_pipeline

    return cached_pipeline(args.weights, device=args.device)


def score_series(args: argparse.Namespace, series: LabelledSeries) -> Scored:
    """Score a series and find its incidents; a reference, if there is one, sets the threshold."""
    reference = _load_reference(args, series.names)
    pipeline = load_pipeline(args)
    started = time.perf_counter()
    with TerminalBar("scoring") as bar:
        found = pipeline.detect(
            as_series(series.values, names=series.names),
            reference=reference,
            readout=args.readout,
            threshold=args.threshold,
            contamination=args.contamination,
            index=series.time,
            names=series.names,
            progress=bar,
        )
    seconds = time.perf_counter() - started
    return Scored(found.scores, found.variable_scores, found.threshold, found.incidents, seconds)


def explain_series(args: argparse.Namespace, series: LabelledSeries) -> tuple[Scored, Explanation]:
    """Explain a series and find the incidents in the scores that the explanation has."""
    from vetime_plugins.incidents import find_incidents

    one = as_series(series.values, names=series.names)
    started = time.perf_counter()
    found = load_pipeline(args).explain(one)
    incidents = find_incidents(
        found.scores,
        one,
        threshold=args.threshold,
        contamination=args.contamination,
        variable_scores=found.variable_scores,
        index=series.time,
        names=series.names,
    )
    seconds = time.perf_counter() - started
    return Scored(found.scores, found.variable_scores, incidents.threshold, incidents, seconds), found


def write_scores(
    path: str,
    series: LabelledSeries,
    scores: np.ndarray,
    flagged: np.ndarray,
    ids: dict[str, np.ndarray] | None = None,
) -> None:
    """Write scores and flags beside the time stamps and labels of a series, and ids in front."""
    tables.write_scores(
        path, scores, flagged, time=series.time, time_name=series.time_name, labels=series.labels, ids=ids
    )


def incident_columns(incidents: Sequence[Incident]) -> dict[str, np.ndarray]:
    """Return the columns of the file of incidents; variables stand as ``name share; name share``."""
    columns: dict[str, list[Any]] = {
        name: [getattr(one, name) for one in incidents] for name in ("start", "end", "peak", "steps")
    }
    if any(one.start_time is not None for one in incidents):
        for name in ("start_time", "end_time", "peak_time"):
            columns[name] = [str(getattr(one, name)) for one in incidents]
    columns["severity"] = [one.severity for one in incidents]
    columns["kind"] = [one.kind for one in incidents]
    columns["variables"] = ["; ".join(f"{v.name} {v.share:.3f}" for v in one.variables) for one in incidents]
    return {name: np.array(column) for name, column in columns.items()}


def draw(
    path: str,
    series: LabelledSeries,
    scored: Scored,
    *,
    title: str,
    explanation: Explanation | None = None,
) -> None:
    """Draw a series above its scores into a file, with the explanation of the scores if there is one."""
    from vetime_plugins.plotting import plot_explanation, plot_scores, save_figure

    options: dict[str, Any] = {
        "threshold": scored.threshold,
        "incidents": scored.incidents,
        "labels": series.labels,
        "time": series.time,
        "names": series.names,
        "title": title,
    }
    if explanation is None:
        heat = scored.variable_scores if series.values.shape[1] > 1 else None
        figure = plot_scores(series.values, scored.scores, variable_scores=heat, **options)
    else:
        figure = plot_explanation(explanation, **options)
    save_figure(figure, path)


def _load_reference(args: argparse.Namespace, names: tuple[str, ...]) -> np.ndarray | None:
    if args.reference is None:
        return None
    table = read_file(args, args.reference)
    return select_series(table, columns=names).values
