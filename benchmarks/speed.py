"""Time of fitting and scoring, beside the detectors that the frameworks bring along: one run, with ratios.

    python benchmarks/speed.py --output speed.json [--threads 1] [--models small base pyod-iforest ...]
    python benchmarks/speed.py --draw speed.json --picture docs/images/speed.png --page docs/speed.md

All of one row are measured in one process in turns, so that what else the machine does meets all alike, and a
row is their medians: seconds of processor time, which a busy machine disturbs less than the clock, and of the
clock. A detector is fitted on the series and then scores it; `small` only scores it. `base` is VETime in the
sizes of the paper with random weights: its layers are the authors', as tests/network/test_parity.py checks
stage by stage, so it stands for their model without their code. Who took longer than a fifth of `--patience`
at one length is spared the longer ones. Memory is the growth of the peak resident set of an own process.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

MODELS = (
    *("small", "base", "sub-knn", "sub-pca", "pyod-knn", "pyod-lof", "pyod-iforest", "pyod-matrix-profile"),
    *("darts-kmeans", "merlion-isolation-forest"),
)
LENGTHS = (512, 2_000, 20_000, 200_000)
VARIABLES = (8, 38, 60)
ROWS_OF_SEVERAL = 2_000
LIST = 1_000, 1_000
CONTEXTS = ((512, 0), (2_048, 0), (2_048, 4_000), (2_048, 20_000))
OWN = ("small", "base")
BEGIN, END = "<!-- figures -->", "<!-- end of figures -->"
_WARM = 136
"""Points of a stream before the clock starts: so many fill what it remembers."""
COLOURS = {"small": "#c1272d", "base": "#0000a7"}

Run = Callable[[], Any]


def wave(n_points: int, n_variables: int = 1, seed: int = 0) -> NDArray[np.float64]:
    """Return noisy sines of shape (T, C)."""
    rng = np.random.default_rng(seed)
    phase = np.arange(n_points)[:, None] * 2 * np.pi / 60 + np.arange(n_variables)
    return np.sin(phase) + rng.normal(scale=0.3, size=(n_points, n_variables))


def scorer(name: str, device: str) -> Callable[[Any], Any] | None:
    """Return what fits and scores series (T, C); None where it is not installed."""
    import torch

    from vetime_plugins import VETimeConfig, VETimePipeline, detectors
    from vetime_plugins.detectors.specs import installed
    from vetime_plugins.network.devices import choose_device
    from vetime_plugins.network.model import VETime

    if name == "base":
        torch.manual_seed(0)
        return VETimePipeline(VETime(VETimeConfig.preset("base")), "random", choose_device(device)).score
    if name == "small":
        return VETimePipeline.from_pretrained("small", device=device).score
    if not installed([name]):
        return None
    detector = detectors.get(name)
    return lambda series: detector.fit_score(series, len(series))


def timed(run: Run) -> tuple[float, float]:
    """Return the seconds of the processor and of the clock."""
    processor, clock = time.process_time(), time.perf_counter()
    with warnings.catch_warnings(action="ignore"):
        run()
    return time.process_time() - processor, time.perf_counter() - clock


def take_turns(runs: dict[str, Run], repeats: int, patience: float) -> dict[str, dict[str, float]]:
    """Run all of them in turns; return medians. The first turn is a warm-up, but for who takes long."""
    first = {}
    for name, run in runs.items():
        try:
            first[name] = timed(run)
        except Exception as error:  # of somebody else's code: it cannot do this
            print(f"  {name}: {type(error).__name__}: {str(error)[:100]}", file=sys.stderr)
    turns: dict[str, list[tuple[float, float]]] = {name: [] for name in first}
    for _ in range(repeats):
        for name, (processor, _) in first.items():
            if processor < patience / repeats:
                turns[name].append(timed(runs[name]))
    found = {}
    for name, once in first.items():
        processors, clocks = zip(*(turns[name] or [once]), strict=True)
        found[name] = {"cpu": median(processors), "clock": median(clocks)}
    return found


def compare(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Return rows of all models over lengths and variables."""
    import torch

    torch.set_num_threads(args.threads)
    scorers = {name: scorer(name, args.device) for name in args.models}
    plan = [(n, 1) for n in args.lengths] + [(ROWS_OF_SEVERAL, c) for c in args.variables]
    rows, slow = [], set()
    for n_points, n_variables in plan:
        series = wave(n_points, n_variables)
        runs = {
            name: partial(score, series)
            for name, score in scorers.items()
            if score is not None and (name not in slow or n_points <= ROWS_OF_SEVERAL)
        }
        found = take_turns(runs, args.repeats, args.patience)
        slow |= {name for name, one in found.items() if one["cpu"] * 5 > args.patience}
        rows.append({"points": n_points, "variables": n_variables, "seconds": found})
        print(describe(rows[-1]), flush=True)
    return rows


