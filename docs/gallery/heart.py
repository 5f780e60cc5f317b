# %% [markdown]
# # An electrocardiogram
#
# A recording of the MIT-BIH arrhythmia database, as it comes with sktime: 7,500 samples with one labelled episode. Nothing is made up
# here, and so nobody knows for sure what is to be found.

# %%
from importlib.resources import files

import numpy as np
import pandas as pd

from vetime_plugins import VETimePipeline
from vetime_plugins.plotting import plot_scores, save_figure

table = pd.read_csv(str(files("sktime") / "datasets" / "data" / "mitdb" / "mitdb.csv"))
signal, label = table["data"].to_numpy(), table["label"].to_numpy()
episode = np.flatnonzero(label)
print(f"labelled: samples {episode[0]} to {episode[-1]}")

# %%
pipeline = VETimePipeline.from_pretrained("small")
found = pipeline.detect(signal)
print(found.incidents)

# %% [markdown]
# At the automatic threshold nothing is flagged: beats differ, and none differs so much that it could not be chance in a recording as
# long as this. Someone who looks for arrhythmia wants to see candidates all the same. 0.99 is reached by chance by one calm
# sample in a hundred, and samples come in runs:

# %%
candidates = pipeline.detect(signal, threshold=0.99)
print(candidates.incidents)

# %%
figure = plot_scores(signal, candidates.scores, threshold=0.99, labels=label, incidents=candidates.incidents)
save_figure(figure, "heart.png")

# %% [markdown]
# ## The label and the alarms
#
# The strongest candidate lies outside the label. Look closer at it, and then at the labelled episode:

# %%
first = candidates.incidents[0]
around = slice(max(0, first.peak - 400), first.peak + 400)
save_figure(plot_scores(signal[around], candidates.scores[around], threshold=0.99), "heart-first.png")

# %%
labelled = slice(episode[0] - 200, episode[-1] + 200)
figure = plot_scores(signal[labelled], candidates.scores[labelled], labels=label[labelled], threshold=0.99)
save_figure(figure, "heart-episode.png")

# %% [markdown]
# The candidate is the tallest beat of the recording, a third higher than its neighbours: unlike the rest, and not what the label is about.
# In the labelled episode the height is usual and the time is not: the beat comes 200 samples after the one before, where 300 are usual.
#
# A score says what is unlike the rest of this recording. A label says what an expert marked, by knowledge that is not in it.
# The two meet often enough to be useful, and are not the same:

# %%
for one in candidates.incidents:
    inside = label[one.start : one.end + 1].any()
    print(f"sample {one.peak}: {'inside' if inside else 'outside'} the labelled episode")
