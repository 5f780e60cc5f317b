"""From a file to what happened in it: three plain files, their incidents and pictures.

    python examples/incidents.py [FOLDER]

Makes hourly web traffic with a drop, a level shift and five spikes; eight sensors of which three fail
together, with gaps and irregular stamps; and ninety points with two spikes. Scores them and prints the
incidents. With a FOLDER it leaves the files (CSV) and the pictures (PNG) there.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd

from vetime_plugins import VETimePipeline
from vetime_plugins.plotting import save_figure


def web_traffic() -> pd.DataFrame:
    """Make eight weeks of hourly visits: busy days, quiet nights and weekends."""
    rng = np.random.default_rng(0)
    hours = pd.date_range("2024-03-04", periods=8 * 7 * 24, freq="h")
    day = 1 + 0.8 * np.sin(2 * np.pi * (hours.hour.to_numpy() - 9) / 24)
    visits = 500 * day * np.where(hours.dayofweek < 5, 1.0, 0.6) * rng.normal(1, 0.04, len(hours))
    visits[500:510] *= 0.15  # an outage of ten hours
    visits[800:920] += 400  # five days of a campaign
    visits[[150, 330, 640, 1020, 1200]] += [900, 1100, -450, 1300, 800]  # one step each, one of them down
    return pd.DataFrame({"visits": visits.clip(0).round()}, index=hours)


def eight_sensors() -> pd.DataFrame:
    """Make two thousand readings of a machine, one a minute or so: temperatures, pressures, and more."""
    rng = np.random.default_rng(1)
    stamps = pd.Timestamp("2024-05-01") + pd.to_timedelta(np.cumsum(rng.uniform(40, 80, 2000)), unit="s")
    stamps = stamps.floor("s")
    load = 50 + 10 * np.sin(np.arange(2000) * 2 * np.pi / 120) + np.cumsum(rng.normal(0, 0.1, 2000))
    gains = {"temp_in": 0.4, "temp_out": 0.6, "pressure": 0.1, "flow": 2.0, "power": 3.0, "speed": 12.0}
    table = pd.DataFrame({name: gain * load for name, gain in gains.items()}, index=stamps)
    table["vibration"], table["humidity"] = rng.gamma(2, 0.2, 2000), 40 + np.cumsum(rng.normal(0, 0.05, 2000))
    table = table * rng.normal(1, 0.005, table.shape)
    table.iloc[1400:1440, [1, 2, 3]] *= [1.35, 0.6, 0.5]  # the pump fails: hotter, less pressure, less flow
    table.iloc[300:330, 4] = np.nan  # the meter was off
    table.iloc[rng.choice(2000, 40), 5] = np.nan  # readings that were lost
    return table


def ninety_points() -> pd.DataFrame:
    """Make a quarter of daily sales with two spikes."""
    rng = np.random.default_rng(2)
    days = pd.date_range("2024-01-01", periods=90, freq="D")
    sales = 100 + 15 * np.sin(2 * np.pi * np.arange(90) / 7) + rng.normal(0, 4, 90)
    sales[[31, 67]] += [70, -60]
    return pd.DataFrame({"sales": sales.round(1)}, index=days)


def main() -> None:
    """Score the three files and show what happened."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    pipeline = VETimePipeline.from_pretrained("small")
    for make in (web_traffic, eight_sensors, ninety_points):
        table = make()
        found = pipeline.detect(table)
        print(f"{make.__name__}: {len(table)} steps, threshold {found.threshold:.6f}")
        print(f"{found.incidents}\n")
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            table.to_csv(folder / f"{make.__name__}.csv", index_label="time")
            save_figure(pipeline.plot(table, title=make.__name__), folder / f"{make.__name__}.png")


if __name__ == "__main__":
    main()