def describe(row: dict[str, Any]) -> str:
    """Return a line for the eye."""
    cells = (f"{name} {1e3 * one['cpu']:.0f}" for name, one in row["seconds"].items())
    return f"{row['points']:,} x {row['variables']}, ms: " + ", ".join(cells)


def more_of_small(args: argparse.Namespace) -> dict[str, Any]:
    """Measure lists, streams and the command line."""
    import torch

    from vetime_plugins.streaming import StreamingVETime

    torch.set_num_threads(args.threads)
    score = scorer("small", args.device)
    assert score is not None
    many = [wave(LIST[1], seed=seed) for seed in range(LIST[0])]
    score(many[:8])
    found: dict[str, Any] = {"list": timed(lambda: score(many)), "stream": []}
    for context, n_reference in CONTEXTS:
        stream = StreamingVETime(context, device=args.device, max_reference=max(1, n_reference))
        stream.warm_up(wave(context + n_reference, seed=1), as_reference=n_reference > 0)
        new = wave(_WARM + 64, seed=2)
        for row in new[:_WARM]:
            stream.update(row[None])
        times = [timed(partial(stream.update, row[None])) for row in new[_WARM:]]
        cpu, clock = (median(column) for column in zip(*times, strict=True))
        found["stream"].append({"context": context, "reference": n_reference, "cpu": cpu, "clock": clock})
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "series.csv"
        np.savetxt(table, wave(2_000), header="value", comments="")
        command = [
            sys.executable,
            "-m",
            "vetime_plugins",
            "score",
            str(table),
            "--out",
            f"{folder}/scores.csv",
        ]
        times = []
        for _ in range(5):
            before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
            subprocess.run(command, check=True, capture_output=True)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            times.append((used, time.perf_counter() - start))
    found["shell"] = [median(column) for column in zip(*times, strict=True)]
    return found


def measure_memory(n_points: int, args: argparse.Namespace) -> dict[str, float]:
    """Score a series in a process of its own."""
    command = [sys.executable, __file__, "--memory-of", str(n_points), "--threads", str(args.threads)]
    done = subprocess.run(
        [*command, "--device", args.device], capture_output=True, text=True, check=True, env=dict(os.environ)
    )
    return dict(json.loads(done.stdout.splitlines()[-1]))


