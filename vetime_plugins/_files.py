"""Files that are there completely or not at all."""

from __future__ import annotations

import io
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from vetime_plugins.errors import InputError

__all__ = ["only_user_of", "remove_unfinished", "whole_file", "write_arrays", "write_whole"]


@contextmanager
def whole_file(path: str | PathLike[str]) -> Iterator[BinaryIO]:
    """Open a file for writing that gets its name when the block ends; what had the name stays until then.

    Where the block raises, on a full disk for instance, nothing is left. Devices and pipes are written to as
    they are, and the file that a link points to is replaced, not the link.
    """
    named = Path(path)
    if (named.is_absolute() and named.is_relative_to("/dev")) or (named.exists() and not named.is_file()):
        with named.open("wb") as stream:
            yield stream
        return
    target = Path(os.path.realpath(named))
    temporary = target.with_name(f".{target.name[:50]}.{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("xb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())  # a power cut must not leave the name without the content
        if target.exists():
            shutil.copymode(target, temporary)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def write_whole(path: str | PathLike[str], content: bytes | memoryview) -> None:
    """Write a file that is there completely or not at all; its folder is made."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as stream:
        stream.write(content)


def write_arrays(path: str | PathLike[str], **arrays: Any) -> None:
    """Write an archive of numpy that is there completely or not at all, under this very name."""
    packed = io.BytesIO()  # numpy leaves the archive open that it cannot write
    np.savez_compressed(packed, **arrays)
    with whole_file(path) as stream:
        stream.write(packed.getbuffer())


def remove_unfinished(folder: Path, *names: str) -> None:
    """Remove what was being written in a folder by a process that was killed; of all files, if none is named.

    Nobody else may be writing there.
    """
    for name in names or ("*",):
        for left in folder.glob(f"**/.{name}.????????.tmp"):
            left.unlink(missing_ok=True)


@contextmanager
def only_user_of(folder: Path) -> Iterator[None]:
    """Make a folder and claim it until the block ends; the claim of a process that was killed is void.

    What such a process was writing is removed.

    Raises
    ------
    InputError
        If another process works in it.
    """
    from filelock import FileLock, Timeout  # not everyone who writes a file needs it

    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / ".lock", timeout=0):
            remove_unfinished(folder)
            yield
    except Timeout as error:
        raise InputError(
            f"another run is at work in {folder}; wait for it, or name another folder"
        ) from error
