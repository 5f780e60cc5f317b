"""Reading tables and writing scores, with pandas and without."""

from __future__ import annotations

import gzip
import io
import sys

import numpy as np
import pandas as pd
import pytest

import vetime_plugins.cli.tables
from vetime_plugins.cli.columns import select_series
from vetime_plugins.cli.tables import Table, read_table, write_scores
from vetime_plugins.errors import InputError, MissingDependencyError


@pytest.fixture(params=["pandas", "csv"])
def parser(request, monkeypatch):
    """Both ways of parsing CSV: with pandas, and with what a bare install has."""
    if request.param == "csv":
        monkeypatch.setattr(vetime_plugins.cli.tables, "_has", lambda *modules: False)
    return request.param


def read(tmp_path, text, **options):
    path = tmp_path / "table.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_table(path, **options)


@pytest.mark.usefixtures("parser")
class TestReadTable:
    def test_reads_numbers_gaps_text_and_bool(self, tmp_path):
        table = read(tmp_path, "t,a,b,c\n2020-01-01,1,2.5,True\n2020-01-02,,-1e3,False\n")
        assert len(table) == 2
        assert list(table.columns) == ["t", "a", "b", "c"]
        assert table.columns["t"].tolist() == ["2020-01-01", "2020-01-02"]
        np.testing.assert_array_equal(table.columns["a"], [1.0, np.nan])
        np.testing.assert_array_equal(table.columns["b"], [2.5, -1000.0])
        np.testing.assert_array_equal(table.columns["c"], [True, False])

    def test_whole_numbers_stay_whole(self, tmp_path):
        assert read(tmp_path, "a\n1600000000\n1600000060\n").columns["a"].dtype == np.int64

    @pytest.mark.parametrize("separator", [",", ";", "\t"])
    def test_finds_the_separator(self, tmp_path, separator):
        table = read(tmp_path, f"a{separator}b\n1{separator}2\n")
        assert list(table.columns) == ["a", "b"]

    def test_takes_another_separator(self, tmp_path):
        assert list(read(tmp_path, "a|b\n1|2\n", separator="|").columns) == ["a", "b"]

    @pytest.mark.parametrize("token", ["", "NA", "N/A", "nan", "NULL", "None", "#N/A"])
    def test_every_usual_token_is_a_gap(self, tmp_path, token):
        np.testing.assert_array_equal(read(tmp_path, f"a,b\n1,2\n{token},4\n").columns["a"], [1.0, np.nan])

    def test_blanks_byte_order_mark_and_windows_line_ends_do_no_harm(self, tmp_path):
        table = read(tmp_path, "\ufeffa, b\r\n 1 , 2 \r\n\r\n3,4\r\n".encode())
        assert list(table.columns) == ["a", "b"]
        np.testing.assert_array_equal(table.columns["a"], [1, 3])

    @pytest.mark.parametrize(
        "text",
        ["t;a;b\n1,5;-0,25;7\n2,5;1e-3;8\n", 't,a,b\n"1,5","-0,25",7\n"2,5","1e-3",8\n'],
        ids=["semicolons", "quotes"],
    )
    def test_decimal_commas(self, tmp_path, text):
        table = read(tmp_path, text, decimal=",", separator="," if text[1] == "," else None)
        np.testing.assert_array_equal(table.columns["t"], [1.5, 2.5])
        np.testing.assert_array_equal(table.columns["a"], [-0.25, 0.001])
        assert table.columns["b"].dtype == np.int64

    def test_a_lone_column_of_decimal_commas(self, tmp_path):
        np.testing.assert_array_equal(read(tmp_path, "a\n1,5\n2,5\n", decimal=",").columns["a"], [1.5, 2.5])
        with pytest.raises(InputError, match=r"not a clean table.*add --decimal ,"):
            read(tmp_path, "a\n1,5\n2,5\n")
        with pytest.raises(InputError, match=r"not a clean table") as caught:
            read(tmp_path, "a\n1,2,3\n2,5,6\n")
        assert "--decimal" not in str(caught.value)

    def test_other_words_for_a_gap(self, tmp_path):
        text = "a,b,c\n1,-,ok\n-999.0,2.5,-\nn.a.,3,ok\n"
        columns = read(tmp_path, text, missing=["-", "-999", " n.a. "]).columns
        np.testing.assert_array_equal(columns["a"], [1, np.nan, np.nan])
        np.testing.assert_array_equal(columns["b"], [np.nan, 2.5, 3])
        assert columns["c"].tolist() == ["ok", None, "ok"]

    def test_another_decimal_mark_is_refused(self, tmp_path):
        with pytest.raises(InputError, match=r"must be \. or ,"):
            read(tmp_path, "a\n1\n", decimal="'")

    def test_short_rows_end_in_gaps(self, tmp_path):
        np.testing.assert_array_equal(read(tmp_path, "a,b\n1,2\n3\n").columns["b"], [2.0, np.nan])

    def test_a_header_of_counted_columns_is_a_header(self, tmp_path):
        assert len(read(tmp_path, "0,1\n5,6\n")) == 1

    @pytest.mark.parametrize(("header", "rows"), [(True, 1), (False, 2)])
    def test_a_header_of_numbers_has_to_be_settled(self, tmp_path, header, rows):
        with pytest.raises(InputError, match=r"first line .* holds only numbers; add --no-header"):
            read(tmp_path, "1.5,2\n3,4\n")
        assert len(read(tmp_path, "1.5,2\n3,4\n", header=header)) == rows

    def test_reads_gzip(self, tmp_path):
        path = tmp_path / "table.csv.gz"
        path.write_bytes(gzip.compress(b"a\n1\n2\n"))
        assert len(read_table(path)) == 2

    @pytest.mark.parametrize("damage", ["cut in the middle", "cut at the end", "a bit flipped", "no gzip"])
    def test_a_damaged_gzip_is_one_error(self, tmp_path, damage):
        path = tmp_path / "table.csv.gz"
        rows = np.random.default_rng(0).integers(0, 10**9, 5000)
        whole = gzip.compress(b"a\n" + b"\n".join(b"%d" % row for row in rows))
        flipped = bytearray(whole)
        flipped[len(whole) // 2] ^= 255
        path.write_bytes(
            {
                "cut in the middle": whole[: len(whole) // 2],
                "cut at the end": whole[:-3],
                "a bit flipped": bytes(flipped),
                "no gzip": b"PK\x03\x04" + whole,
            }[damage]
        )
        with pytest.raises(InputError, match=r"table\.csv\.gz"):
            read_table(path)

    def test_a_quote_that_never_closes_is_one_error(self, tmp_path):
        with pytest.raises(InputError, match=r"cannot be read|not a clean table"):
            read(tmp_path, '"a,b\n1,2\n')

    @pytest.mark.parametrize(
        "cell", ["1_000", "\uff11\uff12", "0x10", "1,5", "1 000", "1e", "--1", "5%", "1j"]
    )
    def test_what_is_no_number_stays_text(self, tmp_path, cell):
        assert read(tmp_path, f'a,b\n1,2\n"{cell}",4\n').columns["a"].tolist() == ["1", cell]


CELLS = (
    *(
        "1_000",
        "inf",
        "-Infinity",
        "1e5",
        "1E+05",
        " 1",
        "1 ",
        "0x10",
        "+1",
        "\uff11\uff12",
        "nan",
        "NAN",
        "-nan",
        "1.",
    ),
    *(".5", ".", "1e", "18446744073709551615", "9223372036854775808", "99999999999999999999", "true", "TRUE"),
    *(
        "yes",
        "N/A",
        "None",
        "-",
        "1__0",
        "1j",
        "00012",
        "1e400",
        "1e-400",
        "123456789.123456789",
        "0.1",
        "5%",
    ),
)


@pytest.mark.parametrize("other", ["", "1", "1.5", "1,5", "true", "x"])
@pytest.mark.parametrize("options", [{}, {"decimal": ","}, {"missing": ["-", "1"]}])
@pytest.mark.parametrize("cell", [*CELLS, "1,5", "-,5", "1.234,5", "1.0", "1,0"])
def test_both_parsers_read_a_column_alike(tmp_path, monkeypatch, cell, other, options):
    text = f"a;b\n{other};1\n{cell};1\n"
    first = read(tmp_path, text, **options).columns["a"]
    monkeypatch.setattr(vetime_plugins.cli.tables, "_has", lambda *modules: False)
    second = read(tmp_path, text, **options).columns["a"]
    assert first.dtype == second.dtype
    np.testing.assert_array_equal(first, second)

    def test_reads_standard_input(self, monkeypatch):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a\n1\n2\n")))
        assert len(read_table("-")) == 2

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "is empty"),
            ("\n\n", "is empty"),
            ("a,b\n", "has no rows"),
            ("a,a\n1,2\n", "more than one column named 'a'"),
            ("a,b\n1,2\n1,2,3\n", "not a clean table: Expected 2 fields in line 3, saw 3"),
            ("a,b\n1,2,3\n1,2\n", "not a clean table"),
            ('a,b\n"1,2\n', "not a clean table"),
            (b"a\n\xff\xfe\n", "not text in UTF-8"),
        ],
    )
    def test_says_what_is_wrong(self, tmp_path, text, message):
        with pytest.raises(InputError, match=message):
            read(tmp_path, text)

    def test_names_a_missing_file(self, tmp_path):
        with pytest.raises(InputError, match=r"no such file: .*absent.csv"):
            read_table(tmp_path / "absent.csv")

    def test_names_a_folder(self, tmp_path):
        with pytest.raises(InputError, match=r"cannot read .*: Is a directory"):
            read_table(tmp_path)