def peak_memory() -> int:
    """Return the largest resident memory of this process so far, in KiB."""
    try:
        # On Linux resource usage begins with the peak of the process that started this one; VmHWM does not.
        status = Path("/proc/self/status").read_text(encoding="utf-8")
        return int(status.split("VmHWM:")[1].split()[0])
    except (OSError, IndexError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def score_once(n_points: int, args: argparse.Namespace) -> None:
    """Print time and memory of one series as JSON."""
    import torch

    torch.set_num_threads(args.threads)
    score = scorer("small", args.device)
    assert score is not None
    score(wave(512))
    series = wave(n_points)
    before = peak_memory()
    cpu, clock = timed(lambda: score(series))
    grown = (peak_memory() - before) / 1024
    print(json.dumps({"points": n_points, "cpu": cpu, "clock": clock, "mebibytes": grown}))


def tables(result: dict[str, Any]) -> str:
    """Return the tables of a run in Markdown."""
    rows = result["rows"]
    heads = [f"{row['points']:,} x {row['variables']}" for row in rows]
    lines = ["| points x variables | " + " | ".join(heads) + " |", "|---|" + "---:|" * len(rows)]
    for name in dict.fromkeys(name for row in rows for name in row["seconds"]):
        cells = []
        for row in rows:
            own, one = row["seconds"]["small"]["cpu"], row["seconds"].get(name)
            ratio = f" ({one['cpu'] / own:.2g} x)" if one and name != "small" else ""
            cells.append(f"{one['cpu']:.3g} s{ratio}" if one else "")
        lines.append(f"| `{name}` | " + " | ".join(cells) + " |")
    rates = (row["points"] * row["variables"] / row["seconds"]["small"]["cpu"] for row in rows)
    lines.append("| `small`, values/s | " + " | ".join(f"{rate:,.0f}" for rate in rates) + " |")
    if "more" not in result:
        return "\n".join(lines)
    lines += ["", "| `small` | processor | clock |", "|---|---:|---:|"]
    more = result["more"]
    lines.append("| {:,} series of {:,} points | {:.2f} s | {:.2f} s |".format(*LIST, *more["list"]))
    for one in more["stream"]:
        what = f"a point of a stream, context {one['context']:,}, reference {one['reference']:,}"
        lines.append(f"| {what} | {1e3 * one['cpu']:.1f} ms | {1e3 * one['clock']:.1f} ms |")
    lines.append(
        "| `vetime score` of 2,000 points from the shell | {:.2f} s | {:.2f} s |".format(*more["shell"])
    )
    for one in result["memory"]:
        what = f"{one['points']:,} points, {one['mebibytes']:,.0f} MiB more memory"
        lines.append(f"| {what} | {one['cpu']:.2f} s | {one['clock']:.2f} s |")
    return "\n".join(lines)


def render(result: dict[str, Any], page: Path) -> None:
    """Put the tables of a run in place of those between the two marks of a page."""
    text = page.read_text(encoding="utf-8")
    head, rest = text.split(BEGIN)
    _, tail = rest.split(END)
    setup = result["setup"]
    loads = [f"{setup[name][0]:.1f}" for name in ("load", "load_at_end") if name in setup]
    cores = f"{setup['cores']} cores, threads: {setup['threads']}"
    about = f"{setup['machine']}, {cores}; load {' to '.join(loads)}."
    page.write_text(f"{head}{BEGIN}\n{about}\n\n{tables(result)}\n{END}{tail}", encoding="utf-8")


def draw(result: dict[str, Any], picture: str) -> None:
    """Draw seconds over points."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    rows = [row for row in result["rows"] if row["variables"] == 1]
    figure, axes = plt.subplots(figsize=(8, 5), layout="constrained")
    for name in dict.fromkeys(name for row in rows for name in row["seconds"]):
        known = [row for row in rows if name in row["seconds"]]
        points = [row["points"] for row in known]
        seconds = [row["seconds"][name]["cpu"] for row in known]
        if name == "small":
            points += [one["points"] for one in result["memory"]]
            seconds += [one["cpu"] for one in result["memory"]]
        style = {"linewidth": 2.4, "color": COLOURS[name]} if name in COLOURS else {"linewidth": 1.2}
        axes.loglog(points, seconds, marker="o", markersize=4, label=name, **style)
    axes.set(xlabel="points", ylabel="processor time of fit and score, s")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    figure.savefig(picture, dpi=110)


def main() -> None:
    """Measure, print tables, write JSON; or draw."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", nargs="+", default=list(MODELS), help="small among them")
    parser.add_argument("--lengths", nargs="*", type=int, default=list(LENGTHS))
    parser.add_argument("--variables", nargs="*", type=int, default=list(VARIABLES))
    parser.add_argument("--longest", nargs="*", type=int, default=[2_000_000], help="for small alone")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--patience", type=float, default=20, help="seconds that a detector may take")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--output", help="JSON file to write")
    parser.add_argument("--rows-only", action="store_true", help="no lists, streams, shell and memory")
    parser.add_argument("--draw", nargs="+", help="JSON files of runs, of which the tables are printed")
    parser.add_argument("--picture", help="picture of that run")
    parser.add_argument("--page", type=Path, help="page whose tables are to be those of the run")
    parser.add_argument("--memory-of", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.memory_of:
        score_once(args.memory_of, args)
        return
    if args.draw:
        parts = [json.loads(Path(path).read_text()) for path in args.draw]
        result = next((part for part in parts if "more" in part), parts[0])
        rows = [row for part in parts for row in part["rows"]]
        result["rows"] = sorted(rows, key=lambda row: (row["variables"], row["points"]))
    else:
        for library in ("OMP", "MKL", "OPENBLAS", "NUMBA"):  # before any of them is loaded by a detector
            os.environ[f"{library}_NUM_THREADS"] = str(args.threads)
        machine = {"machine": platform.machine(), "cores": os.cpu_count(), "load": os.getloadavg()}
        result = {"setup": {**machine, "threads": args.threads, "repeats": args.repeats}}
        result["rows"] = compare(args)
        result["memory"] = [] if args.rows_only else [measure_memory(n, args) for n in args.longest]
        if not args.rows_only:
            result["more"] = more_of_small(args)
        result["setup"]["load_at_end"] = os.getloadavg()
        if args.output:
            Path(args.output).write_text(json.dumps(result, indent=1) + "\n")
    print(tables(result))
    if args.page:
        render(result, args.page)
    if args.picture:
        draw(result, args.picture)


if __name__ == "__main__":
    main()
