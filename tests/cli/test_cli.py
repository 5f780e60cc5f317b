"""The command ``vetime``, as a person or a script calls it, with the bundled weights."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import select
import subprocess
import sys
import warnings

import numpy as np
import pandas as pd
import pytest

from tests._commands import fails
from vetime_plugins import VETimePipeline, __version__
from vetime_plugins.cli.dispatch import COMMANDS, main
from vetime_plugins.network.checkpoint import bundled_names, resolve_folder
from vetime_plugins.thresholds import find_threshold

PNG = b"\x89PNG"


@pytest.fixture
def table(tmp_path, wave):
    """A CSV file with time stamps, one variable and labels."""
    series, labels = wave
    path = tmp_path / "wave.csv"
    when = pd.date_range("2024-03-01", periods=len(series), freq="5min")
    pd.DataFrame({"when": when, "load": series, "truth": labels}).to_csv(path, index=False)
    return path


@pytest.fixture
def expected(wave):
    """What the pipeline says about the same series."""
    return VETimePipeline.from_pretrained("small").score(wave[0])


ROLES = ("--time", "when", "--labels", "truth")


class TestScore:
    def test_writes_a_score_for_every_row(self, table, tmp_path, expected, capsys):
        out = tmp_path / "scores.csv"
        assert main(["score", str(table), *ROLES, "--out", str(out)]) == 0
        written = pd.read_csv(out, float_precision="round_trip")
        assert list(written.columns) == ["when", "score", "is_anomaly", "label"]
        assert written["when"].tolist() == pd.read_csv(table)["when"].tolist()
        np.testing.assert_allclose(written["score"], expected, atol=1e-6)
        flagged = written["score"] > find_threshold(expected, "auto")
        assert written["is_anomaly"].tolist() == flagged.astype(int).tolist()
        report = capsys.readouterr().out
        assert "600 rows of load" in report
        assert "VUS-PR" in report
        assert f"scores: {out}" in report

    def test_parquet_in_and_out_agrees_with_csv(self, table, tmp_path, expected):
        source, out = tmp_path / "wave.parquet", tmp_path / "scores.parquet"
        pd.read_csv(table, parse_dates=["when"]).to_parquet(source)
        assert main(["score", str(source), *ROLES, "--out", str(out)]) == 0
        written = pd.read_parquet(out)
        np.testing.assert_allclose(written["score"], expected, atol=1e-6)
        assert written["when"][1] == pd.Timestamp("2024-03-01 00:05")

    def test_json_is_one_object_with_everything(self, table, expected, wave, capsys):
        from vetime_plugins.metrics import evaluate

        assert main(["score", str(table), *ROLES, "--json"]) == 0
        result = json.loads(capsys.readouterr().out)
        np.testing.assert_allclose(result["scores"], expected, atol=1e-6)
        assert result["rows"] == 600
        assert result["columns"] == ["load"]
        metrics = evaluate(wave[1], np.array(result["scores"]), series=wave[0])
        assert result["metrics"] == pytest.approx({name: float(value) for name, value in metrics.items()})
        assert {"VUS-PR", "AUC-PR", "Exact-Peak"} <= result["metrics"].keys()
        spans = result["spans"]
        assert sum(span["stop"] - span["start"] for span in spans) == result["anomalous_rows"]
        assert spans[0]["score"] == max(result["scores"])
        first = pd.read_csv(table)["when"][spans[0]["start"]]
        assert spans[0]["start_time"] == first

    def test_incidents_are_told_in_text_json_and_csv(self, table, tmp_path, capsys):
        out = tmp_path / "incidents.csv"
        assert main(["score", str(table), *ROLES, "--incidents", str(out)]) == 0
        text = capsys.readouterr().out
        assert "start" in text
        assert "level shift" in text
        assert f"incidents: {out}" in text
        (row,) = csv.DictReader(out.read_text(encoding="utf-8").splitlines())
        assert main(["score", str(table), *ROLES, "--json"]) == 0
        (found,) = json.loads(capsys.readouterr().out)["incidents"]
        assert (found["start"], found["end"]) == (int(row["start"]), int(row["end"])) == (400, 411)
        times = pd.read_csv(table)["when"]
        assert found["start_time"] == row["start_time"] == times[400]
        assert found["kind"] == row["kind"] == "level shift"
        assert found["variables"][0]["name"] == "load"
        assert row["variables"] == "load 1.000"

    def test_only_one_table_goes_to_stdout(self, table, capsys):
        options = ["--threshold", "0.3", "--incidents", "-"]
        assert main(["score", str(table), *ROLES, *options]) == 0
        captured = capsys.readouterr()
        assert captured.out.startswith("start,end,peak")
        assert "VUS-PR" in captured.err
        assert "standard output" in fails(capsys, "score", table, *ROLES, *options, "--out", "-")

    def test_out_to_stdout_leaves_nothing_else_there(self, table, expected, capsys):
        assert main(["score", str(table), *ROLES, "--out", "-"]) == 0
        captured = capsys.readouterr()
        rows = list(csv.DictReader(captured.out.splitlines()))
        np.testing.assert_allclose([float(row["score"]) for row in rows], expected, atol=1e-6)
        assert "VUS-PR" in captured.err

    def test_standard_input_is_a_file_too(self, table, expected, monkeypatch, capsys):
        with table.open() as stream:
            monkeypatch.setattr(sys, "stdin", stream)
            assert main(["score", "-", *ROLES, "--json"]) == 0
        np.testing.assert_allclose(json.loads(capsys.readouterr().out)["scores"], expected, atol=1e-6)

    @pytest.mark.filterwarnings("ignore:the 'std' threshold:UserWarning")
    @pytest.mark.parametrize("rule", ["quantile", "std", "pot"])
    def test_threshold_rules_are_the_library_s(self, table, expected, rule, capsys):
        options = ["--threshold", rule, "--contamination", "0.03", "--json"]
        assert main(["score", str(table), *ROLES, *options]) == 0
        threshold = json.loads(capsys.readouterr().out)["threshold"]
        assert threshold["rule"] == rule
        assert threshold["value"] == pytest.approx(
            find_threshold(expected, rule, contamination=0.03), abs=1e-6
        )

    def test_a_number_is_the_threshold(self, table, expected, capsys):
        value = float(np.median(expected))
        assert main(["score", str(table), *ROLES, "--threshold", repr(value), "--json"]) == 0
        result = json.loads(capsys.readouterr().out)
        assert result["threshold"] == {"rule": value, "value": value}
        assert 200 < result["anomalous_rows"] < 400

    def test_several_columns_are_one_multivariate_series(self, tmp_path, wave, capsys):
        both = np.stack([wave[0], np.roll(wave[0], 7)], axis=1)
        path = tmp_path / "two.csv"
        pd.DataFrame(both, columns=["a", "b"]).assign(note="x").to_csv(path, index=False)
        assert main(["score", str(path), "--column", "a", "--column", "b", "--json"]) == 0
        scores = json.loads(capsys.readouterr().out)["scores"]
        np.testing.assert_allclose(scores, VETimePipeline.from_pretrained("small").score(both), atol=1e-6)

    def test_a_reference_sets_the_threshold(self, table, tmp_path, wave, capsys):
        clean = wave[0][:300]
        reference = tmp_path / "clean.csv"
        pd.DataFrame({"load": clean}).to_csv(reference, index=False)
        assert main(["score", str(table), *ROLES, "--reference", str(reference), "--json"]) == 0
        result = json.loads(capsys.readouterr().out)
        pipeline = VETimePipeline.from_pretrained("small")
        np.testing.assert_allclose(result["scores"], pipeline.score(wave[0], reference=clean), atol=1e-6)
        assert result["threshold"]["value"] == pytest.approx(
            find_threshold(pipeline.score(clean), "auto"), abs=1e-6
        )

    def test_labels_of_one_class_have_no_metrics(self, tmp_path, wave, capsys):
        path = tmp_path / "normal.csv"
        pd.DataFrame({"load": wave[0], "y": 0}).to_csv(path, index=False)
        assert main(["score", str(path), "--labels", "y"]) == 0
        assert "no metric is defined" in capsys.readouterr().out

    def test_doubtful_input_is_one_line_of_warning(self, tmp_path, wave, capsys):
        path = tmp_path / "lags.csv"
        frame = pd.DataFrame({f"lag{i}": wave[0][i : 300 + i] for i in range(3)})
        frame.to_csv(path, index=False)
        with warnings.catch_warnings():
            warnings.simplefilter("default")
            assert main(["score", str(path), "--json"]) == 0
        captured = capsys.readouterr()
        assert captured.err.count("\n") == 1
        assert captured.err.startswith(
            "vetime score: warning: series looks like a lag matrix: 2 of 3 columns"
        )
        assert len(json.loads(captured.out)["scores"]) == 300
        assert "looks like a lag matrix" in fails(capsys, "score", path)  # pytest makes errors of warnings

    def test_draws_on_request(self, table, tmp_path):
        assert main(["score", str(table), *ROLES, "--plot", str(tmp_path / "a.png")]) == 0
        assert (tmp_path / "a.png").read_bytes().startswith(PNG)

    def test_works_without_pandas(self, table, expected, monkeypatch, capsys):
        import vetime_plugins.cli.tables

        monkeypatch.setattr(vetime_plugins.cli.tables, "_has", lambda *modules: False)
        assert main(["score", str(table), *ROLES, "--json"]) == 0
        np.testing.assert_allclose(json.loads(capsys.readouterr().out)["scores"], expected, atol=1e-6)


class TestBadInput:
    @pytest.mark.parametrize(
        ("text", "options", "message"),
        [
            ("", [], "is empty"),
            ("a,b\n", [], "has no rows"),
            ("a,b\n1,x\n", [], "column 'b' is not numeric ('x' in row 1)"),
            ("a,b\n1,2\n3,9\n", ["--column", "z"], "no column 'z'; it has 'a', 'b'"),
            ("a,y\n1,5\n3,9\n", ["--labels", "y"], "labels must be 0 (normal) or 1 (anomalous)"),
            ("t\nx\ny\n", ["--time", "t"], "nothing to score"),
            ("a\ninf\n1\n", [], "inf"),
            ("a\n\n1\n2\n", ["--out", "absent/x.csv"], "there is no folder"),
            ("a\n5\n1\n2\n", ["--plot", "x.docx"], "its name must end in one of .png"),
            ("a\n5\n1\n2\n", ["--weights", "huge"], "huge"),
            ("a\n5\n1\n2\n", ["--device", "abacus"], "abacus"),
            ("a\n5\n1\n2\n", ["--json", "--out", "-"], "both want standard output"),
            ("a\n5\n1\n2\n", ["--reference", "absent.csv"], "no such file: absent.csv"),
        ],
    )
    def test_is_one_line_and_status_1(self, tmp_path, text, options, message, monkeypatch, capsys):
        monkeypatch.chdir(tmp_path)
        (tmp_path / "bad.csv").write_text(text)
        line = fails(capsys, "score", "bad.csv", *options)
        assert line.startswith("vetime score: error: ")
        assert message in line

    @pytest.mark.parametrize(
        ("argv", "message"),
        [
            (["score"], "the following arguments are required: FILE"),
            (
                ["score", "x.csv", "--threshold", "most"],
                "threshold must be one of 'auto', 'quantile', 'std', 'pot'",
            ),
            (["score", "x.csv", "--threshold", "nan"], "threshold must be one of"),
            (["score", "x.csv", "--contamination", "0.9"], "contamination must be in (0, 0.5]"),
            (["score", "x.csv", "--contamination", "much"], "contamination must be a number"),
            (["score", "x.csv", "--readout", "loud"], "invalid choice: 'loud'"),
            (["plot", "x.csv"], "the following arguments are required: --out"),
            (["frobnicate"], "invalid choice: 'frobnicate'"),
            ([], "the following arguments are required: COMMAND"),
        ],
    )
    def test_wrong_usage_is_one_line_and_status_2(self, argv, message, capsys):
        line = fails(capsys, *argv)
        assert message in line
        assert "--help" in line

    def test_a_missing_file_is_named(self, capsys):
        assert "no such file: absent.csv" in fails(capsys, "score", "absent.csv")

    def test_a_picture_without_matplotlib_fails_before_the_work(self, table, tmp_path, monkeypatch, capsys):
        import vetime_plugins.cli.inputs as inputs

        monkeypatch.setattr(inputs.importlib.util, "find_spec", lambda name: None)
        line = fails(capsys, "score", table, *ROLES, "--plot", tmp_path / "a.png")
        assert 'pip install "vetime-plugins[cli]"' in line


class TestPlot:
    def test_draws_the_scores(self, table, tmp_path, capsys):
        out = tmp_path / "wave.png"
        assert main(["plot", str(table), *ROLES, "--out", str(out)]) == 0
        assert out.read_bytes().startswith(PNG)
        assert str(out) in capsys.readouterr().out

    def test_explains(self, table, tmp_path):
        plain, explained = tmp_path / "plain.png", tmp_path / "explained.png"
        assert main(["plot", str(table), *ROLES, "--out", str(plain)]) == 0
        assert main(["plot", str(table), *ROLES, "--explain", "--out", str(explained)]) == 0
        assert explained.read_bytes().startswith(PNG)
        # The height in a PNG header; the explanation has more rows.
        height = [int.from_bytes(path.read_bytes()[20:24], "big") for path in (plain, explained)]
        assert height[1] > height[0]

    def test_does_not_explain_what_it_cannot(self, table, tmp_path, capsys):
        line = fails(
            capsys, "plot", table, *ROLES, "--explain", "--readout", "point", "--out", tmp_path / "a.png"
        )
        assert "--explain" in line


class TestInfo:
    def test_names_versions_weights_and_devices(self, capsys):
        assert main(["info"]) == 0
        text = capsys.readouterr().out
        for word in (__version__, "torch", "pyod", "cpu", "small", "parameters"):
            assert word in text

    def test_json_counts_the_parameters(self, capsys):
        assert main(["info", "--json"]) == 0
        facts = json.loads(capsys.readouterr().out)
        (small,) = (weights for weights in facts["weights"] if weights["name"] == "small")
        model = VETimePipeline.from_pretrained("small").model
        assert small["parameters"] == sum(tensor.numel() for tensor in model.state_dict().values())
        assert facts["devices"][0] == "cpu"

    def test_verify_scores_the_recorded_series_again(self, capsys):
        assert main(["info", "--verify", "--json"]) == 0
        verified = json.loads(capsys.readouterr().out)["verified"]
        assert [one["name"] for one in verified] == bundled_names()
        for one in verified:
            weights = resolve_folder(one["name"]) / "model.safetensors"
            assert one["sha256"] == hashlib.sha256(weights.read_bytes()).hexdigest()
            assert one["series"] > 0
        assert main(["info", "--verify"]) == 0
        assert f"SHA-256 {verified[0]['sha256']}" in capsys.readouterr().out

    def test_verify_notices_other_scores(self, capsys, monkeypatch):
        monkeypatch.setattr(VETimePipeline, "score", lambda self, series: np.full(len(series), 0.5))
        assert "scores the recorded series" in fails(capsys, "info", "--verify")

    def test_verify_wants_a_hash(self, capsys, monkeypatch):
        monkeypatch.setattr("vetime_plugins.network.checkpoint.read_record", lambda folder: {"config": {}})
        assert "no SHA-256 to check" in fails(capsys, "info", "--verify")


class TestConvert:
    def test_a_file_that_is_not_there_is_named(self, tmp_path, capsys):
        assert "absent.pth" in fails(capsys, "convert", tmp_path / "absent.pth", tmp_path / "out")

    def test_a_file_that_holds_no_weights_is_refused(self, tmp_path, capsys):
        (tmp_path / "bad.pth").write_bytes(b"not weights")
        assert "bad.pth" in fails(capsys, "convert", tmp_path / "bad.pth", tmp_path / "out")
        assert not (tmp_path / "out").exists()


class TestProcess:
    """What only a process of its own shows."""

    def command(self, *argv, **options):
        return subprocess.run(
            [sys.executable, "-m", "vetime_plugins", *map(str, argv)],
            capture_output=True,
            text=True,
            check=False,
            **options,
        )

    def test_help_names_every_command_and_does_not_wait_for_torch(self):
        code = """
