"""The report's page: whole, offline, the same every time, and safe from what names hold."""

import base64
import csv
import hashlib
import json
import re
import shutil
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest

from tests.leaderboard._pages import METRICS, Page, report, squeeze, write_results
from vetime_plugins.cli import report as commands
from vetime_plugins.errors import InputError
from vetime_plugins.leaderboard.export import write_cells
from vetime_plugins.leaderboard.report import write_report
from vetime_plugins.leaderboard.report.board import SeriesKey
from vetime_plugins.leaderboard.results import Cell, read_cells, write_cell

pytest.importorskip("jinja2", reason="the report needs the extra report")
pytest.importorskip("matplotlib", reason="the report needs the extra report")

NASTY = "<b>x</b> & \"q\" | $y_1$ 'z'"


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "results"
    write_results(folder, ["a", "b", "c", "broken"], 7, failing=["broken"], undefined=[3])
    return folder, *report(folder, markdown=folder.parent / "table.md")


class TestPage:
    def test_nothing_is_loaded_from_anywhere(self, plain):
        _, _, text, page = plain
        assert page.tags.keys().isdisjoint({"link", "iframe", "img", "object", "embed", "base"})
        sources = [
            value
            for _, name, value in page.attributes
            if name in ("src", "href", "xlink:href", "srcset", "action", "data")
        ]
        assert sources
        assert all(value.startswith(("#", "data:")) for value in sources)
        assert not re.search(r"url\(\s*['\"]?(?!#)", text)
        assert "@import" not in text
        addresses = set(re.findall(r"https?://[^\s\"'<>]+", text))
        assert addresses <= {"http://www.w3.org/1999/xlink"}  # the name of a name space
        assert "default-src 'none'" in text

    def test_no_script_may_run_but_the_pages_own(self, plain):
        text = plain[2]
        (script,) = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        (policy,) = (
            value for tag, name, value in plain[3].attributes if name == "content" and "src" in value
        )
        assert f"script-src 'sha256-{digest}';" in policy

    def test_the_same_results_give_the_same_file(self, plain):
        folder, _, text, _ = plain
        assert report(folder)[1] == text

    def test_identifiers_are_unique_and_links_have_targets(self, plain):
        page = plain[3]
        identifiers = [value for _, name, value in page.attributes if name == "id"]
        assert len(identifiers) == len(set(identifiers))
        targets = [
            value[1:] for _, name, value in page.attributes if name.endswith("href") and value[0] == "#"
        ]
        labels = [value for _, name, value in page.attributes if name == "aria-labelledby"]
        clips = [value[5:-1] for _, name, value in page.attributes if name == "clip-path"]
        assert {*targets, *labels, *clips} <= set(identifiers)

    def test_every_table_is_complete_and_can_be_read_aloud(self, plain):
        page = plain[3]
        assert len(page.tables) >= 10
        for table in page.tables:
            assert table["caption"]
            assert {len(row) for row in table["rows"]} == {len(table["head"])}
        scopes = Counter(value for tag, name, value in page.attributes if (tag, name) == ("th", "scope"))
        assert scopes["row"] == sum(len(table["rows"]) for table in page.tables)
        assert scopes["col"] == sum(len(table["head"]) for table in page.tables)
        assert page.tags["svg"] == sum(
            name == "aria-label" for tag, name, _ in page.attributes if tag == "svg"
        )

    def test_standings_hold_the_figures(self, plain):
        _, analysis, _, page = plain
        table = page.table("Detectors by VUS-PR")
        assert table["head"][:5] == ["detector", "place", "VUS-PR", "framework", "seen"]
        assert [row[0] for row in table["rows"]] == ["a", "b", "c", "broken"]
        for row, name in zip(table["rows"], analysis.board.detectors, strict=True):
            assert row[2] == f"{100 * analysis.board.summary(name).mean['VUS-PR']:.1f}"
        assert table["head"][7:] == ["rank", "wins", "seconds", "run", "failed", "undefined"]
        assert table["rows"][0][10:] == ["7", "0", "1"]
        assert table["rows"][3][9:] == ["-", "7", "7", "0"]
        assert table["rows"][3][7] == "4.00"

    def test_a_bar_is_as_long_as_its_value(self, plain):
        _, analysis, _, page = plain
        bars = [value for tag, name, value in page.attributes if name == "style" and value.startswith("--v:")]
        means = [analysis.board.summary(name).mean["VUS-PR"] for name in analysis.board.detectors]
        assert [float(bar.removeprefix("--v:")) for bar in bars] == pytest.approx(means, abs=1e-4)

    def test_figures_tell_their_values(self, plain):
        _, analysis, text, page = plain
        hints = [value for _, name, value in page.attributes if name == "data-hint"]
        found = analysis.differences["b"]
        assert (
            f"b: {100 * found.difference:+.1f} from {100 * found.low:+.1f} to {100 * found.high:+.1f}, "
            f"over 6 series of 3 data sets"
        ) in hints
        assert f"a: average rank {analysis.comparison.ranks[0]:.2f}, wins 100 %" in hints
        mean = 100 * analysis.board.summary("c").mean["VUS-PR"]
        assert f"c: VUS-PR {mean:.1f}, {analysis.board.seconds('c'):.3g} s a series" in hints
        row = analysis.board.cells["b", SeriesKey("D0", "s0")]
        seconds = row.fit_seconds + row.score_seconds
        assert f"b: OK, VUS-PR {100 * row.metrics['VUS-PR']:.1f}, {seconds:.3g} s" in hints
        assert "broken: ERROR, VUS-PR 0.0" in hints
        titles = re.findall("<title>([^<]*)</title>", text)
        assert titles[1:] == hints  # the first is that of the page
        marked = {value for tag, name, value in page.attributes if (tag, name) == ("g", "data-of")}
        assert marked == {"a", "b", "c", "broken"}

    def test_the_standings_can_be_saved(self, plain):
        _, analysis, _, page = plain
        files = [value for _, name, value in page.attributes if name == "href" and value.startswith("data:")]
        table, described = (base64.b64decode(file.partition(",")[2]).decode() for file in files)
        rows = list(csv.DictReader(table.splitlines()))
        records = json.loads(described)["detectors"]
        shown = page.table("Detectors by VUS-PR")["rows"]
        for row, record, cells in zip(rows, records, shown, strict=True):
            assert row["detector"] == record["detector"] == cells[0]
            assert float(row["VUS-PR"]) == record["metrics"]["VUS-PR"]
            assert f"{100 * float(row['VUS-PR']):.1f}" == cells[2]
            assert f"{float(row['rank']):.2f}" == cells[7]
        assert json.loads(described)["n_defined"] == 6
        assert records[1]["low"] == pytest.approx(analysis.differences["b"].low, abs=1e-6)

    @pytest.mark.skipif(shutil.which("node") is None, reason="node checks the script")
    def test_the_script_is_one(self, plain, tmp_path):
        (script,) = re.findall(r"<script>(.*?)</script>", plain[2], re.DOTALL)
        (tmp_path / "script.js").write_text(script)
        subprocess.run(["node", "--check", str(tmp_path / "script.js")], check=True, capture_output=True)

    def test_failures_and_undefined_metrics_are_shown(self, plain):
        page = plain[3]
        (failure,) = page.table("Failures")["rows"]
        assert failure[:2] == ["broken", "ERROR"]
        assert failure[2].startswith("7 ")
        assert "D2/s5" in failure[2]
        assert failure[3].startswith("ValueError: bad")
        assert "somewhere" in failure[3]
        (reason,) = page.table("Undefined metrics")["rows"]
        assert reason == ["no anomaly there", "all", "1: D0/s3"]
        series = page.table("VUS-PR on every series")
        assert len(series["rows"]) == 7
        assert {row[-1] for row in series["rows"]} == {"ERROR"}

    def test_every_metric_has_its_table(self, plain):
        page = plain[3]
        for metric in METRICS:
            table = page.table(f"{metric} by data set")
            assert table["head"] == ["detector", "mean", "D0", "D1", "D2"]
            assert table["rows"][-1] == ["series", "6", "2", "2", "2"]

    def test_markdown(self, plain):
        folder, analysis, *_ = plain
        text = squeeze((folder.parent / "table.md").read_text(encoding="utf-8"))
        assert "7 series of 3 data sets, VUS-PR defined on 6" in text
        mean = 100 * analysis.board.summary("a").mean["VUS-PR"]
        assert f"| 1 | a | {mean:.1f} | {mean:.1f} | {mean:.1f} | " in text
        assert "| series | 6 | 2 | 2 | 2 |" in text
        widths = {line.count("|") for line in text.splitlines() if line.startswith("|")}
        assert len(widths) == 2  # of two tables


