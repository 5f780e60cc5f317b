# %% [markdown]
# # A machine with eight sensors
#
# Two thousand readings of a pump. Stamps are irregular, one meter was off for half an hour, some readings were lost. After 1,400
# readings three of the eight sensors show a failure.

# %%
import numpy as np
import pandas as pd

from vetime_plugins import VETimePipeline
from vetime_plugins.plotting import plot_scores, save_figure

rng = np.random.default_rng(1)
stamps = pd.Timestamp("2024-05-01") + pd.to_timedelta(np.cumsum(rng.uniform(40, 80, 2000)), unit="s")
load = 50 + 10 * np.sin(np.arange(2000) * 2 * np.pi / 120) + np.cumsum(rng.normal(0, 0.1, 2000))
gains = {"temp_in": 0.4, "temp_out": 0.6, "pressure": 0.1, "flow": 2.0, "power": 3.0, "speed": 12.0}
table = pd.DataFrame({name: gain * load for name, gain in gains.items()}, index=stamps)
table["vibration"] = rng.gamma(2, 0.2, 2000)
table["humidity"] = 40 + np.cumsum(rng.normal(0, 0.05, 2000))
table = table * rng.normal(1, 0.005, table.shape)

failed = ["temp_out", "pressure", "flow"]
table.loc[table.index[1400:1440], failed] *= [1.35, 0.6, 0.5]
table.iloc[300:330, 4] = np.nan
table.iloc[rng.choice(2000, 40), 5] = np.nan
print(table.index[:3].strftime("%H:%M:%S").tolist(), f"{table.isna().sum().sum()} readings missing")

# %% [markdown]
# ## One step a minute
#
# VETime counts steps as evenly spaced. Readings every 40 to 80 seconds are close to that, and can be scored as they are. Where
# spacing matters, put them on a grid; a minute without a reading becomes a gap. Short gaps are best bridged, long ones left: the
# detector bridges those too, and gives their steps a score.

# %%
even = table.resample("1min").mean().interpolate(limit=3)
print(f"{len(even)} minutes, {even.isna().sum().sum()} values still missing")

# %% [markdown]
# ## Which sensor was it?
#
# All eight share one score, and an incident names the variables that lead it.

# %%
pipeline = VETimePipeline.from_pretrained("small")
found = pipeline.detect(even, threshold=0.999)
print(found.incidents)

# %%
each = pipeline.score(even, per_variable=True)
figure = plot_scores(
    even, found.scores, time=even.index, incidents=found.incidents, variable_scores=each,
    names=list(even.columns), threshold=found.threshold,
)  # fmt: skip
save_figure(figure, "machine.png")

# %% [markdown]
# The failure is found with its forty minutes, and the three sensors that failed lead it.
#
# ## The threshold
#
# 0.999 is what calm points reach once in a thousand. The automatic threshold asks for more, so that calm series stay quiet.
# How rare is the failure, and how rare must something be? For all sensors together, and for each that failed:

# %%
fails = slice(int((even.index < stamps[1400]).sum()), int((even.index < stamps[1440]).sum()))
for name, columns in {"together": list(even), **{one: [one] for one in failed}}.items():
    seen = pipeline.detect(even[columns])
    print(f"{name:9} {1 - seen.scores[fails].max():.1e}, needed {1 - seen.threshold:.1e}")

# %% [markdown]
# Where the first number is the smaller one, something is flagged. Alone, each of the three is rarer by a factor of a thousand and more:
# five of the eight sensors are well, and take part in what is said of all. Where a few sensors matter most, watch each of them by itself
# as well.