class TestParquet:
    def test_reads_every_kind_of_column(self, tmp_path):
        path = tmp_path / "table.parquet"
        frame = pd.DataFrame(
            {
                "when": pd.date_range("2020-01-01", periods=3, freq="h", tz="Europe/Berlin"),
                "nullable": pd.array([1, None, 3], dtype="Int64"),
                "half": np.array([1, 2, 3], dtype=np.float16),
                "text": ["x", None, "y"],
            }
        )
        frame.to_parquet(path)
        columns = read_table(path).columns
        assert columns["when"][0] == np.datetime64("2019-12-31T23:00")
        np.testing.assert_array_equal(columns["nullable"], [1.0, np.nan, 3.0])
        np.testing.assert_array_equal(columns["half"], [1, 2, 3])
        assert columns["text"].tolist() == ["x", None, "y"]

    def test_a_stored_index_is_a_column(self, tmp_path):
        path = tmp_path / "table.parquet"
        index = pd.date_range("2020-01-01", periods=2, name="when")
        pd.DataFrame({"a": [1.0, 2.0]}, index=index).to_parquet(path)
        assert list(read_table(path).columns) == ["when", "a"]

    def test_damage_is_named(self, tmp_path):
        path = tmp_path / "table.parquet"
        path.write_bytes(b"not parquet at all")
        with pytest.raises(InputError, match="not a readable parquet file"):
            read_table(path)

    def test_needs_the_extra(self, tmp_path, monkeypatch):
        monkeypatch.setattr(vetime_plugins.cli.tables, "_has", lambda *modules: False)
        (tmp_path / "table.parquet").touch()
        with pytest.raises(MissingDependencyError, match=r'pip install "vetime-plugins\[cli\]"'):
            read_table(tmp_path / "table.parquet")


