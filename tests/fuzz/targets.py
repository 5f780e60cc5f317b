"""What a fuzzer calls with bytes: each reads them as a file, and raises where the package breaks its word.

That word is: a file is read, or refused by an error of the package in one line; a table is the same with and
without pandas; and weights that load give scores.
"""

from __future__ import annotations

import io
import json
import math
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from tests._tiny import save_tiny_weights
from vetime_plugins.cli import tables
from vetime_plugins.cli.columns import select_series
from vetime_plugins.errors import CheckpointError, InputError
from vetime_plugins.network.checkpoint import load_network
from vetime_plugins.streaming import StreamingVETime

_SEPARATORS = (None, ",", ";", "\t", "|", " ", "", ",,")


@cache
def _folder() -> Path:
    memory = Path("/dev/shm")
    return Path(tempfile.mkdtemp(prefix="fuzz-", dir=memory if memory.is_dir() else None))


@cache
def _weights() -> Path:
    """Return a folder of small, honest weights whose file of tensors may be exchanged."""
    folder = Path(save_tiny_weights(_folder() / "honest"))
    record = json.loads((folder / "config.json").read_text())
    del record["sha256"]
    (folder / "config.json").write_text(json.dumps(record))
    shutil.copytree(folder, _folder() / "weights")
    return folder


@contextmanager
def _refusal(error: type[Exception]) -> Iterator[list[str]]:
    """Allow an error of the package, and keep its message, which must be one line."""
    messages: list[str] = []
    try:
        yield messages
    except error as refused:
        messages.append(str(refused))
        if not messages[0].strip():
            raise


