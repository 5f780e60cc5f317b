"""Tasks and the readers of data sets."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from tests._shared import shared_path
from vetime_plugins.errors import InputError
from vetime_plugins.leaderboard.generated import BASES, COUNTS, KINDS
from vetime_plugins.leaderboard.tasks import Task, bundled_tasks, parse_bytes
from vetime_plugins.metrics import METRIC_NAMES, find_buffer

FULL = """
name = "pumps"
description = "Vibration"
metrics = ["AUC-PR", "VUS-PR"]
detectors = ["random", "sub-knn(n_neighbors=3)"]
device = "auto"
time_limit = 30
memory_limit = "1.5G"

[source]
reader = "csv"
folder = "data"
datasets = ["A"]
series = ["x*"]
options = { label = "is_anomaly", ignore = ["time"], delimiter = ";" }

[split]
rule = "fraction"
train = 0.25

[buffer]
rule = "fixed"
points = 7
"""

SHORT = '[source]\nreader = "tsb-ad"\n'


def read(tmp_path, text, name="task.toml"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return Task.read(path)


def write_csv(path, rows, header="time;a;b;is_anomaly"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")


class TestFile:
    def test_everything_can_be_said(self, tmp_path):
        task = read(tmp_path, FULL)
        assert (task.name, task.description, task.device) == ("pumps", "Vibration", "auto")
        assert task.metrics == ("VUS-PR", "AUC-PR")
        assert task.detectors == ("random", "sub-knn(n_neighbors=3)")
        assert (task.time_limit, task.memory_limit) == (30.0, 3 * 2**29)
        assert task.source.folder == str(tmp_path / "data")
        assert task.source.options == {"label": "is_anomaly", "ignore": ["time"], "delimiter": ";"}
        assert (task.split.rule, task.split.train) == ("fraction", 0.25)
        assert (task.buffer.rule, task.buffer.points) == ("fixed", 7)

    def test_little_has_to_be_said(self, tmp_path):
        task = read(tmp_path, f'name = "t"\n{SHORT}')
        assert task.metrics == METRIC_NAMES
        assert task.detectors is None
        assert (task.split.rule, task.buffer.rule, task.device) == ("source", "period", "cpu")
        assert (task.time_limit, task.memory_limit) == (None, None)

    def test_yaml_says_the_same(self, tmp_path):
        yaml = pytest.importorskip("yaml")
        import tomllib

        task = read(tmp_path, yaml.safe_dump(tomllib.loads(FULL)), "task.yaml")
        assert task == read(tmp_path, FULL)
        with pytest.raises(InputError, match="is not YAML"):
            read(tmp_path, "a: [", "bad.yml")

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("", "name is missing"),
            ('name = "t"', "source is missing"),
            ('name = "a b"\n' + SHORT, "letters, digits"),
            ("name = 3\n" + SHORT, "name must be a string, got 3"),
            ('name = "t"\nmetricz = ["PATE"]\n' + SHORT, "unknown key metricz; known are name, .*metrics"),
            ('name = "t"\nmetrics = ["PATEX"]\n' + SHORT, "got PATEX"),
            ('name = "t"\nmetrics = []\n' + SHORT, "metrics must be a list of one entry or more"),
            ('name = "t"\nmetrics = "PATE"\n' + SHORT, "metrics must be a list"),
            ('name = "t"\ndetectors = [1]\n' + SHORT, "detectors.0 must be a string, got 1"),
            ('name = "t"\ntime_limit = 0\n' + SHORT, "time_limit must be above 0"),
            ('name = "t"\ntime_limit = true\n' + SHORT, "time_limit must be a number, got True"),
            ('name = "t"\ntime_limit = "fast"\n' + SHORT, "time_limit must be a number, got 'fast'"),
            ('name = "t"\nmemory_limit = "much"\n' + SHORT, "memory_limit: memory must be given like 4G"),
            ('name = "t"\nsource = "here"', "source must be a table"),
            ('name = "t"\n[source]\nreader = "tsb"', "source.reader must be one of tsb-ad, nab"),
            ('name = "t"\n[source]\nreader = "nab"\nfile = "x"', "unknown key source.file"),
            ('name = "t"\n[source]\nreader = "nab"\noptions = {a = 1}', "unknown key source.options.a"),
            ('name = "t"\n[source]\nreader = "csv"\noptions = {label = 1}', "options.label must be a string"),
            ('name = "t"\n[source]\nreader = "csv"', "does not know which points are for training"),
            ('name = "t"\n[source]\nreader = "embedded"\nfolder = "x"', "takes no folder"),
            ('name = "t"\n' + SHORT + '[split]\nrule = "half"', "split.rule must be one of"),
            ('name = "t"\n' + SHORT + '[split]\nrule = "fraction"', 'got None for "fraction"'),
            ('name = "t"\n' + SHORT + '[split]\nrule = "fraction"\ntrain = 1.5', "split.train must be"),
            ('name = "t"\n' + SHORT + '[split]\nrule = "points"\ntrain = 1.5', "split.train must be"),
            ('name = "t"\n' + SHORT + "[split]\ntrain = 5", 'got 5 for "source"'),
            ('name = "t"\n' + SHORT + '[buffer]\nrule = "fixed"', "buffer.points must be"),
            ('name = "t"\n' + SHORT + "[buffer]\npoints = 5", "buffer.points must be"),
            ("name = ", "is not TOML"),
        ],
    )
    def test_what_is_wrong_is_said_in_one_line(self, tmp_path, text, says):
        with pytest.raises(InputError, match=says) as error:
            read(tmp_path, text)
        assert "task.toml" in str(error.value)
        assert "\n" not in str(error.value)

    def test_no_such_task(self, tmp_path):
        with pytest.raises(InputError, match="no task 'embeded'; there are care, embedded, generated, gpu"):
            Task.read("embeded")
        with pytest.raises(InputError, match=r"must be a \.toml"):
            Task.read("task.json")
        with pytest.raises(InputError, match="cannot read the task"):
            Task.read(tmp_path / "none.toml")

    @pytest.mark.parametrize("name", bundled_tasks())
    def test_bundled_tasks_are_valid_and_say_what_they_are(self, name):
        from vetime_plugins.detectors.specs import choose

        task = Task.read(name)
        assert task.name == name
        assert task.description
        assert choose(task.detectors or ["random"])


@pytest.mark.parametrize("text", ["", "4X", "-1G", "0", "G"])
def test_memory_that_is_none(text):
    with pytest.raises(InputError, match="like 4G"):
        parse_bytes(text)


class TestCsv:
    def test_series_are_read_split_and_named(self, tmp_path):
        rows = [f"2020-01-01 00:00:{i:02d};{i};{'' if i == 3 else -i};{int(i == 7)}" for i in range(8)]
        for name in ("A/x1", "A/y", "B/x1"):
            write_csv(tmp_path / "data" / f"{name}.csv", rows)
        task = read(tmp_path, FULL)
        (entry,) = task.find()
        assert (entry.name, entry.dataset) == ("A-x1", "A")
        series = task.load(entry)
        assert (series.name, series.train_length, series.buffer) == ("A-x1", 2, 7)
        assert series.period == find_buffer(series.values)
        np.testing.assert_array_equal(series.values[:, 0], np.arange(8))
        assert np.isnan(series.values[3, 1])
        assert series.labels.tolist() == [0] * 7 + [1]

    @pytest.mark.parametrize(
        ("rows", "header", "says"),
        [
            (["0;1;1;0"], "time;a;b;label", "one column is_anomaly"),
            (["0;1;1;0"], "t;a;b;is_anomaly", "no column time to ignore"),
            (["0;1;1;2"], "time;a;b;is_anomaly", "labels must be 0 and 1, got '2' in row 1"),
            (["0;1;x;0"], "time;a;b;is_anomaly", "name columns without numbers in the option ignore"),
            (["0;1;0"], "time;a;b;is_anomaly", "must have 4 cells in each row"),
            (["0;1;inf;0"], "time;a;b;is_anomaly", "infinite"),
            ([], "time;a;b;is_anomaly", "a header and rows"),
            (["0;1"], "time;is_anomaly", "no column besides labels"),
        ],
    )
    def test_bad_files_are_named(self, tmp_path, rows, header, says):
        write_csv(tmp_path / "data" / "A" / "x.csv", rows, header)
        task = read(tmp_path, FULL)
        with pytest.raises(InputError, match=says) as error:
            task.load(task.find()[0])
        assert "x.csv" in str(error.value)

    @pytest.mark.parametrize("pattern", ["../*.csv", "/etc/*", "a/../../*", ""])
    def test_patterns_stay_in_their_folder(self, tmp_path, pattern):
        write_csv(tmp_path / "x.csv", ["0;1;1;0"])
        (tmp_path / "data").mkdir()
        task = read(tmp_path, FULL)
        source = dataclasses.replace(task.source, options={**task.source.options, "pattern": pattern})
        with pytest.raises(InputError, match="pattern must name files within the folder"):
            dataclasses.replace(task, source=source).find()

    def test_nothing_to_read(self, tmp_path):
        with pytest.raises(InputError, match=r"no folder .*--data DIR"):
            read(tmp_path, FULL).find()
        write_csv(tmp_path / "data" / "B" / "x.csv", ["0;1;1;0"])
        with pytest.raises(InputError, match=r"no data set A in .*; there are B"):
            read(tmp_path, FULL).find()
        with pytest.raises(InputError, match="no series left"):
            read(tmp_path, FULL.replace('["A"]', '["B"]').replace('["x*"]', '["q*"]')).find()
        with pytest.raises(InputError, match="needs a data set"):
            Task.read("tsb-ad").find()
        with pytest.raises(InputError, match="brings its series along"):
            Task.read("embedded").narrowed(folder=tmp_path)

    def test_a_train_part_that_leaves_nothing(self, tmp_path):
        write_csv(tmp_path / "data" / "A" / "x.csv", ["0;1;1;0"] * 5)
        task = read(tmp_path, FULL.replace('"fraction"', '"points"').replace("0.25", "5"))
        with pytest.raises(InputError, match="5 points; the train part cannot be 5"):
            task.load(task.find()[0])


class TestNab:
    def write(self, root, windows, n=20):
        (root / "labels").mkdir(parents=True)
        (root / "labels" / "combined_windows.json").write_text(json.dumps(windows))
        for name in windows:
            path = root / "data" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            rows = [f"2014-04-01 00:{i:02d}:00,{i}.5" for i in range(n)]
            path.write_text("timestamp,value\n" + "\n".join(rows) + "\n")

    def task(self, root):
        return Task.read("nab").narrowed(folder=root)

    def test_windows_become_labels(self, tmp_path):
        windows = {
            "real/a.csv": [["2014-04-01 00:05:00.000000", "2014-04-01 00:07:00.000000"]],
            "art/b.csv": [],
        }
        self.write(tmp_path / "NAB-1234", windows)
        task = self.task(tmp_path)
        entries = task.find()
        assert [(entry.dataset, entry.name) for entry in entries] == [("art", "b"), ("real", "a")]
        series = task.load(entries[1])
        assert np.flatnonzero(series.labels).tolist() == [5, 6, 7]
        assert series.train_length == 3  # 15 %
        assert series.values[:3].tolist() == [[0.5], [1.5], [2.5]]
        assert not task.load(entries[0]).labels.any()

    def test_what_is_missing_is_named(self, tmp_path):
        with pytest.raises(InputError, match="vetime data fetch nab"):
            self.task(tmp_path).find()
        self.write(tmp_path, {"real/a.csv": []})
        (tmp_path / "data" / "real" / "a.csv").unlink()
        with pytest.raises(InputError, match=r"names real/a\.csv, which is not in"):
            self.task(tmp_path).find()
        (tmp_path / "outside.csv").write_text("timestamp,value\n")
        (tmp_path / "labels" / "combined_windows.json").write_text('{"../outside.csv": []}')
        with pytest.raises(InputError, match=r"names \.\./outside\.csv, which is not in"):
            self.task(tmp_path).find()
        (tmp_path / "labels" / "combined_windows.json").write_text('{"real/a.csv": [["x", "y"]]}')
        (tmp_path / "data" / "real" / "a.csv").write_text("timestamp,value\n")
        with pytest.raises(InputError, match="no list of anomaly windows"):
            self.task(tmp_path).find()


class TestUcr:
    @pytest.mark.parametrize("separator", ["\n", "  "])
    def test_the_name_says_where_the_anomaly_is(self, tmp_path, separator):
        path = tmp_path / "deep" / "004_UCR_Anomaly_some_name2_10_20_23.txt"
        path.parent.mkdir()
        path.write_text(separator.join(f"{i}.0e+00" for i in range(40)))
        task = Task.read("ucr").narrowed(folder=tmp_path)
        (entry,) = task.find()
        series = task.load(entry)
        assert (entry.dataset, series.train_length, len(series.values)) == ("UCR", 10, 40)
        assert np.flatnonzero(series.labels).tolist() == [20, 21, 22]

    def test_bad_files_are_named(self, tmp_path):
        task = Task.read("ucr").narrowed(folder=tmp_path)
        with pytest.raises(InputError, match="files must be named like 001_UCR_Anomaly"):
            task.find()
        path = tmp_path / "004_UCR_Anomaly_x_1_20_23.txt"
        path.write_text("1 2 3")
        with pytest.raises(InputError, match="has 3 points, but by its name an anomaly at 20 to 23"):
            task.load(task.find()[0])
        path.write_text("1 2 x")
        with pytest.raises(InputError, match="numbers only"):
            task.load(task.find()[0])

    def test_labels_are_where_tsb_ad_has_them(self):
        """The same series in both layouts; its name in the archive ends in 7482_18485_18821."""
        folder = shared_path("data")
        task = Task.read("tsb-ad").narrowed(folder=folder, series=["354_UCR_*"])
        series = task.load(task.find()[0])
        marked = np.flatnonzero(series.labels)
        assert (series.train_length, marked[0], marked[-1] + 1) == (7482, 18485, 18821)


class TestEmbedded:
    def test_series_are_whole_and_have_something_to_find(self):
        pytest.importorskip("sktime")
        pytest.importorskip("statsmodels")
        task = Task.read("embedded")
        entries = task.find()
        assert {entry.dataset for entry in entries} == {"labelled", "recombined", "injected"}
        for entry in entries:
            series, again = task.load(entry), task.load(entry)
            assert np.array_equal(series.values, again.values, equal_nan=True)
            assert np.array_equal(series.labels, again.labels)
            assert series.labels.shape == series.values.shape[:1]
            assert not series.labels[: series.train_length].any()
            assert 0 < series.labels[series.train_length :].mean() < 0.3
        assert any(task.load(entry).values.shape[1] > 1 for entry in entries)

    def test_recombined_recordings_are_those_of_the_data_set(self):
        datasets = pytest.importorskip("sktime.datasets")
        X, y = datasets.load_basic_motions(return_X_y=True, return_type="numpy3D")
        task = Task.read("embedded").narrowed(series=["badminton*"])
        series = task.load(task.find()[0])
        known = {part.tobytes(): kind for part, kind in zip(X, y, strict=True)}
        parts = [series.values[i : i + 100].T.copy() for i in range(0, 2000, 100)]
        kinds = [known[part.tobytes()] for part in parts]
        assert len({part.tobytes() for part in parts}) == len(parts)
        assert [kind == "badminton" for kind in kinds] == series.labels[::100].astype(bool).tolist()
        assert set(kinds) == {"badminton", "walking"}


NAME = "mean.sine.n5.v10"


class TestTextbook:
    def test_an_archive_names_kind_and_series(self, tmp_path):
        labels = np.zeros(50, np.int8)
        labels[[20, 30, 31]] = 1
        arrays = {f"{NAME}.x": np.arange(50, dtype=np.float32), f"{NAME}.y": labels}
        arrays |= {
            "trend.poly.n1.v2.x": np.ones((50, 2)),
            "trend.poly.n1.v2.y": labels,
            "made_by": np.array(1),
        }
        np.savez(tmp_path / "book.npz", **arrays)
        task = Task.read("textbook").narrowed(folder=tmp_path / "book.npz")
        mean, trend = (task.load(entry) for entry in task.find())
        assert (mean.name, mean.dataset, mean.kind) == (NAME, "mean", "mean")
        assert (mean.values.shape, trend.values.shape) == ((50, 1), (50, 2))
        assert (mean.train_length, mean.buffer) == (5, 100)
        assert np.flatnonzero(mean.labels).tolist() == [20, 30, 31]

    def test_a_folder_of_tables(self, tmp_path):
        for name in (NAME, "notes"):
            write_csv(tmp_path / f"{name}.csv", ["1,0", "2,0", "3,1"] * 5, header="value,label")
        task = Task.read("textbook").narrowed(folder=tmp_path)
        (entry,) = task.find()
        series = task.load(entry)
        assert (series.name, series.dataset, series.kind, len(series.values)) == (NAME, "mean", "mean", 15)

    @pytest.mark.parametrize(
        ("arrays", "says"),
        [
            ({"a.x": [1.0], "a.y": [0]}, "arrays named like mean.sine.n5.v10.x .*; got a$"),
            ({"other": [1.0]}, "arrays named like .*; it holds none"),
            ({f"{NAME}.x": [1.0]}, r"lacks the array mean.sine.n5.v10.y; every series needs"),
            ({f"{NAME}.x": ["a"], f"{NAME}.y": [0]}, r"x must hold numbers, .* got <U1 \(1,\)"),
            ({f"{NAME}.x": [1.0, 2.0], f"{NAME}.y": [0]}, r"y must have the shape \(2,\), got \(1,\)"),
            ({f"{NAME}.x": [1.0, 2.0], f"{NAME}.y": [0, 3]}, "y: labels must hold 0 .* and 1"),
            ({f"{NAME}.x": [1.0, np.inf], f"{NAME}.y": [0, 1]}, "holds infinite values"),
        ],
    )
    def test_bad_archives_are_named(self, tmp_path, arrays, says):
        np.savez(tmp_path / "book.npz", **arrays)
        task = Task.read("textbook").narrowed(folder=tmp_path / "book.npz")
        with pytest.raises(InputError, match=says):
            task.load(task.find()[0])

    def test_nothing_in_an_archive_is_run(self, tmp_path):
        values = np.array([Path, 1], dtype=object)  # would be unpickled
        np.savez(tmp_path / "book.npz", **{f"{NAME}.x": values, f"{NAME}.y": [0, 1]})
        task = Task.read("textbook").narrowed(folder=tmp_path / "book.npz")
        with pytest.raises(InputError, match=r"as an .npz file of plain arrays: Object arrays cannot"):
            task.load(task.find()[0])

    def test_what_is_no_archive_is_named(self, tmp_path):
        np.save(tmp_path / "one.npy", np.ones(3))
        (tmp_path / "text.npz").write_text("no")
        for name, says in (("one.npy", "holds a single one"), ("text.npz", "cannot read .*text.npz")):
            with pytest.raises(InputError, match=says):
                Task.read("textbook").narrowed(folder=tmp_path / name).find()
        with pytest.raises(InputError, match=r"named like mean.sine.n5.v10.csv; or name an .npz file"):
            Task.read("textbook").narrowed(folder=tmp_path).find()
        with pytest.raises(InputError, match=r"no folder .*nowhere"):
            Task.read("textbook").narrowed(folder=tmp_path / "nowhere").find()


class TestGenerated:
    def test_every_series_holds_its_kind_as_often_as_it_says(self):
        task = Task.read("generated")
        entries = task.find()
        assert len(entries) == len(KINDS) * len(BASES) * len(COUNTS) == 72
        for entry in entries:
            series = task.load(entry)
            judged = series.labels[series.train_length :]
            assert series.kind == series.dataset == series.name.split(".")[0]
            assert np.count_nonzero(np.diff(judged, prepend=0) == 1) == int(series.name.split(".n")[1])
            assert not series.labels[: series.train_length].any()
            assert judged.mean() <= 0.15
            assert np.isfinite(series.values).all()

    def test_it_is_the_same_every_time(self):
        entry = Task.read("generated").narrowed(series=["flip.tone.n5"]).find()[0]
        first, second = entry.load(), entry.load()
        assert first.values.tobytes() == second.values.tobytes()
        assert first.labels.tobytes() == second.labels.tobytes()
