"""Tables of files and of callers, checked by pydantic; what is wrong is one line that names the key."""

from __future__ import annotations

import functools
import tomllib
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args, get_type_hints

from pydantic import ConfigDict, Strict, TypeAdapter, ValidationError

from vetime_plugins.errors import InputError, MissingDependencyError

__all__ = [
    "STRICT",
    "Flag",
    "Number",
    "Text",
    "UnknownKeyError",
    "Whole",
    "checked",
    "read_table",
    "validate",
]

T = TypeVar("T")

# Files hold types of their own: "3" is no number, and true is none either.
Text = Annotated[str, Strict()]
Number = Annotated[float, Strict()]
Whole = Annotated[int, Strict()]

Flag = Annotated[bool, Strict()]

# For dataclasses. Pydantic's own `strict` would refuse a table where another dataclass is meant.
STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)

_KINDS = {
    "string_type": "a string",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "too_short": "a list of one entry or more",
    "dict_type": "a table",
    "dataclass_type": "a table",
    "model_type": "a table",
}
_UNKNOWN = {"unexpected_keyword_argument", "extra_forbidden"}
_BOUNDS = {
    "greater_than": ("above", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("below", "lt"),
    "less_than_equal": ("at most", "le"),
}


class UnknownKeyError(InputError):
    """A table has a key that this version does not know."""


def checked(kind: type[T]) -> type[T]:
    """Let the constructor of a dataclass of pydantic raise `InputError`, one line that names the field."""
    construct = kind.__init__

    @functools.wraps(construct)
    def __init__(self: Any, *args: Any, **values: Any) -> None:
        try:
            construct(self, *args, **values)
        except ValidationError as error:
            raise _as_input_error(error, kind, "", f"{kind.__name__}.") from error

    kind.__init__ = __init__  # type: ignore[method-assign]
    return kind


def read_table(path: Path) -> Any:
    """Return what a TOML or YAML file holds.

    Raises
    ------
    InputError
        If it cannot be read or is something else.
    MissingDependencyError
        For YAML without PyYAML.
    """
    if path.suffix not in {".toml", ".yaml", ".yml"}:
        raise InputError(f"a task must be a .toml, .yaml or .yml file, got {path}")
    try:
        text = path.read_text(encoding="utf-8")
        return tomllib.loads(text) if path.suffix == ".toml" else _parse_yaml(path, text)
    except OSError as error:
        raise InputError(f"cannot read the task {path}: {error.strerror or error}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"{path} is not {path.suffix[1:].upper()}: {error}") from error


def validate(kind: type[T], table: Any, origin: str, *, within: str = "") -> T:
    """Return what a table describes.

    Parameters
    ----------
    kind : type
        A dataclass of pydantic, or whatever else `pydantic.TypeAdapter` takes.
    table : mapping
    origin : str
        What to call the table in errors, such as its file.
    within : str
        Where in `origin` the table is, with a dot behind.

    Raises
    ------
    InputError
        One line that names the first key that is unknown (`UnknownKeyError`), missing or not what it must be.
    """
    try:
        return TypeAdapter(kind).validate_python(table)
    except ValidationError as error:
        raise _as_input_error(error, kind, origin, within) from error


def _parse_yaml(path: Path, text: str) -> Any:
    try:
        import yaml
    except ImportError as error:
        raise MissingDependencyError(
            f"{path} needs PyYAML; run: pip install pyyaml, or write TOML"
        ) from error
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InputError(f"{path} is not YAML: {' '.join(str(error).split())}") from error


def _as_input_error(error: ValidationError, kind: Any, origin: str, within: str) -> InputError:
    found = error.errors(include_url=False)
    first = next((one for one in found if one["type"] in _UNKNOWN), found[0])
    raised = UnknownKeyError if first["type"] in _UNKNOWN else InputError
    return raised(f"{origin}: {_explain(first, kind, within)}".removeprefix(": "))


def _explain(found: Any, kind: Any, within: str) -> str:
    path = list(found["loc"])
    if path and isinstance(path[0], int) and is_dataclass(kind) and path[0] < len(fields(kind)):
        path[0] = fields(kind)[path[0]].name  # given by position
    place = within + ".".join(str(part) for part in path)
    if found["type"] in _UNKNOWN:
        known = ", ".join(_keys(kind, found["loc"][:-1]))
        return f"unknown key {place}; known are {known}"
    if found["type"] == "missing":
        return f"{place} is missing"
    if found["type"] == "value_error":
        return str(found["ctx"]["error"])
    if found["type"] == "literal_error":
        choices = found["ctx"]["expected"].replace("'", "").replace(" or ", ", ")
        return f"{place} must be one of {choices}; got {found['input']!r}"
    if found["type"] in _KINDS:
        return f"{place or 'it'} must be {_KINDS[found['type']]}, got {found['input']!r}"
    if found["type"] in _BOUNDS:
        words, key = _BOUNDS[found["type"]]
        bound = str(found["ctx"][key]).removesuffix(".0")
        return f"{place} must be {words} {bound}, got {found['input']!r}"
    return f"{place}: {found['msg']}, got {found['input']!r}"


def _keys(kind: Any, path: tuple[Any, ...]) -> list[str]:
    """Return the keys of a kind of table, or of one within it."""
    for part in path:
        hint = get_type_hints(kind)[part]
        kind = next((one for one in (hint, *get_args(hint)) if is_dataclass(one)), hint)
    return [one.name for one in fields(kind)] if is_dataclass(kind) else list(get_type_hints(kind))
