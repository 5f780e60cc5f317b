"""Reading labelled series: what is in the files, which files there are, and what is refused."""

import numpy as np
import pytest

from tests._shared import shared_path
from vetime_plugins.errors import InputError
from vetime_plugins.leaderboard.datasets import find_series, iterate_series, read_series

NAME = "001_NAB_id_1_Facility_tr_2_1st_3.csv"
TEXT = "a,b,Label\n1,2,0\n3,4.5,0\n5,6,0\n7,-8e3,1\n"


def put(path, text=TEXT):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_a_file_is_read_as_it_is(tmp_path):
    series = read_series(put(tmp_path / NAME))
    assert (series.name, series.dataset, series.train_length) == (NAME[:-4], "NAB", 2)
    np.testing.assert_array_equal(series.values, [[1, 2], [3, 4.5], [5, 6], [7, -8000]])
    assert series.values.dtype == np.float64
    assert series.labels.tolist() == [0, 0, 0, 1]
    assert series.labels[series.test].tolist() == [0, 1]


@pytest.mark.parametrize(
    ("name", "dataset", "train"),
    [
        ("322_UCR_id_20_Facility_tr_7482_1st_24005.csv", "UCR", 7482),
        ("001_MerlionSyn_id_1_Synthetic_tr_500_1st_186.csv", "MerlionSyn", 500),
        ("002_Two_Words_id_3_Sensor_tr_10_1st_20.csv", "Two_Words", 10),
        ("Own_id_7_tr_10_1st_20.csv", "Own", 10),
    ],
)
def test_names_tell_data_set_and_train_length(tmp_path, name, dataset, train):
    found = find_series(put(tmp_path / name).parent)
    assert [(file.dataset, file.train_length) for file in found] == [(dataset, train)]


def test_line_ends_byte_order_mark_gaps_and_one_row_are_fine(tmp_path):
    path = put(tmp_path / NAME, "\ufeffx,label\r\n1,0\r\n,1.0\r\nnan,0\r\n2,0\r\n\r\n")
    series = read_series(path)
    np.testing.assert_array_equal(series.values[:, 0], [1, np.nan, np.nan, 2])
    assert series.labels.tolist() == [0, 1, 0, 0]
    single = put(tmp_path / NAME.replace("tr_2", "tr_0"), "x,Label\n5,1\n")
    assert read_series(single).values.shape == (1, 1)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "Label"),
        ("a,b\n1,2\n", "Label"),
        ("Label\n1\n", "Label"),
        ("a,Label\n", "no row"),
        ("a,Label\n1,0\nx,0\n2,0\n", "numbers only"),
        ("a,Label\n1,0\n2,0,3\n", "numbers only"),
        ("a,Label\n1,0\n2,2\n3,0\n", "0 \\(normal\\)"),
        ("a,Label\n1,0\n2,\n3,1\n", "0 \\(normal\\)"),
        ("a,Label\n1,0\n2,1\n", "by its name 2 of them"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path, text, says):
    with pytest.raises(InputError, match=says) as error:
        read_series(put(tmp_path / NAME, text))
    assert NAME in str(error.value)


def test_a_missing_file_or_an_odd_name_is_refused(tmp_path):
    with pytest.raises(InputError, match="cannot read"):
        read_series(tmp_path / NAME)
    with pytest.raises(InputError, match="train length"):
        read_series(put(tmp_path / "measurements.csv"))


def test_folders_name_the_data_sets(tmp_path):
    put(tmp_path / "B" / NAME)
    put(tmp_path / "A" / NAME.replace("001", "002"))
    put(tmp_path / "A" / NAME)
    put(tmp_path / NAME.replace("001", "009"))
    put(tmp_path / "A" / "notes.csv", "not a series")
    found = [(file.dataset, file.path.name[:3]) for file in find_series(tmp_path)]
    assert found == [("A", "001"), ("A", "002"), ("B", "001"), ("NAB", "009")]
    assert [series.dataset for series in iterate_series(tmp_path, datasets=["B", "NAB"])] == ["B", "NAB"]


def test_an_index_decides_what_belongs_to_a_folder(tmp_path):
    put(tmp_path / "A" / NAME)
    put(tmp_path / "A" / NAME.replace("001", "002"))
    put(tmp_path / NAME.replace("001", "003"))
    put(tmp_path / "INDEX.csv", f"file,dataset,note\n{NAME},A,x\n{NAME.replace('001', '003')},C,y\n")
    assert [(file.dataset, file.path.name[:3]) for file in find_series(tmp_path)] == [
        ("A", "001"),
        ("C", "003"),
    ]
    put(tmp_path / "INDEX.csv", f"file,dataset\n{NAME},B\n")
    with pytest.raises(InputError, match=f"lists {NAME}"):
        find_series(tmp_path)
    put(tmp_path / "INDEX.csv", "path,name\n1,2\n")
    with pytest.raises(InputError, match="columns dataset and file"):
        find_series(tmp_path)


def test_an_empty_or_missing_folder_or_data_set_is_refused(tmp_path):
    with pytest.raises(InputError, match="no folder"):
        find_series(tmp_path / "nowhere")
    with pytest.raises(InputError, match="no series"):
        find_series(tmp_path)
    put(tmp_path / NAME)
    with pytest.raises(InputError, match=r"no data set SMD in .*; there are NAB"):
        find_series(tmp_path, datasets=["SMD", "NAB"])


def test_the_shared_series_are_read_completely():
    folder = shared_path("data")
    files = find_series(folder)
    assert len(files) == len({file.path for file in files}) > 100
    for series in iterate_series(folder, datasets=["TODS", "SKAB_M"]):
        assert series.values.shape[0] == series.labels.size
        first = int(series.name.rsplit("_", 1)[1])
        assert np.flatnonzero(series.labels)[0] == first
