# %% [markdown]
# # Web traffic
#
# Eight weeks of hourly visits to a site: busy days, quiet nights, quieter weekends. We make them here, so we know what
# happened: an outage of ten hours at night, a campaign of five days, and five hours that are off.

# %%
import numpy as np
import pandas as pd

from vetime_plugins import VETimePipeline
from vetime_plugins.plotting import plot_scores, save_figure
from vetime_plugins.thresholds import find_threshold

rng = np.random.default_rng(0)
hours = pd.date_range("2024-03-04", periods=8 * 7 * 24, freq="h")
day = 1 + 0.8 * np.sin(2 * np.pi * (hours.hour.to_numpy() - 9) / 24)
busy = np.where(hours.dayofweek < 5, 1.0, 0.6)
visits = 500 * day * busy * rng.normal(1, 0.04, len(hours))

happened = {"outage": slice(500, 510), "campaign": slice(800, 920)}
visits[happened["outage"]] *= 0.15
visits[happened["campaign"]] += 400
odd = {"spike": 150, "second spike": 330, "dip": 640, "third spike": 1020, "fourth spike": 1200}
visits[list(odd.values())] += [900, 1100, -450, 1300, 800]
table = pd.DataFrame({"visits": visits.clip(0).round()}, index=hours)

# %% [markdown]
# ## What happened?
#
# `detect` scores the series, chooses a threshold and joins what is above it into incidents. Nothing is fitted.

# %%
pipeline = VETimePipeline.from_pretrained("small")
found = pipeline.detect(table)
print(found.incidents)

# %%
figure = plot_scores(
    table, found.scores, threshold=found.threshold, time=table.index, incidents=found.incidents
)
save_figure(figure, "web.png")

# %% [markdown]
# All five odd hours, each at its hour, and no false alarm. The automatic threshold is made to be quiet: it would
# rather pass over something than wake you for nothing.
#
# ## What was passed over?
#
# Without a threshold, scores are an order. How many hours would you have to look at to meet each event?

# %%
scores = pd.Series(found.scores, index=hours)
for name, where in {**{name: slice(at, at + 1) for name, at in odd.items()}, **happened}.items():
    best = scores.iloc[where].max()
    print(f"{name:12} score {best:.5f}, hour {(scores > best).sum() + 1} of the list")

# %% [markdown]
# The dip comes fifth. The campaign, which an eye sees at once, comes late: its hours have the course of other
# busy days, and what is compared is mostly the course. **The outage comes last: it fell into a night, and nights are
# nearly as quiet.** A detector that is told nothing about the site cannot know that twenty visits at three in the morning
# are too few. What you do know, you can take out first.
#
# ## Take out what is known
#
# The median week is divided out, by logarithms. What is left is how many times more or fewer came than usual at that hour.

# %%
usual = table.groupby([hours.dayofweek, hours.hour])["visits"].transform("median")
rest = np.log1p(table["visits"]) - np.log1p(usual)
scores = pd.Series(pipeline.score(rest), index=hours)
for name, where in {**{name: slice(at, at + 1) for name, at in odd.items()}, **happened}.items():
    best = scores.iloc[where].max()
    print(f"{name:12} score {best:.5f}, hour {(scores > best).sum() + 1} of the list")

# %% [markdown]
# Now the outage is sixth, and at the automatic threshold it is flagged with the five hours. The campaign is not.
# Or say what you can look at, here two hours of a hundred:

# %%
threshold = find_threshold(scores, "quantile", contamination=0.02)
better = pipeline.detect(rest, threshold=threshold)
print(better.incidents)

# %%
figure = plot_scores(rest, better.scores, threshold=threshold, time=hours, incidents=better.incidents)
save_figure(figure, "web-rest.png")
