"""Compare thresholds of a stream on generated series that drift: false alarms and what is found.

    python benchmarks/streaming_thresholds.py [--series 2] [--out FILE.json]

Each series goes on drifting from its first to its last point: 500 points before the stream, 1,000 for the
first threshold, 3,000 without anomalies, on which false alarms are counted, and 1,200 with ten anomalies of
six points (a jump, or the signal held still with a spike in it). An anomaly is found if one of its points, or
one of the ten after it, is flagged. Fixed thresholds are found on the first 1,000 scores. An alarm is a run
of flagged points with fewer than 20 points between two of them.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from vetime_plugins.adaptive import make_threshold
from vetime_plugins.streaming import StreamingVETime
from vetime_plugins.thresholds import find_threshold

BEFORE, FIRST, CALM, ANOMALOUS = 500, 1000, 3000, 1200
LENGTH = BEFORE + FIRST + CALM + ANOMALOUS
FOLLOW_UP = 10
GAP = 20


def generate(kind: str, seed: int) -> tuple[np.ndarray, list[int]]:
    """Return a series (LENGTH,) and where its anomalies begin."""
    rng = np.random.default_rng([seed, *kind.encode()])
    progress = np.linspace(0, 1, LENGTH)
    noise = rng.normal(size=LENGTH)
    period = np.full(LENGTH, 40.0)
    level, swing, rough = np.zeros(LENGTH), np.ones(LENGTH), np.full(LENGTH, 0.1)
    if kind == "noise grows":
        rough = 0.05 + 0.35 * progress
    elif kind == "noise fades":
        rough = 0.4 - 0.35 * progress
    elif kind == "swing shrinks":
        swing = 1 - 0.8 * progress
    elif kind == "period slows":
        period = 30 + 50 * progress
    elif kind == "level wanders":
        level = np.cumsum(0.05 * rng.normal(size=LENGTH))
    elif kind == "tails get heavy":
        late = progress > (BEFORE + FIRST + CALM / 3) / LENGTH
        noise[late] = rng.standard_t(2, LENGTH)[late]
    values = level + swing * np.sin(2 * np.pi * np.cumsum(1 / period)) + rough * noise
    starts = [BEFORE + FIRST + CALM + 50 + 115 * i for i in range(10)]
    for number, start in enumerate(starts):
        around = values[start - 40 : start]
        if number % 2:
            values[start : start + 6] = values[start - 1]
            values[start + 3] += 3 * around.std()
        else:
            values[start : start + 6] += rng.choice([-1, 1]) * 4 * around.std()
    return values, starts


KINDS = (
    "steady",
    "noise grows",
    "noise fades",
    "swing shrinks",
    "period slows",
    "level wanders",
    "tails get heavy",
)


def score(values: np.ndarray, kept: Path | None) -> np.ndarray:
    """Return the scores of a stream from point BEFORE on."""
    if kept is not None and kept.exists():
        return np.load(kept)
    stream = StreamingVETime(256, stride=32)
    stream.warm_up(values[:BEFORE])
    scores = np.concatenate([stream.update(values[BEFORE:]), stream.flush()])
    if kept is not None:
        np.save(kept, scores)
    return scores


def count_alarms(flags: np.ndarray) -> int:
    """Count runs of flagged points."""
    places = np.flatnonzero(flags)
    return 0 if not len(places) else 1 + int((np.diff(places) > GAP).sum())


def judge(scores: np.ndarray, flags: np.ndarray, starts: list[int]) -> dict[str, float]:
    """Return false alarms and flagged points per 10,000 calm points, and the share of anomalies found."""
    calm = flags[FIRST : FIRST + CALM]
    found = [flags[one - BEFORE : one - BEFORE + 6 + FOLLOW_UP].any() for one in starts]
    per = 10_000 / CALM
    return {
        "false alarms": per * count_alarms(calm),
        "false points": per * int(calm.sum()),
        "found": float(np.mean(found)),
    }


def main() -> None:
    """Score the series, judge the thresholds and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--series", type=int, default=2, help="of each kind")
    parser.add_argument("--keep", help="folder in which scores are kept, and from where they are taken")
    parser.add_argument("--out", help="write all figures here")
    args = parser.parse_args()
    rows = []
    for kind in KINDS:
        for seed in range(args.series):
            values, starts = generate(kind, seed)
            scores = score(values, Path(args.keep) / f"{kind} {seed}.npy" if args.keep else None)
            calm = scores[:FIRST]
            flags = {
                "fixed, 99.9 % quantile": scores > find_threshold(calm, contamination=0.001),
                'fixed, "auto"': scores > find_threshold(calm, "auto"),
                "fixed, 0.999": scores > 0.999,
                "fixed, 0.9999": scores > 0.9999,
            } | {name: make_threshold(name).update(scores)[1] for name in ("rolling", "dspot")}
            for rule, found in flags.items():
                rows.append({"kind": kind, "seed": seed, "rule": rule, **judge(scores, found, starts)})
            print(kind, seed, flush=True)
    rules = list(dict.fromkeys(row["rule"] for row in rows))
    print("\nfalse alarms for 10,000 calm points / share of anomalies found, mean of the series of a kind\n")
    print(f"| | {' | '.join(rules)} |\n|---|{'---|' * len(rules)}")
    for kind in (*KINDS, "all"):
        cells = []
        for rule in rules:
            own = [row for row in rows if row["rule"] == rule and kind in (row["kind"], "all")]
            alarms, found = (np.mean([row[what] for row in own]) for what in ("false alarms", "found"))
            cells.append(f"{alarms:.1f} / {found:.0%}")
        print(f"| {kind} | {' | '.join(cells)} |")
    if args.out:
        Path(args.out).write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