import sys
import warnings
from vetime_plugins.cli import main
try:
    main(["--help"])
finally:
    print("torch" in sys.modules)
"""
        shown = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout
        assert all(name in shown for name in COMMANDS)
        assert shown.splitlines()[-1] == "False"

    @pytest.mark.parametrize("name", COMMANDS)
    def test_every_command_has_help(self, name, capsys):
        with pytest.raises(SystemExit) as stop:
            main([name, "--help"])
        assert stop.value.code == 0
        assert f"usage: vetime {name}" in capsys.readouterr().out

    def test_version(self):
        assert self.command("--version").stdout.strip() == f"vetime-plugins {__version__}"

    def test_bad_input_ends_with_status_1_and_no_traceback(self):
        result = self.command("score", "absent.csv")
        assert result.returncode == 1
        assert result.stderr == "vetime score: error: no such file: absent.csv\n"

    def test_the_console_script_is_installed(self):
        from importlib.metadata import entry_points

        (script,) = entry_points(group="console_scripts", name="vetime")
        assert script.load() is main

    def test_a_closed_pipe_is_no_traceback(self, table):
        process = subprocess.Popen(
            [sys.executable, "-m", "vetime_plugins", "score", str(table), *ROLES, "--json"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        process.stdout.close()  # as `| head` does when it has seen enough
        errors = process.stderr.read()
        process.stderr.close()
        assert process.wait() == 1
        assert errors == b""

    @pytest.mark.skipif(os.name != "posix", reason="needs a pseudo-terminal")
    @pytest.mark.parametrize("with_tqdm", [True, False])
    def test_progress_is_shown_on_a_terminal_with_tqdm_alone(self, with_tqdm):
        code = f"""
import sys, time
if not {with_tqdm}:
    sys.modules["tqdm"] = None
from vetime_plugins import _progress
_progress.DELAY = 0
with _progress.TerminalBar("scoring") as bar:
    for done in range(0, 101, 10):
        bar(done, 100)
        time.sleep(0.05)  # tqdm draws ten times a second
    bar.write("a line\\n")
print("shown" if bar else "silent")
"""
        import pty
        import termios

        leader, follower = pty.openpty()
        termios.tcsetwinsize(follower, (24, 80))  # tqdm draws nothing on a terminal without columns
        result = subprocess.run(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=follower, text=True, check=True
        )
        assert result.stdout == ("shown\n" if with_tqdm else "silent\n")
        assert select.select([leader], [], [], 0)[0]
        drawn = os.read(leader, 65536).decode()
        os.close(follower)
        os.close(leader)
        assert "a line\r\n" in drawn
        assert ("scoring" in drawn) is with_tqdm
        assert ("%" in drawn) is with_tqdm
        silent = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert silent.stdout == "silent\n"
        assert silent.stderr == "a line\n"
