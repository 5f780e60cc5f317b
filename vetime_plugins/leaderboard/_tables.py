"""Reading tables from TOML or YAML so that a typing error is found."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from vetime_plugins.errors import InputError, MissingDependencyError

__all__ = ["Table", "parse_bytes", "parse_file"]

_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


class Table:
    """A table of a file, from which keys are taken until none is left.

    Parameters
    ----------
    values : mapping
    origin : str
        What to call the file in errors.
    name : str
        Where the table is in it, with a dot behind; empty for the file itself.
    """

    def __init__(self, values: Any, origin: str, name: str) -> None:
        self.origin, self.name = origin, name
        if not isinstance(values, Mapping):
            raise InputError(f"{self._place('')} must be a table, got {type(values).__name__}")
        self._left = dict(values)
        self._known: list[str] = []

    def take(self, key: str, kind: type | tuple[type, ...], *default: Any) -> Any:
        """Return the value of a key; InputError if it is missing without a default, or of another type."""
        self._known.append(key)
        if key not in self._left:
            if default:
                return default[0]
            raise InputError(f"{self._place(key)} is missing")
        value = self._left.pop(key)
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            kinds = kind if isinstance(kind, tuple) else (kind,)
            wanted = " or ".join(_KINDS[one] for one in kinds)
            raise InputError(f"{self._place(key)} must be {wanted}, got {value!r}")
        return value

    def table(self, key: str, *default: Any) -> Table:
        """Return the table of a key."""
        return Table(self.take(key, dict, *default), self.origin, f"{self.name}{key}.")

    def strings(self, key: str) -> tuple[str, ...] | None:
        """Return the list of strings of a key, or None; InputError if it is empty."""
        values = self.take(key, (list, tuple), None)
        if values is None:
            return None
        if not values or not all(isinstance(value, str) for value in values):
            raise InputError(f"{self._place(key)} must be a list of strings, got {values!r}")
        return tuple(values)

    def choice(self, key: str, choices: Iterable[str], *default: str) -> str:
        """Return the value of a key that has to be one of some."""
        value: str = self.take(key, str, *default)
        if value not in choices:
            raise InputError(f"{self._place(key)} must be one of {', '.join(choices)}; got {value!r}")
        return value

    def finish(self) -> None:
        """Raise InputError if there are keys that were not asked for."""
        if self._left:
            unknown = ", ".join(f"{self.name}{key}" for key in self._left)
            raise InputError(f"{self.origin}: unknown key {unknown}; known are {', '.join(self._known)}")

    def _place(self, key: str) -> str:
        return f"{self.origin}: {self.name}{key}".rstrip(".: ")


_KINDS: dict[type, str] = {
    str: "a string",
    int: "a whole number",
    float: "a number",
    dict: "a table",
    list: "a list",
    tuple: "a list",
}


def parse_bytes(text: str | int) -> int:
    """Return a number of bytes.

    Parameters
    ----------
    text : str or int
        A number, with K, M, G or T (powers of 1024) behind it, and B or iB behind that, or without.

    Raises
    ------
    InputError
        If it is something else, or not above 0.

    Examples
    --------
    >>> parse_bytes("4G"), parse_bytes("1.5 MiB"), parse_bytes(1000)
    (4294967296, 1572864, 1000)
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d*)?)\s*([KMGT]?)(?:i?B)?\s*", str(text), re.IGNORECASE)
    size = int(float(match[1]) * _UNITS[match[2].upper()]) if match else 0
    if size < 1:
        raise InputError(f"memory must be given like 4G or 512M, got {text!r}")
    return size


def parse_file(path: Path) -> Any:
    """Return what a TOML or YAML file holds.

    Raises
    ------
    InputError
        If it cannot be read or is something else.
    MissingDependencyError
        For YAML without PyYAML.
    """
    try:
        if path.suffix == ".toml":
            return tomllib.loads(path.read_text(encoding="utf-8"))
        if path.suffix in {".yaml", ".yml"}:
            return _parse_yaml(path)
    except OSError as error:
        raise InputError(f"cannot read the task {path}: {error.strerror or error}") from error
    except ValueError as error:  # of the TOML, or of its encoding
        raise InputError(f"{path} is not TOML: {error}") from error
    raise InputError(f"a task must be a .toml, .yaml or .yml file, got {path}")


def _parse_yaml(path: Path) -> Any:
    try:
        import yaml
    except ImportError as error:
        raise MissingDependencyError(
            f"{path} needs PyYAML; run: pip install pyyaml, or write TOML"
        ) from error
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise InputError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