def table(**columns):
    return Table("a.csv", {name: np.asarray(values) for name, values in columns.items()})


class TestSelectSeries:
    def test_takes_every_column_but_time_and_labels(self):
        series = select_series(
            table(when=["x", "y", "z"], a=[1, 5, 2], b=[0.5, np.nan, 1], truth=[0, 1, 0]),
            time="when",
            labels="truth",
        )
        assert series.names == ("a", "b")
        assert series.values.shape == (3, 2)
        assert series.values.dtype == np.float64
        assert series.labels.tolist() == [0, 1, 0]
        assert series.time.tolist() == ["x", "y", "z"]

    def test_takes_the_columns_that_were_asked_for_in_that_order(self):
        series = select_series(table(a=[1, 5], label=[0, 7], b=["x", "y"], c=[2, 3]), columns=["c", "label"])
        assert series.names == ("c", "label")
        assert series.values.tolist() == [[2, 0], [3, 7]]

    def test_numbers_kept_as_text_are_numbers(self):
        long = np.array(["99999999999999999999", None, "1"], dtype=object)
        np.testing.assert_array_equal(select_series(table(a=long)).values[:, 0], [1e20, np.nan, 1.0])

    @pytest.mark.parametrize("labels", [[True, False], [1.0, 0.0], [0, 0]])
    def test_labels_may_be_any_kind_of_zero_and_one(self, labels):
        assert select_series(table(a=[1, 5], y=labels), labels="y").labels.tolist() == [
            int(v) for v in labels
        ]

    @pytest.mark.parametrize(
        ("columns", "options", "message"),
        [
            ({"a": [1, 2]}, {"columns": ["b"]}, "no column 'b'; it has 'a'"),
            ({"a": [1, 2]}, {"time": "t"}, "no column 't'; it has 'a'"),
            ({"a": [1, 2]}, {"columns": ["a", "a"]}, "'a' is given twice"),
            ({"a": [1, 2]}, {"columns": ["a"], "labels": "a"}, "'a' is given twice"),
            (
                {"a": [1, 5], "t": [3, 9]},
                {"labels": "t"},
                "labels must be 0 .* holds 3 in row 1",
            ),
            ({"t": [1, 2]}, {"time": "t"}, "no column besides the time and the labels"),
            (
                {"a": ["1", "x"]},
                {},
                r"'a' is not numeric \('x' in row 2\); .* --column, .* --time or --labels",
            ),
            ({"a": ["1_000"]}, {}, "not numeric"),
            ({"a": np.array(["2020-01-01"], "M8[s]")}, {}, r"'a' is not numeric \(time stamps\)"),
            ({"a": [1, 5], "y": [0, np.nan]}, {"labels": "y"}, "labels must be 0 .* holds nan in row 2"),
            ({"a": [1, 5], "y": ["no", "yes"]}, {"labels": "y"}, "labels must be 0 .* holds no in row 1"),
            ({"a": [1, 5], "Label": [0, 1]}, {}, "'Label' looks like labels; say so with --labels"),
            (
                {"a": [1, 5], "Timestamp": [3, 9]},
                {},
                "'Timestamp' looks like time stamps; say so with --time",
            ),
            ({"a": [1, 5, 2], "n": [10, 20, 30]}, {}, "'n' looks like a row counter; say so with --time"),
        ],
    )
    def test_refuses_what_is_not_a_measurement(self, columns, options, message):
        with pytest.raises(InputError, match=message):
            select_series(table(**columns), **options)

    @pytest.mark.parametrize(
        ("cells", "hint"),
        [
            (["1,5", "2,5"], "where the comma is its decimal mark, add --decimal , ;"),
            (["1.234,5", "2", ",5"], "add --decimal ,"),
            (["1", "-", "2"], "add --na=- ;"),
            (["1", "2", "3", "-", "no data"], "add --na=- --na='no data' ;"),
            (["1", "2", "3", "-", "2,5"], "--na=- --na=2,5"),
            (["ok", "fault"], None),
            (["2020-01-01", "2020-01-02", "2020-01-03"], None),
            (["1", "a", "b", "c", "d", "2", "3", "4", "5"], None),
        ],
    )
    def test_hints_at_another_notation(self, cells, hint):
        with pytest.raises(InputError, match="not numeric") as caught:
            select_series(table(a=np.array(cells, dtype=object)))
        assert hint in str(caught.value) if hint else "--na" not in str(caught.value)
        assert hint or "--decimal" not in str(caught.value)

    def test_the_cell_that_is_no_number_is_shown(self):
        given = Table("x.csv", {"a": np.array(["1,5", "x"], dtype=object)}, decimal=",")
        with pytest.raises(InputError, match="'x' in row 2"):
            select_series(given)

    def test_lists_a_bounded_number_of_columns(self):
        many = {f"v{i}": [1, 5] for i in range(500)}
        with pytest.raises(InputError, match="and 480 more") as caught:
            select_series(table(**many), columns=["x"])
        assert len(str(caught.value)) < 400


