# %% [markdown]
# # Power demand with two seasons
#
# Ten weeks of hourly demand with a day and a week in it. Three things happen: a public holiday on a Wednesday, a meter that stands
# still for seven hours, and an outage of three hours at night.

# %%
import numpy as np
import pandas as pd

from vetime_plugins import VETimePipeline
from vetime_plugins.plotting import plot_scores, save_figure

workday = [52, 49, 47, 46, 47, 52, 62, 76, 84, 86, 87, 88, 87, 86, 85, 83, 82, 85, 92, 95, 90, 80, 70, 60]
weekend = [54, 50, 47, 45, 44, 45, 47, 52, 60, 68, 73, 75, 74, 71, 68, 66, 67, 73, 82, 87, 83, 75, 67, 59]
rng = np.random.default_rng(7)
hours = pd.date_range("2024-03-04", periods=10 * 7 * 24, freq="h")
works = (hours.dayofweek < 5) & (hours.normalize() != pd.Timestamp("2024-04-10"))
course = np.where(works, np.array(workday)[hours.hour], np.array(weekend)[hours.hour])
weather = 6 * np.convolve(rng.normal(size=len(hours) + 47), np.ones(48) / 48, "valid")
demand = pd.Series(course + weather + rng.normal(0, 0.8, len(hours)), index=hours, name="demand")

demand["2024-04-25 13:00":"2024-04-25 19:00"] = demand["2024-04-25 12:00"]
demand["2024-05-04 02:00":"2024-05-04 04:00"] -= 18
events = {
    "holiday": slice("2024-04-10 00:00", "2024-04-10 23:00"),
    "meter": slice("2024-04-25 13:00", "2024-04-25 19:00"),
    "outage": slice("2024-05-04 02:00", "2024-05-04 04:00"),
}

# %%
pipeline = VETimePipeline.from_pretrained("small")
found = pipeline.detect(demand, threshold=0.999)
print(found.incidents)


# %%
def rank(scores: np.ndarray) -> None:
    """Print the best score of each event, and which hour it is in the order of all."""
    series = pd.Series(scores, index=hours)
    for name, when in events.items():
        best = series[when].max()
        print(f"{name:8} score {best:.5f}, hour {(series > best).sum() + 1} of the list")


rank(found.scores)

# %%
figure = plot_scores(demand, found.scores, threshold=0.999, time=hours, incidents=found.incidents)
save_figure(figure, "power.png")

# %% [markdown]
# Outage and meter are found. The holiday is not, and that is right as far as the series goes: **it looks like any Sunday, and there are
# twenty of those.** That it was a Wednesday is not a matter of shape. VETime asks whether a course has its like elsewhere in the
# series, not whether it came on the right day of the week.
#
# ## Tell it the day of the week
#
# Subtract the median of each hour of the week. What is left is what the calendar does not explain.

# %%
rest = demand - demand.groupby([hours.dayofweek, hours.hour]).transform("median")
better = pipeline.detect(rest, threshold=0.999)
print(better.incidents)
rank(better.scores)

# %%
figure = plot_scores(rest, better.scores, threshold=0.999, time=hours, incidents=better.incidents)
save_figure(figure, "power-rest.png")

# %% [markdown]
# Now all three are found. The rule holds for other detectors too: a known effect that is taken out cannot hide
# anything. Keep the raw series beside it, since what is subtracted may hide something else.
#
# ## Watch from now on
#
# The weeks so far can serve as `reference` for the next: two days are then judged by ten weeks instead of by themselves. On the
# second of them two hours before noon are 25 too high:

# %%
new = demand[-48:].copy()
new.iloc[33:35] += 25
found = pipeline.detect(new, reference=demand[:-48])
print(found.incidents)
