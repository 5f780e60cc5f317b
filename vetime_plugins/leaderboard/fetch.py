"""Fetch open data sets from where their authors publish them.

An archive is named by the commit of its repository, so what it holds cannot change; GitHub promises that for
the content, not for the bytes of the archive. What is checked, therefore: the transport by HTTPS, the archive
by its SHA-256 where you give one or have fetched it before into the same folder, single files by theirs where
one has been published, and the content by reading the list of its series.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tarfile
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path, PurePosixPath

from vetime_plugins.errors import InputError, VETimeError
from vetime_plugins.leaderboard.readers import READERS
from vetime_plugins.leaderboard.results import write_text
from vetime_plugins.leaderboard.tasks import Task

__all__ = ["DATA_SETS", "DataSet", "FetchError", "Fetched", "fetch"]

_RECORD = "FETCHED.json"
_CHUNK = 1 << 20
_TIMEOUT = 30  # seconds without a byte

Progress = Callable[[int, int | None], None]


class FetchError(VETimeError):
    """A data set could not be fetched, or is not what it should be."""


@dataclass(frozen=True)
class DataSet:
    """Where a data set is, a ``.tar.gz``, and what of it is kept.

    `keep` names files and folders below its one top folder, `task` the bundled task that reads it, and
    `checksums` the SHA-256 of single files, as published by others who use the same commit.
    """

    title: str
    homepage: str
    licence: str
    url: str
    keep: tuple[str, ...]
    task: str
    checksums: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Fetched:
    """The SHA-256 of what has been fetched, what that was compared with, and the number of series."""

    sha256: str
    checked: str
    n_series: int


DATA_SETS: dict[str, DataSet] = {
    "nab": DataSet(
        title="Numenta Anomaly Benchmark",
        homepage="https://github.com/numenta/NAB",
        licence="MIT",  # since this very commit; it was AGPL-3.0 before
        url="https://github.com/numenta/NAB/archive/ea702d75cc2258d9d7dd35ca8e5e2539d71f3140.tar.gz",
        keep=("data", "labels/combined_windows.json", "LICENSE.txt"),
        task="nab",
        checksums={
            "labels/combined_windows.json": "164294d56679e33a9323f6b3824754183dbf661e31848f328bfc57019df804c4"
        },
    ),
    "skab": DataSet(
        title="Skoltech Anomaly Benchmark",
        homepage="https://github.com/waico/SKAB",
        licence="GPL-3.0",
        url="https://github.com/waico/SKAB/archive/b2c0d46c2971dcbfe71e26087b6d231998bb91c2.tar.gz",
        keep=("data", "LICENSE"),
        task="skab",
    ),
}
"""The data sets that can be fetched, by name."""


def fetch(
    name: str,
    to: str | PathLike[str],
    *,
    url: str | None = None,
    sha256: str | None = None,
    progress: Progress | None = None,
) -> Fetched:
    """Fetch a data set into a folder.

    Parameters
    ----------
    name : str
        One of `DATA_SETS`.
    to : str or path
        Folder; made where it is missing. A download that was cut off goes on from where it was.
    url : str, optional
        Where to fetch the same archive from instead; ``file:`` works too.
    sha256 : str, optional
        What the archive must have.
    progress : callable, optional
        Called with the bytes there are, and those there will be where the server says.

    Raises
    ------
    InputError
        If there is no such data set, or the checksum is none.
    FetchError
        If the server cannot be reached, or what came is not what it should be.
    """
    if name not in DATA_SETS:
        raise InputError(f"no data set {name!r} to fetch; there are {', '.join(DATA_SETS)}")
    data, folder = DATA_SETS[name], Path(to)
    expected = None if sha256 is None else sha256.strip().lower()
    if expected is not None and (len(expected) != 64 or set(expected) - set("0123456789abcdef")):
        raise InputError(f"a SHA-256 has 64 hexadecimal digits, got {sha256!r}")
    source = url or data.url
    try:
        folder.mkdir(parents=True, exist_ok=True)
        archive = folder / f".{name}-{hashlib.sha256(source.encode()).hexdigest()[:12]}.tar.gz.part"
        _download(source, archive, progress)
        digest = _sha256(archive)
        try:
            checked = _compare(folder, data, source, digest, expected)
            _unpack(archive, folder, data)
        except FetchError:  # of no use, unlike a part of what is wanted
            archive.unlink()
            raise
        n_series = _count(folder, data)
    except OSError as error:
        raise FetchError(f"cannot write {folder}: {error}") from error
    record = {
        "name": name,
        "url": source,
        "sha256": digest,
        "licence": data.licence,
        "homepage": data.homepage,
    }
    write_text(folder / _RECORD, json.dumps(record, indent=1) + "\n")
    archive.unlink()
    return Fetched(digest, checked, n_series)


def _download(source: str, archive: Path, progress: Progress | None) -> None:
    """Fetch to a file, going on behind what it holds where the server can."""
    if urllib.parse.urlsplit(source).scheme not in {"https", "http", "file"}:
        raise InputError(f"cannot fetch {source!r}; name an https, http or file address")
    there = archive.stat().st_size if archive.is_file() else 0
    request = urllib.request.Request(source, headers={"User-Agent": "vetime-plugins"})
    if there:
        request.add_header("Range", f"bytes={there}-")
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:
            goes_on = there > 0 and getattr(answer, "status", None) == 206
            there = there if goes_on else 0
            length = answer.headers.get("Content-Length")
            total = there + int(length) if length else None
            with archive.open("ab" if goes_on else "wb") as stream:
                while block := answer.read(_CHUNK):
                    stream.write(block)
                    there += len(block)
                    if progress is not None:
                        progress(there, total)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # nothing left behind what is there: it is complete
            return
        raise FetchError(f"{source} answers {error.code} {error.reason}") from error
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        reason = getattr(error, "reason", error)
        raise FetchError(
            f"cannot reach {source} ({reason}). Fetching needs a network; without one, fetch that address "
            f"elsewhere and unpack it into the folder {archive.parent}, or name a copy with --url file:///..."
        ) from error
    if total is not None and there < total:
        raise FetchError(f"{source} broke off after {there} of {total} bytes; fetch it again to go on")


def _compare(folder: Path, data: DataSet, source: str, digest: str, expected: str | None) -> str:
    """Compare the checksum of an archive with what is known; returns what that is."""
    before = None
    record = folder / _RECORD
    if expected is None and record.is_file():
        known = json.loads(record.read_text(encoding="utf-8"))
        before = known.get("sha256") if known.get("url") == source else None
    wanted = expected or before
    if wanted is not None and digest != wanted:
        origin = "was asked for" if expected else "was there when it was fetched before"
        raise FetchError(f"{source} has the SHA-256 {digest}, but {wanted} {origin}; what came was removed")
    if expected:
        return "as asked for"
    if before:
        return "the same as before"
    named = ", ".join(data.checksums)
    return f"the archive's own is not known; checked: {named}" if named else "not compared with anything"


def _unpack(archive: Path, folder: Path, data: DataSet) -> None:
    """Unpack what is kept; files appear in the folder when all of them are there and right."""
    with tempfile.TemporaryDirectory(dir=folder, prefix=".unpacking-") as name:
        root = Path(name)
        try:
            with tarfile.open(archive, "r:gz") as tar:
                for member in tar:
                    inner = PurePosixPath(*PurePosixPath(member.name).parts[1:])
                    if any(inner.is_relative_to(kept) for kept in data.keep):
                        # "data" refuses what would land outside, links out of it, and devices
                        tar.extract(member.replace(name=str(inner)), root, filter="data")
        except (tarfile.TarError, EOFError, OSError) as error:
            raise FetchError(f"what came is no whole archive ({error}); fetch it again") from error
        lacking = [kept for kept in data.keep if not (root / kept).exists()]
        if lacking:
            raise FetchError(f"the archive lacks {', '.join(lacking)}: it is not that of {data.title}")
        for file, wanted in data.checksums.items():
            found = _sha256(root / file)
            if found != wanted:
                raise FetchError(f"{file} has the SHA-256 {found} instead of {wanted}; what came was removed")
        for kept in data.keep:
            target = folder / kept
            if target.is_dir():
                shutil.rmtree(target)
            target.parent.mkdir(parents=True, exist_ok=True)
            (root / kept).replace(target)


def _count(folder: Path, data: DataSet) -> int:
    source = Task.read(data.task).source
    return len(READERS[source.reader].find(folder, source.options))


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