def table(data: bytes) -> None:
    """Read a CSV table; the first two bytes choose the options."""
    if len(data) < 2:
        return
    options: dict[str, Any] = {
        "separator": _SEPARATORS[data[0] % 8],
        "header": (None, True, False)[data[0] // 8 % 3],
        "decimal": ",." [data[1] % 2],
        "missing": ((), ("-",), ("?", "none"))[data[1] // 2 % 3],
    }  # fmt: skip
    path = _folder() / ("table.csv.gz" if data[1] // 8 % 16 == 0 else "table.csv")
    path.write_bytes(data[2:])
    found = []
    for has in (True, False):
        with mock.patch.object(tables, "_has", lambda *_, has=has: has), _refusal(InputError) as refused:
            read = tables.read_table(path, **options)
            with _refusal(InputError):
                select_series(read)
            found.append({name: column.tolist() for name, column in read.columns.items()})
        if refused:
            found.append({})
    _compare(*found)


def _compare(one: dict[str, list[Any]], other: dict[str, list[Any]]) -> None:
    """Raise where two parsers read two tables; that only one of them refuses a table is allowed."""
    if not one or not other:
        return
    assert list(one) == list(other), (list(one), list(other))
    for name, column in one.items():
        same = [a == b or (a != a and b != b) for a, b in zip(column, other[name], strict=True)]
        assert all(same), (name, column, other[name])


_JUNK: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 3, 7, 64, 10**6, 2**31, 2**63, 2**70, 0.0, 0.5, -0.5, 1e-320, 1e308,
    math.nan, math.inf, -math.inf, "", "small", "cpu", "1", "\0", "\ud800", [], [1, 2], [0.5] * 40, {},
    {"a": 1},
)  # fmt: skip


class _Edits:
    """Choices that are read off bytes; all of them are the first once the bytes have ended."""

    def __init__(self, data: bytes) -> None:
        self._data = iter(data)
        self._left = len(data)

    def __bool__(self) -> bool:
        return self._left > 0

    def number(self, below: int) -> int:
        self._left -= 1
        return next(self._data, 0) % below

    def one_of(self, choices: Any) -> Any:
        several = list(choices)
        return several[self.number(len(several))]

    def edit(self, record: dict[str, Any]) -> None:
        """Drop, rename, exchange or add an entry of a dictionary, or of one inside it."""
        how = self.number(6)
        if not record:
            return
        name = self.one_of(record)
        if how == 5 and isinstance(record[name], dict):
            self.edit(record[name])
        elif how == 0:
            del record[name]
        elif how == 1:
            record[name + "_"] = record.pop(name)
        elif how == 2 and isinstance(record[name], int | float):
            record[name] = record[name] * self.one_of((2, 3, -1, 0.5, 1000)) + self.number(3)
        else:
            record[name] = self.one_of(_JUNK)


def configuration(data: bytes) -> None:
    """Load honest weights with another ``config.json``: with edits, or one of these very bytes."""
    _weights()
    file = _folder() / "weights" / "config.json"
    shutil.copy(_folder() / "honest" / "model.safetensors", _folder() / "weights")
    edits = _Edits(data[1:])
    if data[:1] == b"{":
        file.write_bytes(data)
    else:
        record = json.loads((_folder() / "honest" / "config.json").read_text())
        while edits:
            edits.edit(record)
        file.write_text(json.dumps(record))
    _load()


_DTYPES = {
    "F32": 4,
    "F64": 8,
    "F16": 2,
    "BF16": 2,
    "I64": 8,
    "I8": 1,
    "U8": 1,
    "BOOL": 1,
    "F8_E4M3": 1,
    "C64": 8,
}
_FILLS = (math.nan, math.inf, 3e38, 1e-42, 0.0)


def weights(data: bytes) -> None:
    """Load another file of tensors with an honest ``config.json``: with edits, or a header of these bytes."""
    honest = (_weights() / "model.safetensors").read_bytes()
    start = 8 + int.from_bytes(honest[:8], "little")
    if data[:1] == b"{":
        content = len(data).to_bytes(8, "little") + data + honest[start:]
    else:
        content = _edited_tensors(honest[8:start], honest[start:], _Edits(data))
    shutil.copy(_folder() / "honest" / "config.json", _folder() / "weights")
    (_folder() / "weights" / "model.safetensors").write_bytes(content)
    _load()


def _edited_tensors(header: bytes, body: bytes, edits: _Edits) -> bytes:
    """Return a whole file of tensors: some are lacking, or of other names, types, shapes and values."""
    tensors = {
        name: [one["dtype"], one["shape"], body[slice(*one["data_offsets"])]]
        for name, one in json.loads(header).items()
        if name != "__metadata__"
    }
    while edits and tensors:
        name = edits.one_of(tensors)
        one, how = tensors[name], edits.number(6)
        if how == 0:
            del tensors[name]
        elif how == 1:
            tensors[edits.one_of(("x", f"vision_decoder.{name}", "", name.upper()))] = one
        elif how == 2:  # the same numbers, or bytes, in another shape
            size = math.prod(one[1])
            one[1] = edits.one_of(([size], [1, *one[1]], one[1][::-1], [], [0], [size // 2, 2], [2**40, 0]))
        elif how == 3:
            one[0] = edits.one_of(_DTYPES)
        elif how == 4:
            one[2] = np.full(max(1, len(one[2]) // 4), edits.one_of(_FILLS), np.float32).tobytes()
        else:
            at = edits.number(256) * max(1, len(one[2]) // 256)
            one[2] = one[2][:at] + bytes([edits.number(256)]) + one[2][at + 1 :]
    record, packed = {}, b""
    for name, (dtype, shape, content) in tensors.items():
        size = _DTYPES[dtype] * math.prod(shape)
        content = (content + bytes(max(0, min(size, 2**20) - len(content))))[:size]
        record[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(packed), len(packed) + size]}
        packed += content
    text = json.dumps(record).encode()
    return len(text).to_bytes(8, "little") + text + packed


def _load() -> None:
    with _refusal(CheckpointError):
        model, _ = load_network(_folder() / "weights")
        assert all(bool(one.isfinite().all()) for one in model.state_dict().values())


def stream(data: bytes) -> None:
    """Load a saved stream and go on with it: one with edits, or one of these very bytes."""
    path = _folder() / "stream"
    if data[:2] == b"PK":
        path.write_bytes(data)
    else:
        edits = _Edits(data)
        with np.load(io.BytesIO(_saved_stream())) as archive:
            arrays = dict(archive)
        while edits and arrays:
            _edit_stream(arrays, edits)
        with path.open("wb") as file:
            np.savez(file, **arrays)
    with suppress(CheckpointError), _refusal(InputError):
        loaded = StreamingVETime.load(path)
        for value in (0.5, math.nan, 3.0):
            scores = loaded.update(value)
            assert ((scores >= 0) & (scores <= 1)).all(), scores


def _edit_stream(arrays: dict[str, Any], edits: _Edits) -> None:
    name = edits.one_of(arrays)
    if name == "header":
        try:
            header = json.loads(str(arrays[name]))
        except ValueError:
            return
        if isinstance(header, dict):
            edits.edit(header)
        arrays[name] = np.array(json.dumps(header))
        return
    array, how = arrays[name], edits.number(6)
    if how == 0:
        del arrays[name]
    elif how == 1:
        arrays[name] = array.reshape(edits.one_of(((-1,), (1, -1), (-1, 1))))
    elif how == 2:
        with suppress(ValueError, OverflowError), np.errstate(all="ignore"):  # back from text
            arrays[name] = array.astype(edits.one_of(("f4", "i8", "?", "U9", "S3", "f8")))
    elif how == 3:
        arrays[name] = array.reshape(-1)[: edits.number(40)]
    elif how == 4 and array.dtype.kind == "f" and array.size:
        arrays[name] = array = array.copy()
        with np.errstate(all="ignore"):  # 1e308 as float32
            array.reshape(-1)[edits.number(256) % array.size] = edits.one_of(
                (math.nan, math.inf, 1e308, -1e-320, 0.0)
            )
    elif array.size < 10_000:
        arrays[name] = np.concatenate([array.reshape(-1)] * edits.number(4) or [array.reshape(-1)])


@cache
def _saved_stream() -> bytes:
    saved = StreamingVETime(16)
    saved.warm_up(np.sin(np.arange(40) / 3))
    saved.save(_folder() / "seed")
    return (_folder() / "seed").read_bytes()


TARGETS: dict[str, Callable[[bytes], None]] = {
    "table": table,
    "configuration": configuration,
    "weights": weights,
    "stream": stream,
}


def seeds(name: str) -> list[bytes]:
    """Return honest inputs of a target, for a fuzzer to begin with."""
    if name == "table":
        texts = [
            "time,value,label\n2024-01-01,1.5,0\n2024-01-02,,1\n",
            "a;b\n1,5;2\n-3;1e5\n",
            '0,1\n1,"x, ""y"""\nnan,true\n',
            "x\ty\n1\t2\n\n3\t4\n",
            "1\n2\n3\n",
            "\ufeffv\n 7\n0x1\n1_0\n",
        ]
        return [bytes([0, 9]) + text.encode() for text in texts]
    if name == "configuration":
        return [(_weights() / "config.json").read_bytes(), b"\0\1\2\3"]
    if name == "weights":
        honest = (_weights() / "model.safetensors").read_bytes()
        return [honest[8 : 8 + int.from_bytes(honest[:8], "little")], b"\0\1\2\3"]
    return [_saved_stream(), b"\0\1\2\3"]
