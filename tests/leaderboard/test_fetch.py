"""Fetching data sets, from a server on this machine and from files."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from vetime_plugins.cli import main
from vetime_plugins.errors import InputError
from vetime_plugins.leaderboard import fetch as module
from vetime_plugins.leaderboard.fetch import DATA_SETS, FetchError, fetch

WINDOWS = json.dumps({"real/a.csv": [["2014-04-01 00:05:00.000000", "2014-04-01 00:07:00.000000"]]})
SERIES = "timestamp,value\n" + "".join(f"2014-04-01 00:{i:02d}:00,{i}\n" for i in range(20))


def pack(files: dict[str, str]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
    return packed.getvalue()


FILES = {
    "NAB-1/LICENSE.txt": "MIT",
    "NAB-1/README.md": "not kept",
    "NAB-1/data/real/a.csv": SERIES,
    "NAB-1/labels/combined_windows.json": WINDOWS,
}


@pytest.fixture
def nab(monkeypatch):
    """NAB with the checksum of the labels above."""
    sums = {"labels/combined_windows.json": hashlib.sha256(WINDOWS.encode()).hexdigest()}
    monkeypatch.setitem(DATA_SETS, "nab", replace(DATA_SETS["nab"], checksums=sums))


@pytest.fixture
def server():
    """Serves `content`; tells which ranges were asked for, and breaks off after `at_most` bytes."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            given = self.headers.get("Range")
            http.ranges.append(given)
            content, start = http.content, 0
            if http.status != 200:
                self.send_error(http.status)
                return
            if given and http.knows_ranges:
                start = int(given.removeprefix("bytes=").rstrip("-"))
                if start >= len(content):
                    self.send_error(416)
                    return
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            self.wfile.write(content[start : start + http.at_most])

        def log_message(self, *args):
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.content, http.ranges, http.at_most, http.knows_ranges, http.status = (
        pack(FILES),
        [],
        10**9,
        True,
        200,
    )
    http.url = f"http://127.0.0.1:{http.server_port}/nab.tar.gz"
    thread = threading.Thread(target=http.serve_forever, args=(0.01,))
    thread.start()
    yield http
    http.shutdown()
    thread.join()
    http.server_close()


