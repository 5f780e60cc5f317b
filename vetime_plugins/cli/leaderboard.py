"""``vetime leaderboard``: run detectors over a task, take metrics again, export, report, list."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from vetime_plugins._progress import TerminalBar
from vetime_plugins.cli.report import add_report_command, add_site_command
from vetime_plugins.errors import InputError
from vetime_plugins.leaderboard.results import STATUSES, Cell, read_cells
from vetime_plugins.leaderboard.summary import compare_cells, summarise_cells
from vetime_plugins.metrics import METRIC_NAMES, check_metric_names
from vetime_plugins.metrics.statistics import PairedDifference

__all__ = ["add_arguments"]

EXIT_FAILED_CELLS = 3

DESCRIPTION = """\
Compare detectors of all frameworks on the series of a task.

  vetime leaderboard run embedded --out results     run the default detectors on small series
  vetime leaderboard report results                 write the report

A run that was cut off goes on where it was when the same command is given again."""

_SHOWN = ("VUS-PR", "AUC-PR", "Standard-F1", "Affiliation-F1", "Exact-Peak")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the sub-commands of ``vetime leaderboard``."""
    parser.description = DESCRIPTION
    commands = parser.add_subparsers(dest="leaderboard_command", metavar="COMMAND", required=True)
    _add_run(commands)
    _add_metrics(commands)
    _add_export(commands)
    _add_check(commands)
    listing = commands.add_parser("tasks", help="list the tasks that come with the package")
    listing.set_defaults(run=_list_tasks)
    listing = commands.add_parser("detectors", help="list the detectors")
    listing.add_argument("--json", action="store_true", help="print all that is known of them as JSON")
    listing.set_defaults(run=_list_detectors)
    add_report_command(commands)
    add_site_command(commands)