class TestSizes:
    @pytest.mark.parametrize("n_detectors", [1, 2, 14])
    def test_few_and_many(self, tmp_path, n_detectors):
        names = [f"d{i}" for i in range(n_detectors)]
        _, _, page = report(write_results(tmp_path / "r", names, 1))
        assert len(page.table("Detectors by VUS-PR")["rows"]) == n_detectors
        assert page.tags["svg"] == (2 if n_detectors == 1 else 4)

    def test_many_variables(self, tmp_path):
        _, text, page = report(write_results(tmp_path / "r", ["a"], 1, variables=9))
        assert "9 variables" in text
        assert page.tags["image"] == 1

    def test_everything_failed(self, tmp_path):
        folder = write_results(tmp_path / "r", ["a", "b"], 3, failing=["a", "b"])
        analysis, text, page = report(folder)
        assert analysis.comparison.ranks.tolist() == [1.5, 1.5]
        assert "No detector succeeded on any series" in text
        assert len(page.table("Failures")["rows"]) == 2

    def test_nothing_defined(self, tmp_path):
        folder = write_results(tmp_path / "r", ["a", "b"], 2, undefined=[0, 1])
        _, text, page = report(folder)
        assert "<strong>VUS-PR is undefined on every series</strong>" in text
        assert set(page.column("Detectors by VUS-PR", "place")) == {"-"}

    def test_names_are_shown_and_never_run(self, tmp_path):
        folder = write_results(tmp_path / "r", [NASTY, "plain"], 4, failing=["plain"], nasty=NASTY)
        _, text, page = report(folder, markdown=tmp_path / "t.md")
        assert "b" not in page.tags
        assert NASTY in page.table("Detectors by VUS-PR")["rows"][0][0]
        assert any(NASTY in piece for piece in page.texts)
        assert "<b>" not in text
        markdown = (tmp_path / "t.md").read_text(encoding="utf-8")
        assert '&lt;b&gt;x&lt;/b&gt; &amp; "q" \\| $y\\_1$' in markdown
        assert "<b>" not in markdown

    def test_a_series_that_is_nowhere_is_named(self, tmp_path):
        folder = write_results(tmp_path / "r", ["a"], 1, store=False)
        assert "the series itself is not beside the results" in report(folder)[1]

    def test_a_series_from_the_folder_of_data(self, tmp_path):
        folder = tmp_path / "r"
        name = "001_A_id_1_X_tr_20_1st_60"
        write_cell(
            folder,
            Cell("t", "a", name, "A", "OK", None, {"VUS-PR": 0.5}, n_points=120, train_length=20),
            np.random.default_rng(0).random(100),
        )
        rows = "\n".join(f"{i % 7},{int(60 <= i < 70)}" for i in range(120))
        (tmp_path / "data").mkdir()
        (tmp_path / "data" / f"{name}.csv").write_text(f"x,Label\n{rows}\n")
        assert "above the scores of every detector" in report(folder, data=tmp_path / "data")[1]
        (tmp_path / "data" / f"{name}.csv").write_text(f"x,Label\n{rows}\n1,0\n")
        with pytest.raises(InputError, match="121 points, the results are of 120"):
            report(folder, data=tmp_path / "data")

    def test_a_run_that_is_not_complete_says_so(self, tmp_path):
        folder = write_results(tmp_path / "r", ["a"], 3)
        write_results(folder, ["b"], 2)
        _, text, page = report(folder)
        assert "Not every detector was run on every series" in text
        assert "Missing 1 of 3 series: b." in text
        assert len(page.table("VUS-PR on every series")["rows"]) == 2
        series = report(folder, missing="zero")[2].table("VUS-PR on every series")["rows"]
        assert series[2][-1] == "NOT RUN"


