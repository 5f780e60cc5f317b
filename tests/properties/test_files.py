"""Files that are damaged or made to harm are read or refused, and nothing else happens."""

from __future__ import annotations

import json
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.properties._cases import ADVICE, check_scores, tried
from vetime_plugins import CheckpointError, InputError, VETimePipeline
from vetime_plugins.leaderboard.tasks import Task
from vetime_plugins.network.conversion import convert_official
from vetime_plugins.streaming import StreamingVETime

pytestmark = ADVICE

X = np.sin(np.arange(40) / 3)

DAMAGE = st.lists(
    st.tuples(
        st.sampled_from(["flip", "cut", "drop", "repeat", "write"]), st.floats(0, 1), st.binary(max_size=9)
    ),
    min_size=1,
    max_size=4,
)
JUNK: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from([0, 1, -1, 10**6, 2**31, 2**63, "small", "cpu"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


def damage(content: bytes, steps: list[tuple[str, float, bytes]]) -> bytes:
    """Return bytes that were changed at a few places, in the front half more often."""
    changed = bytearray(content)
    for how, where, extra in steps:
        at = int(where**4 * len(changed))
        if how == "flip" and changed:
            changed[min(at, len(changed) - 1)] ^= 1 << (len(extra) % 8)
        elif how == "cut":
            del changed[at:]
        elif how == "drop":
            del changed[at : at + len(extra)]
        elif how == "repeat":
            changed[at:at] = changed[at : at + 50]
        else:
            changed[at : at + len(extra)] = extra
    return bytes(changed)


@pytest.fixture(scope="module")
def copies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("copies")


def _load_and_score(folder: Path) -> None:
    with suppress(CheckpointError):
        pipeline = VETimePipeline.from_pretrained(folder, device="cpu")
        check_scores(pipeline.score(X), X.shape)


@tried()
@given(steps=DAMAGE, hashed=st.booleans())
def test_damaged_weights(tiny: str, copies: Path, steps: Any, hashed: bool) -> None:
    folder = copies / "weights"
    shutil.copytree(tiny, folder, dirs_exist_ok=True)
    file, record = folder / "model.safetensors", json.loads((folder / "config.json").read_text())
    content = damage(file.read_bytes(), steps)
    unchanged = content == file.read_bytes()
    file.write_bytes(content)
    if hashed and not unchanged:
        with pytest.raises(CheckpointError, match="damaged or was exchanged"):
            VETimePipeline.from_pretrained(folder, device="cpu")
    if not hashed:
        del record["sha256"]
        (folder / "config.json").write_text(json.dumps(record))
        _load_and_score(folder)


@tried()
@given(steps=DAMAGE)
def test_damaged_configurations(tiny: str, copies: Path, steps: Any) -> None:
    folder = copies / "damaged-config"
    shutil.copytree(tiny, folder, dirs_exist_ok=True)
    file = folder / "config.json"
    file.write_bytes(damage(file.read_bytes(), steps))
    _load_and_score(folder)


@tried()
@given(data=st.data())
def test_absurd_configurations(tiny: str, copies: Path, data: st.DataObject) -> None:
    folder = copies / "absurd-config"
    shutil.copytree(tiny, folder, dirs_exist_ok=True)
    record = json.loads((folder / "config.json").read_text())
    target = record["config"] if data.draw(st.booleans()) else record
    target[data.draw(st.sampled_from(sorted(target)))] = data.draw(JUNK)
    (folder / "config.json").write_text(json.dumps(record))
    _load_and_score(folder)


@tried(4)
@given(steps=DAMAGE)
def test_damaged_foreign_weights(tiny: str, copies: Path, steps: Any) -> None:
    for name in ("model.safetensors", "model.pth"):
        content = (Path(tiny) / "model.safetensors").read_bytes()
        (copies / name).write_bytes(damage(content, steps))
        with pytest.raises((CheckpointError, InputError)):
            convert_official(copies / name, copies / "out")


@tried()
@given(data=st.data())
def test_absurd_states_of_streams(tiny: str, data: st.DataObject) -> None:
    stream = StreamingVETime(16, weights=tiny, stride=2)
    stream.warm_up(np.tile(X, 2))
    stream.update(X[:5])
    state = stream.state_dict()
    state[data.draw(st.sampled_from(sorted(state)))] = data.draw(JUNK)
    try:
        other = StreamingVETime.from_state_dict(state)
        found = np.concatenate([other.update(X[5:9]), other.flush()])
    except (InputError, CheckpointError):
        return
    assert ((found >= 0) & (found <= 1)).all()


@tried()
@given(steps=DAMAGE)
def test_damaged_files_of_streams(tiny: str, copies: Path, steps: Any) -> None:
    stream = StreamingVETime(16, weights=tiny)
    stream.warm_up(X)
    stream.save(copies / "stream.npz")
    content = (copies / "stream.npz").read_bytes()
    (copies / "stream.npz").write_bytes(damage(content, steps))
    try:
        found = StreamingVETime.load(copies / "stream.npz").update(X[:3])
    except (InputError, CheckpointError):
        return
    check_scores(found, (3,))


TASK = """
name = "mine"
[source]
reader = "csv"
folder = "data"
options = {label = "label", ignore = ["time"], pattern = "**/*.csv"}
[split]
rule = "fraction"
train = 0.5
"""


@tried()
@given(steps=DAMAGE)
def test_damaged_tasks(copies: Path, steps: Any) -> None:
    file = copies / "task.toml"
    file.write_bytes(damage(TASK.encode(), steps))
    with suppress(InputError):
        Task.read(file).find()


@tried()
@given(content=st.binary(max_size=300), steps=DAMAGE, label=st.sampled_from(["label", "Label", "x"]))
def test_damaged_series_of_a_task(copies: Path, content: bytes, steps: Any, label: str) -> None:
    folder = copies / "task-data"
    folder.mkdir(exist_ok=True)
    table = b"time,value,label\n" + b"".join(b"%d,%d.5,%d\n" % (i, i, i == 7) for i in range(20))
    (folder / "a.csv").write_bytes(damage(table + content, steps))
    (copies / "series.toml").write_text(
        f'name = "mine"\n[source]\nreader = "csv"\nfolder = "task-data"\noptions = {{label = "{label}"}}\n'
        '[split]\nrule = "none"\n'
    )
    task = Task.read(copies / "series.toml")
    for entry in task.find():
        try:
            found = task.load(entry)
        except InputError:
            continue
        assert len(found.labels) == len(found.values)
        assert not np.isinf(found.values).any()