def listed(folder) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@pytest.mark.usefixtures("nab")
class TestFetch:
    def test_what_is_needed_is_unpacked_and_can_be_read(self, server, tmp_path):
        seen = []
        found = fetch("nab", tmp_path / "to", url=server.url, progress=lambda *news: seen.append(news))
        assert found.sha256 == hashlib.sha256(server.content).hexdigest()
        assert found.n_series == 1
        assert "labels/combined_windows.json" in found.checked
        assert seen[-1] == (len(server.content), len(server.content))
        assert listed(tmp_path / "to") == [
            "FETCHED.json",
            "LICENSE.txt",
            "data/real/a.csv",
            "labels/combined_windows.json",
        ]

    @pytest.mark.parametrize("knows_ranges", [True, False])
    def test_a_download_that_broke_off_goes_on(self, server, tmp_path, knows_ranges):
        server.knows_ranges, server.at_most = knows_ranges, 100
        with pytest.raises(FetchError, match="broke off after 100 of"):
            fetch("nab", tmp_path, url=server.url)
        server.at_most = 10**9
        fetch("nab", tmp_path, url=server.url)
        assert server.ranges == [None, "bytes=100-"]
        assert (tmp_path / "data" / "real" / "a.csv").read_text() == SERIES

    def test_a_complete_download_is_not_fetched_again(self, server, tmp_path, monkeypatch):
        def full(*args):
            raise OSError("no space left")

        with monkeypatch.context() as patch:
            patch.setattr(module, "_unpack", full)
            with pytest.raises(FetchError, match=r"cannot write .* no space left"):
                fetch("nab", tmp_path, url=server.url)
        fetch("nab", tmp_path, url=server.url)
        assert server.ranges == [None, f"bytes={len(server.content)}-"]

    def test_checksums(self, server, tmp_path):
        right = hashlib.sha256(server.content).hexdigest()
        assert fetch("nab", tmp_path, url=server.url, sha256=right.upper()).checked == "as asked for"
        assert fetch("nab", tmp_path, url=server.url).checked == "the same as before"
        server.content = pack({**FILES, "NAB-1/more": "x"})
        with pytest.raises(FetchError, match=f"{right} was there when it was fetched before"):
            fetch("nab", tmp_path, url=server.url)
        with pytest.raises(FetchError, match="0000 was asked for"):
            fetch("nab", tmp_path, url=server.url, sha256="0" * 64)
        assert (tmp_path / "data" / "real" / "a.csv").read_text() == SERIES
        assert not list(tmp_path.glob(".*"))  # what was wrong is not gone on with

    def test_labels_that_were_changed_are_refused(self, server, tmp_path):
        server.content = pack({**FILES, "NAB-1/labels/combined_windows.json": WINDOWS + " "})
        with pytest.raises(FetchError, match=r"combined_windows\.json has the SHA-256 .* instead of"):
            fetch("nab", tmp_path, url=server.url)
        assert listed(tmp_path) == []

    def test_files_work_without_a_server(self, tmp_path, server):
        archive = tmp_path / "nab.tar.gz"
        archive.write_bytes(server.content)
        assert fetch("nab", tmp_path / "to", url=archive.as_uri()).n_series == 1
        assert server.ranges == []

    @pytest.mark.parametrize(
        ("files", "says"),
        [
            ({"NAB-1/LICENSE.txt": "MIT"}, "the archive lacks data, labels/combined_windows.json"),
            ({"NAB-1/data/../../../out": "x"}, "no whole archive"),
        ],
    )
    def test_other_archives_are_refused(self, server, tmp_path, files, says):
        server.content = pack(files)
        with pytest.raises(FetchError, match=says):
            fetch("nab", tmp_path / "deep" / "to", url=server.url)
        assert listed(tmp_path) == []

    def test_no_archive(self, server, tmp_path):
        server.content = b"<html>sign in first</html>"
        with pytest.raises(FetchError, match="no whole archive"):
            fetch("nab", tmp_path, url=server.url)

    def test_no_network(self, server, tmp_path):
        server.status = 404
        with pytest.raises(FetchError, match="answers 404"):
            fetch("nab", tmp_path, url=server.url)
        with pytest.raises(FetchError, match=r"cannot reach .* needs a network; without one"):
            fetch("nab", tmp_path, url="http://127.0.0.1:9/x.tar.gz")
        with pytest.raises(FetchError, match="cannot reach"):
            fetch("nab", tmp_path, url=(tmp_path / "none.tar.gz").as_uri())

    def test_bad_arguments(self, tmp_path):
        with pytest.raises(InputError, match="no data set 'nba' to fetch; there are nab, skab"):
            fetch("nba", tmp_path)
        with pytest.raises(InputError, match="64 hexadecimal digits"):
            fetch("nab", tmp_path, sha256="abc")
        with pytest.raises(InputError, match="name an https"):
            fetch("nab", tmp_path, url="ftp://here")

    def test_the_command(self, server, tmp_path, capsys):
        assert main(["data", "fetch", "nab", "--to", str(tmp_path), "--url", server.url]) == 0
        out = capsys.readouterr().out
        assert "1 series" in out
        assert hashlib.sha256(server.content).hexdigest() in out
        server.status = 500
        assert main(["data", "fetch", "nab", "--to", str(tmp_path / "2"), "--url", server.url]) == 1
        assert capsys.readouterr().err.startswith("vetime data: error: ")
        assert main(["data", "list"]) == 0
        assert "MIT; https://github.com/numenta/NAB" in capsys.readouterr().out


def test_skab_is_what_its_task_reads(server, tmp_path):
    head = "datetime;Pressure;Temperature;anomaly;changepoint\n"
    rows = "".join(f"2020-03-09 10:00:{i % 60:02d};{i};1.5;{float(i > 450)};0.0\n" for i in range(500))
    files = {f"SKAB-1/data/{name}": head + rows for name in ("valve1/0.csv", "other/0.csv")}
    files |= {
        "SKAB-1/data/anomaly-free/anomaly-free.csv": "datetime;Pressure\nx;1\n",
        "SKAB-1/LICENSE": "GPL",
    }
    server.content = pack(files)
    assert fetch("skab", tmp_path, url=server.url).n_series == 2
    from vetime_plugins.leaderboard.tasks import Task

    task = Task.read("skab").narrowed(folder=tmp_path)
    entries = task.find()
    assert [entry.name for entry in entries] == ["other-0", "valve1-0"]
    series = task.load(entries[0])
    assert (series.values.shape, series.train_length, int(series.labels.sum())) == ((500, 2), 400, 49)


def test_addresses_name_a_commit():
    for data in DATA_SETS.values():
        commit = data.url.rpartition("/")[2].removesuffix(".tar.gz")
        assert len(commit) == 40
        assert data.url.startswith(f"{data.homepage}/archive/")