def _add_run(commands: Any) -> None:
    parser = commands.add_parser("run", help="run detectors over the series of a task")
    parser.add_argument(
        "task", metavar="TASK", help="a name (see `vetime leaderboard tasks`), or a TOML file"
    )
    parser.add_argument("--out", required=True, metavar="DIR", help="folder of results")
    parser.add_argument("--data", metavar="DIR", help="folder of the data set")
    parser.add_argument(
        "--detectors",
        action="append",
        metavar="A,B",
        help=(
            "names, with parameters like 'pyod-knn(n_neighbors=10)', patterns like 'pyod-*', or "
            "package.module:function; may be repeated (default: those of the task, or all fast ones)"
        ),
    )
    parser.add_argument(
        "--dataset", action="append", metavar="NAME", help="only this data set; may be repeated"
    )
    parser.add_argument(
        "--series", action="append", metavar="GLOB", help="only series whose name fits; may be repeated"
    )
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N series")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="cells at a time (default: 1)")
    parser.add_argument(
        "--threads", type=int, default=1, metavar="N", help="threads of each cell (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    parser.add_argument("--device", help="auto, cpu, cuda, cuda:N or mps (default: the task's)")
    parser.add_argument(
        "--time-limit", type=float, metavar="S", help="seconds for fitting and scoring one series"
    )
    parser.add_argument("--memory-limit", metavar="SIZE", help="memory of one cell, e.g. 4G")
    parser.add_argument(
        "--backend",
        default="local",
        help="local, loky, dask or ray: where cells are run (default: %(default)s)",
    )
    parser.add_argument("--address", help="of the scheduler of an existing dask or ray cluster")
    parser.add_argument("--retry", action="store_true", help="run cells again that failed")
    _add_output(parser)
    parser.set_defaults(run=_run_task)


def _add_output(parser: argparse.ArgumentParser) -> None:
    """Add the options of commands that take metrics and print what comes out."""
    parser.add_argument(
        "--metric",
        action="append",
        metavar="NAME",
        help=f"only this metric; may be repeated: {', '.join(METRIC_NAMES)}",
    )
    parser.add_argument(
        "--against",
        metavar="NAME",
        help="compare every detector with this one, of this run or of the folder, by a paired bootstrap",
    )
    parser.add_argument("--json", action="store_true", help="print the summary as JSON")
    parser.add_argument("--quiet", action="store_true", help="show no progress")


def _run_task(args: argparse.Namespace) -> int:
    from dataclasses import replace

    from vetime_plugins.detectors.specs import fast_detectors, left_out, split_names
    from vetime_plugins.leaderboard.runner import run_task
    from vetime_plugins.leaderboard.tasks import Task, parse_bytes
    from vetime_plugins.leaderboard.worker import check_device

    task = Task.read(args.task).narrowed(folder=args.data, datasets=args.dataset, series=args.series)
    if args.metric is not None:
        task = replace(task, metrics=check_metric_names(args.metric))
    if args.time_limit is not None:
        if not args.time_limit > 0:
            raise InputError(f"--time-limit must be above 0 seconds, got {args.time_limit}")
        task = replace(task, time_limit=args.time_limit)
    if args.memory_limit is not None:
        task = replace(task, memory_limit=parse_bytes(args.memory_limit))
    if args.device is not None:
        task = replace(task, device=args.device)
    elif args.backend in {"local", "loky"}:
        try:
            check_device(task.device)
        except InputError as error:  # nobody asked for that device here: nothing went wrong
            print(f"skipped the task {task.name}: {error}", file=sys.stderr)
            return 0
    named = [name for text in args.detectors or () for name in split_names(text)]
    if not named and not task.detectors and (line := left_out(fast_detectors())):
        print(line, file=sys.stderr)
    report = run_task(
        task,
        args.out,
        detectors=named if args.detectors else None,
        n_jobs=args.jobs,
        backend=args.backend,
        address=args.address,
        seed=args.seed,
        threads=args.threads,
        retry=args.retry,
        limit=args.limit,
        progress=_progress(args),
    )
    differences = _compare(report.cells, args.out, args.against)
    if not args.json:
        print(f"{report.n_run} cells run, {report.n_kept} kept from before\n")
    _print_summary(report.cells, differences, args)
    if not args.json:
        print(f"\nresults: {args.out}")
    return EXIT_FAILED_CELLS if any(cell.failed for cell in report.cells) else 0


def _add_metrics(commands: Any) -> None:
    parser = commands.add_parser("metrics", help="take metrics again from stored scores; no detector runs")
    parser.add_argument("folder", metavar="DIR", help="folder of results")
    _add_output(parser)
    parser.set_defaults(run=_retake)


def _retake(args: argparse.Namespace) -> int:
    from vetime_plugins.leaderboard.runner import retake_metrics

    cells = retake_metrics(args.folder, metrics=args.metric, progress=_progress(args))
    if not cells:
        raise InputError(f"no results in {args.folder}")
    _print_summary(cells, _compare(cells, args.folder, args.against), args)
    return 0


def _add_export(commands: Any) -> None:
    parser = commands.add_parser("export", help="write all cells as one CSV file; `report` reads it as well")
    parser.add_argument("folder", metavar="DIR", help="folder of results")
    parser.add_argument("--out", required=True, metavar="FILE", help="the CSV file")
    parser.set_defaults(run=_export)


def _export(args: argparse.Namespace) -> int:
    from vetime_plugins.leaderboard.export import write_cells

    cells = read_cells(args.folder)
    print(f"{len(cells)} cells: {write_cells(args.out, cells)}")
    return 0


def _add_check(commands: Any) -> None:
    parser = commands.add_parser("check", help="check the folder of a detector that is to be added")
    parser.add_argument("folder", metavar="DIR", help="holds my_detector.py, README.md and exported cells")
    parser.set_defaults(run=_check)


def _check(args: argparse.Namespace) -> int:
    from vetime_plugins.leaderboard.submissions import check_submission

    print("\n".join(check_submission(args.folder)))
    return 0


def _list_tasks(args: argparse.Namespace) -> int:
    from vetime_plugins.leaderboard.tasks import Task, bundled_tasks

    for name in bundled_tasks():
        print(f"{name:<12}{Task.read(name).description}")
    return 0


def _list_detectors(args: argparse.Namespace) -> int:
    from vetime_plugins import detectors
    from vetime_plugins.detectors.specs import default_detectors

    default = set(default_detectors())
    rows = []
    for name in detectors.names():
        detector = detectors.get(name)
        rows.append(
            {
                "name": name,
                "framework": detector.framework,
                "sees_train": detector.sees_train,
                "multivariate": detector.supports_multivariate,
                "uses_gpu": getattr(detector, "uses_gpu", False),
                "missing": getattr(detector, "missing", list)(),
                "default": name in default,
                "parameters": dict(detector.params),
            }
        )
    if args.json:
        print(json.dumps(rows, default=repr))
        return 0
    print(f"{'detector':<28}{'sees train':<12}{'variables':<11}{'GPU':<5}{'default':<9}not installed")
    for row in rows:
        print(
            f"{row['name']:<28}{'yes' if row['sees_train'] else 'no':<12}"
            f"{'any' if row['multivariate'] else 'one':<11}{'yes' if row['uses_gpu'] else '':<5}"
            f"{'yes' if row['default'] else '':<9}{', '.join(row['missing'])}".rstrip()
        )
    return 0


def _progress(args: argparse.Namespace) -> Callable[[int, int, Cell], None] | None:
    return None if args.quiet else partial(_show, TerminalBar("cells", unit=" cells", unit_scale=False))


def _show(bar: TerminalBar, finished: int, total: int, cell: Cell) -> None:
    if cell.failed:
        state = f"{cell.status}: {cell.reason[:200]}"
    else:
        metric = next((name for name in _SHOWN if name in cell.metrics), next(iter(cell.metrics)))
        fit = 0.0 if math.isnan(cell.fit_seconds) else cell.fit_seconds
        state = f"{metric} {cell.metrics[metric]:.3f} in {fit + cell.score_seconds:.2f} s"
    bar.write(f"[{finished}/{total}] {cell.detector} {cell.dataset}/{cell.series}: {state}\n")
    bar(finished, total)


def _compare(
    cells: Sequence[Cell], folder: str, against: str | None
) -> dict[str, dict[str, PairedDifference]]:
    """Return, for every detector but the one compared with, the difference in every metric."""
    if against is None:
        return {}
    names = list(dict.fromkeys(cell.detector for cell in cells))
    if against not in names:  # run earlier
        series = {cell.series for cell in cells}
        stored = (cell for cell in read_cells(folder) if cell.detector == against)
        cells = [*cells, *(cell for cell in stored if cell.series in series)]
    groups = {name: [cell for cell in cells if cell.detector == name] for name in (*names, against)}
    other = groups.pop(against)
    if not other:
        raise InputError(f"no results of {against!r} to compare with; run it too")
    metrics = [name for name in other[0].metrics if all(name in cell.metrics for cell in cells)]
    return {
        name: {metric: compare_cells(group, other, metric=metric) for metric in metrics}
        for name, group in groups.items()
    }


def _print_summary(
    cells: Sequence[Cell], differences: dict[str, dict[str, PairedDifference]], args: argparse.Namespace
) -> None:
    """Print JSON, or one line a detector, the best first; failed cells count as 0 and are shown."""
    if args.json:
        print(json.dumps(_as_json(cells, differences), allow_nan=False))
        return
    summaries = summarise_cells(cells)
    common = [name for name in cells[0].metrics if all(name in cell.metrics for cell in cells)]
    shown = [name for name in _SHOWN if name in common] or common
    counts = {name: Counter(cell.status for cell in cells if cell.detector == name) for name in summaries}
    width = max(len("detector"), *(len(name) for name in summaries))
    print(f"{'detector':<{width}}  {' '.join(f'{one:>14}' for one in shown)}  {' '.join(STATUSES)}")

    def rank(name: str) -> tuple[bool, float, str]:
        value = summaries[name].mean[shown[0]]
        return math.isnan(value), -value if not math.isnan(value) else 0.0, name

    for name in sorted(summaries, key=rank):
        values = " ".join(f"{100 * summaries[name].mean[one]:>14.1f}" for one in shown)
        states = " ".join(f"{counts[name][status]:>{len(status)}}" for status in STATUSES)
        print(f"{name:<{width}}  {values}  {states}")
    for metric in shown if differences else ():
        print(f"\n{metric} minus that of {args.against}, 95 % interval of a paired bootstrap:")
        for name in sorted(differences, key=rank):
            found = differences[name][metric]
            print(
                f"{name:<{width}}  {100 * found.difference:+.1f} [{100 * found.low:+.1f}, "
                f"{100 * found.high:+.1f}]  ({found.n_series} series of {found.n_datasets} data sets)"
            )
    failed = sum(cell.failed for cell in cells)
    if failed:
        print(f"\n{failed} of {len(cells)} cells failed and count as 0; the reasons are in their JSON files")


def _as_json(cells: Sequence[Cell], differences: dict[str, dict[str, PairedDifference]]) -> dict[str, Any]:
    def clean(values: dict[str, float]) -> dict[str, float | None]:
        return {name: None if math.isnan(value) else value for name, value in values.items()}

    found: dict[str, Any] = {}
    for name, summary in summarise_cells(cells).items():
        mine = [cell for cell in cells if cell.detector == name]
        found[name] = {
            "mean": clean(summary.mean),
            "datasets": {dataset: clean(values) for dataset, values in summary.datasets.items()},
            "statuses": dict(Counter(cell.status for cell in mine)),
            "n_series": len(mine),
            "n_undefined": sum(summary.n_undefined.values()),
            "difference": {metric: vars(one) for metric, one in differences.get(name, {}).items()},
        }
    return found