class TestWriteScores:
    scores = np.array([0.1, 1 / 3])
    flags = np.array([False, True])

    @pytest.mark.parametrize("name", ["score", "is_anomaly", "label"])
    def test_a_time_column_named_like_another_is_kept(self, tmp_path, name):
        path = tmp_path / "out.csv"
        write_scores(
            path, self.scores, self.flags, time=np.array([7, 8]), time_name=name, labels=np.array([0, 1])
        )
        written = read_table(path).columns
        assert list(written) == ["time", "score", "is_anomaly", "label"]
        assert written["time"].tolist() == [7, 8]

    def test_without_time_rows_are_counted(self, tmp_path):
        write_scores(tmp_path / "out.csv", self.scores, self.flags)
        text = (tmp_path / "out.csv").read_text()
        assert text == "index,score,is_anomaly\n0,0.1,0\n1,0.3333333333333333,1\n"

    @pytest.mark.parametrize(
        ("time", "written"),
        [
            (np.array(["a,b", None], dtype=object), ['"a,b"', ""]),
            # text that a spreadsheet would run gets an apostrophe, numbers do not
            (np.array(["=1+1", "-2"], dtype=object), ["'=1+1", "-2"]),
            (np.array(["@a", "+b"], dtype=object), ["'@a", "'+b"]),
            (np.array([1600000000, 1600000060]), ["1600000000", "1600000060"]),
            (
                np.array(["2020-01-01T00:00", "2020-01-01T00:05"], "M8[s]"),
                ["2020-01-01T00:00:00", "2020-01-01T00:05:00"],
            ),
        ],
    )
    def test_time_stamps_come_back_as_they_were(self, tmp_path, time, written):
        write_scores(tmp_path / "out.csv", self.scores, self.flags, time=time, time_name="when")
        lines = (tmp_path / "out.csv").read_text().splitlines()
        assert lines[0] == "when,score,is_anomaly"
        assert [line.rpartition(",0.")[0] for line in lines[1:]] == written

    def test_parquet_holds_the_same(self, tmp_path):
        write_scores(tmp_path / "out.parquet", self.scores, self.flags, labels=np.array([0, 1], np.int8))
        frame = pd.read_parquet(tmp_path / "out.parquet")
        assert list(frame.columns) == ["index", "score", "is_anomaly", "label"]
        assert frame["score"].tolist() == self.scores.tolist()

    def test_its_own_output_is_read_back(self, tmp_path):
        write_scores(tmp_path / "out.csv", self.scores, self.flags, labels=np.array([0, 1]))
        series = select_series(
            read_table(tmp_path / "out.csv"), columns=["score"], time="index", labels="label"
        )
        assert series.values[:, 0].tolist() == self.scores.tolist()

    def test_a_place_that_cannot_be_written_is_named(self, tmp_path):
        with pytest.raises(InputError, match=r"cannot write .*absent.*No such file"):
            write_scores(tmp_path / "absent" / "out.csv", self.scores, self.flags)