class TestCommand:
    @pytest.fixture
    def parser(self):
        import argparse

        parser = argparse.ArgumentParser()
        commands.add_report_command(parser.add_subparsers(dest="what"))
        return parser

    def test_writes_both_files(self, parser, tmp_path, capsys):
        folder = write_results(tmp_path / "r", ["a", "b"], 2)
        options = ["--out", str(tmp_path / "x.html"), "--markdown", str(tmp_path / "x.md"), "--against", "b"]
        args = parser.parse_args(["report", str(folder), "--metric", "AUC-PR", *options])
        assert args.run(args) == 0
        assert "Differences from b" in (tmp_path / "x.html").read_text(encoding="utf-8")
        assert "AUC-PR by data set" in (tmp_path / "x.md").read_text(encoding="utf-8")
        assert capsys.readouterr().out == f"report: {tmp_path / 'x.html'}\nmarkdown: {tmp_path / 'x.md'}\n"

    def test_an_exported_table_gives_the_same_standings(self, plain, tmp_path):
        folder, analysis, _, page = plain
        table = write_cells(tmp_path / "cells.csv", read_cells(folder))
        again = write_report(table, tmp_path / "again.html")
        assert again.comparison.ranks.tolist() == analysis.comparison.ranks.tolist()
        found = Page((tmp_path / "again.html").read_text(encoding="utf-8"))
        assert found.table("Detectors by VUS-PR") == page.table("Detectors by VUS-PR")

    def test_bad_input_is_one_clear_error(self, tmp_path):
        (tmp_path / "empty").mkdir()
        folder = write_results(tmp_path / "r", ["a"], 1)
        with pytest.raises(InputError, match="no folder of results"):
            write_report(tmp_path / "none", tmp_path / "x.html")
        with pytest.raises(InputError, match="no results in"):
            write_report(tmp_path / "empty", tmp_path / "x.html")
        with pytest.raises(InputError, match="no results of 'z'; there are a"):
            write_report(folder, tmp_path / "x.html", against="z")
        with pytest.raises(InputError, match="cannot write"):
            write_report(folder, tmp_path / "none" / "x.html")

    def test_drawing_leaves_matplotlib_as_it_was(self, tmp_path):
        import matplotlib as mpl

        before = dict(mpl.rcParams)
        report(write_results(tmp_path / "r", ["a", "b"], 1))
        assert dict(mpl.rcParams) == before

    def test_the_command_waits_for_nothing_heavy(self):
        code = (
            "import argparse, json, sys; from vetime_plugins.cli import report as commands; "
            "p = argparse.ArgumentParser(); commands.add_report_command(p.add_subparsers()); "
            "print(json.dumps(sorted(sys.modules)))"
        )
        result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert {"torch", "matplotlib", "jinja2", "scipy"}.isdisjoint(json.loads(result.stdout))
