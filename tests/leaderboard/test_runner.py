"""Running detectors over a task: cells, resuming, failures, limits, seeds, metrics and the command."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from tests.leaderboard._detectors import OnDevice
from vetime_plugins.cli import main
from vetime_plugins.detectors.baselines import sub_knn
from vetime_plugins.errors import InputError
from vetime_plugins.leaderboard import worker as cells_module
from vetime_plugins.leaderboard.export import load_cells
from vetime_plugins.leaderboard.results import cell_path, load_scores, load_series, read_cells
from vetime_plugins.leaderboard.runner import retake_metrics, run_task, summarise_cells
from vetime_plugins.leaderboard.tasks import Task
from vetime_plugins.metrics import evaluate, find_buffer

pytest.importorskip("joblib")
psutil = pytest.importorskip("psutil")

HERE = "tests.leaderboard._detectors"
METRICS = ("VUS-PR", "AUC-PR")


@pytest.fixture
def data(tmp_path):
    """Two data sets: two series of one variable, and one of two variables."""
    rng = np.random.default_rng(0)
    for dataset, name, c in [
        ("A", "001_A_id_1_X_tr_100_1st_200", 1),
        ("A", "002_A_id_2_X_tr_50_1st_200", 1),
        ("B", "001_B_id_1_X_tr_100_1st_200", 2),
    ]:
        values = np.sin(np.arange(400)[:, None] / 4) + 0.1 * rng.normal(size=(400, c))
        labels = np.zeros((400, 1))
        values[200:212] += 3
        labels[200:212] = 1
        path = tmp_path / "data" / dataset / f"{name}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        header = ",".join([*map(str, range(c)), "Label"])
        np.savetxt(path, np.hstack((values, labels)), delimiter=",", header=header, comments="")
    return tmp_path / "data"


@pytest.fixture
def task(data):
    return dataclasses.replace(Task.read("tsb-ad").narrowed(folder=data), metrics=METRICS, time_limit=60)


@pytest.fixture
def log(tmp_path, monkeypatch):
    path = tmp_path / "log"
    path.touch()
    monkeypatch.setenv("LEADERBOARD_LOG", str(path))
    monkeypatch.setenv("LEADERBOARD_VERSION", "1")
    return path


def lines(log) -> list[list[str]]:
    return [line.split() for line in log.read_text().splitlines()]


class TestCells:
    def test_a_cell_says_all_that_is_known(self, task, tmp_path):
        report = run_task(task, tmp_path / "out", detectors=["sub-knn(n_neighbors=3)"])
        assert (report.n_run, report.n_kept) == (3, 0)
        cell = report.cells[0]
        assert cell.detector == "sub-knn(n_neighbors=3)"
        assert cell.parameters == {"n_neighbors": 3, "window": None}
        assert (cell.task, cell.dataset, cell.status, cell.error) == ("tsb-ad", "A", "OK", None)
        assert (cell.n_points, cell.n_variables, cell.train_length, cell.buffer) == (400, 1, 100, 25)
        assert cell.fit_seconds >= 0
        assert cell.score_seconds > 0
        assert not cell.saw_train
        assert (cell.device, cell.peak_gpu_bytes) == ("cpu", None)
        assert cell.versions["numpy"] == np.__version__
        assert cell.hardware["cores"] == os.cpu_count()
        assert [(one.detector, one.series) for one in read_cells(tmp_path / "out")] == [
            (one.detector, one.series) for one in report.cells
        ]

    def test_metrics_are_of_the_test_part(self, task, tmp_path):
        (cell,) = run_task(task, tmp_path, detectors=["sub-knn"], limit=1).cells
        series = load_series(tmp_path, cell.series)
        scores = sub_knn(series.values)
        np.testing.assert_allclose(load_scores(tmp_path, cell), scores[100:], rtol=1e-12)
        expected = evaluate(series.labels[100:], scores[100:], find_buffer(series.values), metrics=METRICS)
        assert cell.metrics == pytest.approx(dict(expected))

    def test_undefined_metrics_have_a_reason(self, task, data, tmp_path):
        (data / "A").joinpath("001_A_id_1_X_tr_100_1st_200.csv").rename(
            data / "A" / "003_A_id_3_X_tr_300_1st_200.csv"
        )
        narrow = task.narrowed(series=["003_*"])
        (cell,) = run_task(narrow, tmp_path / "out", detectors=["random"]).cells
        assert math.isnan(cell.metrics["VUS-PR"])
        assert "nothing to detect" in cell.undefined["VUS-PR"]
        assert cell.status == "OK"

    def test_any_detector_and_any_function_can_be_named(self, task, tmp_path):
        report = run_task(task, tmp_path, detectors=[f"{HERE}:from_zero", f"{HERE}:Base"])
        assert {cell.detector for cell in report.cells} == {"from_zero", "base"}
        assert all(cell.status == "OK" for cell in report.cells)
        assert {cell.saw_train for cell in report.cells if cell.detector == "base"} == {True}

    def test_the_detector_cannot_change_what_is_measured(self, task, tmp_path):
        class Honest:
            name, framework, params, sees_train, supports_multivariate = "honest", "own", {}, False, True

            def fit_score(self, values, train_length, period=None, seed=0):
                return np.arange(len(values), dtype=float)

        class Vandal(Honest):
            name = "vandal"

            def fit_score(self, values, train_length, period=None, seed=0):
                values[:] = 0
                return super().fit_score(values, train_length)

        spoilt = run_task(task, tmp_path / "a", detectors=[Vandal()]).cells
        kept = run_task(task, tmp_path / "b", detectors=[Honest()]).cells
        assert [cell.metrics for cell in spoilt] == [cell.metrics for cell in kept]
        assert [cell.buffer for cell in spoilt] == [cell.buffer for cell in kept]

    def test_a_detector_of_a_script_goes_by_value(self, task, tmp_path):
        class Local:
            name, framework, params, sees_train, supports_multivariate = "local", "own", {}, False, True

            def fit_score(self, values, train_length, period=None, seed=0):
                return np.abs(values).max(axis=1)

        (cell,) = run_task(task, tmp_path, detectors=[Local()], limit=1).cells
        assert cell.status == "OK"


class TestFailures:
    def test_every_failure_is_a_result_and_the_run_goes_on(self, task, tmp_path, log):
        names = ["Raises", "Short", "Crashes", "Refused", "Base"]
        report = run_task(task, tmp_path, detectors=[f"{HERE}:{name}" for name in names], limit=1)
        found = {cell.detector: cell for cell in report.cells}
        assert {name: cell.status for name, cell in found.items()} == {
            "raises": "ERROR",
            "short": "ERROR",
            "crashes": "ERROR",
            "refused": "OOM",
            "base": "OK",
        }
        assert "RuntimeError: this series is not for me" in found["raises"].error
        assert "in act" in found["raises"].error  # the traceback
        assert "must return scores of the shape (400,), got (399,)" in found["short"].error
        assert "SIGSEGV" in found["crashes"].error
        assert "last words" in found["crashes"].error
        assert "cannot allocate" in found["refused"].error
        assert math.isnan(found["raises"].metrics["VUS-PR"])
        means = {name: summary.mean["VUS-PR"] for name, summary in summarise_cells(report.cells).items()}
        assert means["raises"] == 0  # counted, not left out
        assert means["base"] > 0.5

    def test_a_time_limit_stops_a_detector_and_what_it_started(self, task, tmp_path, log):
        limited = dataclasses.replace(task, time_limit=1.0)
        begin = time.monotonic()
        (cell,) = run_task(limited, tmp_path / "out", detectors=[f"{HERE}:Hangs"], limit=1).cells
        assert time.monotonic() - begin < 60
        assert cell.status == "TIMEOUT"
        assert cell.error == "stopped while scoring, after the time limit of 1 s"
        for pid in map(int, lines(log)[0]):
            assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE

    def test_a_memory_limit_stops_a_detector(self, task, tmp_path):
        limited = dataclasses.replace(task, memory_limit=400 * 2**20)
        report = run_task(limited, tmp_path, detectors=[f"{HERE}:Eats", f"{HERE}:Base"], limit=1)
        assert [cell.status for cell in report.cells] == ["OK", "OOM"]
        assert "above the memory limit of 400 MiB" in report.cells[1].error

    def test_a_child_killed_from_outside_is_replaced(self, task, tmp_path, log):
        (cell,) = run_task(task, tmp_path / "out", detectors=[f"{HERE}:KilledOnce"], limit=1).cells
        assert cell.status == "OK"

    def test_a_detector_for_one_variable_fails_on_several(self, task, tmp_path):
        pytest.importorskip("sktime")
        narrow = task.narrowed(series=["*_B_*"])
        (cell,) = run_task(narrow, tmp_path, detectors=["sktime-hampel"]).cells
        assert cell.status == "ERROR"
        assert "sktime-hampel takes one variable, got 2" in cell.error


class TestResume:
    def test_what_is_done_is_not_run_again(self, task, tmp_path, log):
        out = tmp_path / "out"
        run_task(task, out, detectors=[f"{HERE}:Logged"], limit=2)
        report = run_task(task, out, detectors=[f"{HERE}:Logged"])
        assert (report.n_run, report.n_kept, len(lines(log))) == (1, 2, 3)
        assert len({pid for pid, *_ in lines(log)}) == 2  # one process a run, for all of its cells

    def test_a_new_version_or_seed_or_other_data_are_run_again(self, task, data, tmp_path, log, monkeypatch):
        def again(**options):
            found = run_task(task, tmp_path / "out", detectors=[f"{HERE}:Versioned"], limit=1, **options)
            return found.n_run

        assert [again(), again()] == [1, 0]
        monkeypatch.setenv("LEADERBOARD_VERSION", "2")
        assert [again(), again()] == [1, 0]
        assert [again(seed=1), again(seed=1)] == [1, 0]
        path = sorted(data.glob("A/*.csv"))[0]
        path.write_text(path.read_text().replace("1\n", "1.5\n", 1).replace("Label.5", "Label"))
        text = path.read_text().splitlines()
        text[150] = f"5.0,{text[150].split(',')[1]}"
        path.write_text("\n".join(text) + "\n")
        assert [again(seed=1), again(seed=1)] == [1, 0]

    def test_failures_are_kept_until_they_are_asked_for(self, task, tmp_path):
        def again(**options):
            return run_task(task, tmp_path, detectors=[f"{HERE}:Raises"], limit=1, **options).n_run

        assert [again(), again(), again(retry=True)] == [1, 0, 1]

    def test_more_metrics_need_no_detector(self, task, tmp_path, log):
        run_task(task, tmp_path / "out", detectors=[f"{HERE}:Logged"], limit=1)
        more = dataclasses.replace(task, metrics=("VUS-PR", "AUC-PR", "PATE"))
        report = run_task(more, tmp_path / "out", detectors=[f"{HERE}:Logged"], limit=1)
        assert (report.n_run, len(lines(log))) == (0, 1)
        assert set(report.cells[0].metrics) == {"VUS-PR", "AUC-PR", "PATE"}

    def test_kind_and_number_of_anomalies_are_of_every_cell_and_need_no_detector(self, tmp_path):
        task = dataclasses.replace(Task.read("generated").narrowed(series=["dip.tone.*"]), metrics=METRICS)
        detectors = ["random", "moving-variance"]
        cells = run_task(task, tmp_path, detectors=detectors).cells
        found = {(cell.detector, cell.kind, cell.n_anomalies) for cell in cells}
        assert found == {(name, "dip", count) for name in detectors for count in (1, 5)}
        path = cell_path(tmp_path, "random", "dip.tone.n5")
        older = json.loads(path.read_text(encoding="utf-8"))
        del older["kind"], older["n_anomalies"]
        path.write_text(json.dumps(older), encoding="utf-8")
        report = run_task(task, tmp_path, detectors=detectors)
        assert (report.n_run, report.cells) == (0, cells)
        assert read_cells(tmp_path) == cells

    def test_a_damaged_cell_is_run_again(self, task, tmp_path):
        (cell,) = run_task(task, tmp_path, detectors=["random"], limit=1).cells
        cell_path(tmp_path, cell.detector, cell.series).write_text("{")
        assert run_task(task, tmp_path, detectors=["random"], limit=1).n_run == 1

    def test_folders_are_not_mixed(self, task, tmp_path):
        run_task(task, tmp_path / "out", detectors=["random"], limit=1)
        other = dataclasses.replace(task, split=dataclasses.replace(task.split, rule="none"))
        with pytest.raises(InputError, match="holds results of another task"):
            run_task(other, tmp_path / "out", detectors=["random"])

    def test_one_run_at_a_time(self, task, tmp_path):
        fcntl = pytest.importorskip("fcntl")
        with (tmp_path / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            with pytest.raises(InputError, match="another run is at work"):
                run_task(task, tmp_path, detectors=["random"])

    def test_killed_runs_lose_only_what_was_running(self, data, tmp_path, log):
        out = tmp_path / "out"
        command = [sys.executable, "-m", "vetime_plugins", "leaderboard", "run", "tsb-ad", "--quiet"]
        command += ["--data", str(data), "--out", str(out), "--detectors", f"{HERE}:Slow"]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as run:
            while len(lines(log)) < 2:  # the second cell has begun
                assert run.poll() is None
                time.sleep(0.02)
            run.send_signal(signal.SIGKILL)
        time.sleep(1)
        assert len(lines(log)) == 2  # nothing went on without its run
        before = {cell.series: cell for cell in read_cells(out)}
        assert len(before) == 1
        finished = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
        assert finished.returncode == 0, finished.stderr
        assert "2 cells run, 1 kept from before" in finished.stdout
        assert len(lines(log)) == 4
        after = {cell.series: cell for cell in read_cells(out)}
        assert len(after) == 3
        (kept,) = before
        assert after[kept].score_seconds == before[kept].score_seconds
        assert not list(out.rglob(".*.tmp"))


class TestSeeds:
    def test_scores_do_not_depend_on_order_or_workers(self, task, tmp_path):
        names = [f"{HERE}:Seeded", "random"]
        run_task(task, tmp_path / "a", detectors=names)
        run_task(task, tmp_path / "b", detectors=names[::-1], n_jobs=2)
        first, second = read_cells(tmp_path / "a"), read_cells(tmp_path / "b")
        assert [cell.seed for cell in first] == [cell.seed for cell in second]
        assert len({cell.seed for cell in first}) == len(first)
        for a, b in zip(first, second, strict=True):
            np.testing.assert_array_equal(load_scores(tmp_path / "a", a), load_scores(tmp_path / "b", b))

    def test_another_seed_gives_other_scores(self, task, tmp_path):
        (a,) = run_task(task, tmp_path / "a", detectors=["random"], limit=1).cells
        (b,) = run_task(task, tmp_path / "b", detectors=["random"], limit=1, seed=1).cells
        assert not np.array_equal(load_scores(tmp_path / "a", a), load_scores(tmp_path / "b", b))


class TestDevice:
    def test_a_device_that_is_not_there_is_said_at_once(self, task, tmp_path, monkeypatch):
        torch = pytest.importorskip("torch")
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
        with pytest.raises(InputError, match="'cuda' is not available here; this machine has"):
            run_task(dataclasses.replace(task, device="cuda"), tmp_path / "out", detectors=["random"])
        assert not (tmp_path / "out").exists()

    def test_the_gpu_task_skips_where_there_is_none(self, data, tmp_path, monkeypatch, capsys):
        torch = pytest.importorskip("torch")
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
        arguments = ["leaderboard", "run", "gpu", "--data", str(data), "--out", str(tmp_path / "out")]
        assert main(arguments) == 0
        assert "skipped the task gpu: device 'cuda' is not available" in capsys.readouterr().err
        assert main([*arguments, "--device", "cuda"]) == 1

    def test_times_wait_for_the_gpu_and_memory_is_recorded(self, monkeypatch):
        """The order of calls on a machine that has a GPU, without one."""
        torch = pytest.importorskip("torch")
        calls = []

        class Fitted(OnDevice):
            uses_gpu = True

            def on(self, device):
                calls.append(device)
                return self

            def fit(self, values, train_length, period, seed):
                calls.append("fit")
                return lambda: calls.append("score") or np.arange(len(values), dtype=float)

        fakes = {
            "is_available": lambda: True,
            "device_count": lambda: 2,
            "synchronize": lambda device=None: calls.append(f"wait {device}"),
            "reset_peak_memory_stats": lambda device=None: calls.append(f"reset {device}"),
            "max_memory_allocated": lambda device=None: 12345 if device == "cuda:1" else 1,
            "get_device_name": lambda device=None: "a GPU" if device == "cuda:1" else "another",
        }
        for name, fake in fakes.items():
            monkeypatch.setattr(torch.cuda, name, fake)
        cells_module.hardware.cache_clear()
        job = cells_module.CellJob(
            Fitted(), np.zeros((300, 1)), np.arange(300) == 250, 100, 25, 25, 0, "cuda:1", METRICS
        )
        ready, fitted, scored, measured = cells_module.measure(job)
        cells_module.hardware.cache_clear()
        assert ready["device"] == "cuda:1"
        assert ready["hardware"]["gpu"] == "a GPU"
        wait = "wait cuda:1"
        assert calls == ["cuda:1", wait, "reset cuda:1", "fit", wait, wait, "score", wait]
        assert scored["peak_gpu_bytes"] == 12345
        assert fitted["fit_seconds"] >= 0
        assert measured["metrics"]["AUC-PR"] == pytest.approx(1 / 50)

    def test_the_first_run_on_every_device_is_left_out_of_the_times(self, monkeypatch):
        monkeypatch.setattr(cells_module, "_PREPARED", set())
        runs = []

        class Counting(OnDevice):
            def fit_score(self, values, *arguments):
                runs.append(len(values))
                return np.zeros(len(values))

        job = cells_module.CellJob(
            Counting(), np.zeros((9, 1)), np.zeros(9, dtype=int), 3, 3, 3, 0, "cuda:1", METRICS
        )
        for device in ("cpu", "cuda:1", "cuda:1"):
            cells_module._prepare(job.detector, device, job)
        assert runs == [256, 256]

    @pytest.mark.parametrize("name", ["vetime-pyod", "merlion-vae", "pyod-autoencoder"])
    def test_detectors_that_can_are_put_on_the_gpu(self, name, monkeypatch):
        torch = pytest.importorskip("torch")
        from vetime_plugins import detectors

        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
        placed, device = cells_module._placed(detectors.get(name), "cuda:0")
        assert (placed.device, device) == ("cuda:0", "cuda:0")
        for other in ("sub-knn", "pyod-knn"):
            placed, device = cells_module._placed(detectors.get(other), "cuda:0")
            assert (placed.device, device) == ("cpu", "cpu")


class TestMetricsAgain:
    def test_stored_scores_are_enough(self, task, data, tmp_path, log):
        out = tmp_path / "out"
        run_task(task, out, detectors=[f"{HERE}:Logged", f"{HERE}:Raises"])
        for path in data.rglob("*.csv"):
            path.unlink()
        before = read_cells(out)
        renewed = retake_metrics(out, metrics=["PATE", "VUS-PR"])
        assert len(lines(log)) == 3
        assert [set(cell.metrics) for cell in renewed] == [{"PATE", "VUS-PR"}] * 6
        for old, new in zip(before, read_cells(out), strict=True):
            assert new.status == old.status
            assert new.metrics["VUS-PR"] == pytest.approx(old.metrics["VUS-PR"], nan_ok=True)


class TestCommand:
    def test_run_and_metrics(self, data, tmp_path, capsys):
        out = tmp_path / "out"
        arguments = ["leaderboard", "run", "tsb-ad", "--data", str(data), "--out", str(out)]
        arguments += [
            "--detectors",
            f"sub-knn(n_neighbors=3, window=20),{HERE}:Raises",
            "--detectors",
            "random",
        ]
        assert main([*arguments, "--series", "*_A_*", "--jobs", "2", "--time-limit", "60"]) == 3
        printed = capsys.readouterr()
        assert "6 cells run, 0 kept from before" in printed.out
        assert "2 of 6 cells failed and count as 0" in printed.out
        assert printed.err.count("[6/6]") == 1
        assert "RuntimeError: this series is not for me" in printed.err
        table = [line.split() for line in printed.out.splitlines() if line.startswith(("raises", "random"))]
        assert table[-1] == ["raises", *["0.0"] * 5, "0", "2", "0", "0"]
        assert main(["leaderboard", "metrics", str(out), "--metric", "PATE", "--json", "--quiet"]) == 0
        found = json.loads(capsys.readouterr().out)
        assert set(found["random"]["mean"]) == {"PATE"}
        assert found["raises"]["statuses"] == {"ERROR": 2}
        table = tmp_path / "cells.csv"
        assert main(["leaderboard", "export", str(out), "--out", str(table)]) == 0
        assert capsys.readouterr().out == f"6 cells: {table}\n"
        assert [(one.detector, one.status) for one in load_cells(table)] == [
            (one.detector, one.status) for one in read_cells(out)
        ]

    def test_a_comparison_and_fewer_data_sets_and_metrics(self, data, tmp_path, capsys):
        out = tmp_path / "out"
        arguments = ["leaderboard", "run", "tsb-ad", "--data", str(data), "--out", str(out)]
        arguments += ["--dataset", "A", "--metric", "VUS-PR"]
        assert main([*arguments, "--detectors", "sub-pca,random", "--against", "random"]) == 0
        printed = capsys.readouterr()
        assert "[4/4] random A/002_A_id_2_X_tr_50_1st_200: VUS-PR 0." in printed.err
        assert "VUS-PR minus that of random, 95 % interval of a paired bootstrap:\nsub-pca" in printed.out
        assert "(2 series of 1 data sets)" in printed.out
        # One that was run earlier will do.
        only = ["--detectors", "moving-variance", "--against", "sub-pca", "--json", "--quiet"]
        assert main([*arguments, *only]) == 0
        printed = capsys.readouterr()
        found = json.loads(printed.out)["moving-variance"]
        assert found["difference"]["VUS-PR"]["n_series"] == 2
        assert found["datasets"]["A"]["VUS-PR"] == found["mean"]["VUS-PR"]
        assert found["n_undefined"] == 0
        assert printed.err == ""
        # Cells of another series that have other metrics as well are summarised by those in common.
        one, both = ["--series", "001_A*"], ["--metric", "AUC-PR", "--detectors", "random", "--quiet"]
        assert main([*arguments, *both, *one]) == 0
        capsys.readouterr()
        assert main([*arguments, "--detectors", "random", "--json", "--quiet"]) == 0
        assert list(json.loads(capsys.readouterr().out)["random"]["mean"]) == ["VUS-PR"]
        again = ["leaderboard", "metrics", str(out), "--metric", "AUC-PR", "--against", "random", "--quiet"]
        assert main(again) == 0
        assert "AUC-PR minus that of random" in capsys.readouterr().out

    @pytest.mark.parametrize(
        ("options", "says"),
        [
            (["--detectors", "random", "--metric", "F2"], "F2"),
            (["--detectors", "random", "--dataset", "C"], "no data set C"),
            (["--detectors", "random", "--against", "sub-knn", "--quiet"], "no results of 'sub-knn'"),
            (["--detectors", "none-such"], "there is no detector 'none-such'"),
            (["--detectors", "pyod-z*"], r"no detector fits pyod-z\*"),
            (["--detectors", "sub-knn(3)"], "every parameter needs its name"),
            (["--detectors", "sub-knn(k=3)"], "no parameter"),
            (["--detectors", "no.module:x"], "cannot import"),
            (["--detectors", "json:no"], "module json has no no"),
            (["--detectors", "json:__name__"], "neither a detector nor a function"),
            (["--detectors", "random", "--jobs", "0"], "must be >= 1"),
            (["--detectors", "random", "--time-limit", "-1"], "--time-limit must be above 0"),
            (["--detectors", "random", "--memory-limit", "x"], "like 4G"),
            (["--detectors", "random", "--backend", "none"], "backend must be one of"),
            (["--detectors", "random", "--address", "x"], "takes no address"),
            (["--detectors", "random", "--series", "q*"], "no series left"),
            (["--detectors", "random", "--device", "gpu9"], "device"),
        ],
    )
    def test_bad_arguments_are_one_line(self, data, tmp_path, capsys, options, says):
        arguments = ["leaderboard", "run", "tsb-ad", "--data", str(data), "--out", str(tmp_path / "out")]
        assert main([*arguments, *options]) == 1
        error = capsys.readouterr().err
        assert error.startswith("vetime leaderboard: error: ")
        assert error.count("\n") == 1
        import re

        assert re.search(says, error)

    def test_lists(self, capsys):
        assert main(["leaderboard", "tasks"]) == 0
        assert "embedded" in capsys.readouterr().out
        assert main(["leaderboard", "detectors", "--json"]) == 0
        rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
        assert rows["random"]["default"]
        assert not rows["merlion-default"]["default"]
        assert rows["vetime-pyod"]["uses_gpu"]
        assert main(["leaderboard", "detectors"]) == 0
        assert "sub-knn" in capsys.readouterr().out

    def test_no_results(self, tmp_path, capsys):
        assert main(["leaderboard", "metrics", str(tmp_path / "none")]) == 1
        assert "no folder of results" in capsys.readouterr().err
        assert main(["leaderboard", "metrics", str(tmp_path)]) == 1
