"""List the licence of every package that an extra brings, and fail where one is neither permissive nor named.

    python tests/check_licences.py

What is installed here is looked at, as its own metadata tell; what an extra needs and is not installed is
listed as such. What is copyleft by the file (MPL) may be used, as none of it is shipped, but is named below.
"""

from __future__ import annotations

import re
import sys
from importlib import metadata

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PERMISSIVE = re.compile(
    r"apache|\bmit\b|bsd|isc|python software foundation|psf|zlib|unlicense|0bsd|cc0|hpnd|expat",
    re.IGNORECASE,
)
COPYLEFT = re.compile(
    r"gpl|general public|mpl|mozilla|proprietary|sspl|commons clause|non-?commercial", re.IGNORECASE
)
_BY_THE_FILE = "MPL: copyleft of its own files, used unchanged"
NAMED = dict.fromkeys(("certifi", "hypothesis", "pathspec", "tqdm"), _BY_THE_FILE)
"""Packages that are neither, and why they may be used."""
EXTRAS = tuple(metadata.metadata("vetime-plugins").get_all("Provides-Extra") or ())


def licence(found: metadata.Distribution) -> str:
    """Return the licence of a distribution as it tells it: an expression, classifiers, or a line of text."""
    facts = found.metadata
    classified = [
        one.split(" :: ")[-1] for one in facts.get_all("Classifier") or () if one[:9] == "License :"
    ]
    text = (facts.get("License") or "").strip()
    return facts.get("License-Expression") or ", ".join(classified) or text.split("\n")[0][:80]


def needed(extra: str) -> dict[str, metadata.Distribution | None]:
    """Return what an extra brings, and what that needs; None for what is not installed here."""
    found: dict[str, metadata.Distribution | None] = {}
    waiting = [("vetime-plugins", extra)]
    seen = set(waiting)
    while waiting:
        name, of = waiting.pop()
        try:
            distribution = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            found[name] = None
            continue
        found[name] = distribution
        for line in distribution.requires or ():
            one = Requirement(line)
            if one.marker is None or one.marker.evaluate({"extra": of}):
                for part in (one.extras or set()) | {""}:
                    key = (canonicalize_name(one.name), part)
                    if key not in seen:
                        seen.add(key)
                        waiting.append(key)
    return found


def main() -> int:
    """Print a line for each package, and return how many are neither permissive nor named."""
    users: dict[str, set[str]] = {}
    every: dict[str, metadata.Distribution | None] = {}
    for extra in ("", *EXTRAS):
        for name, found in needed(extra).items():
            users.setdefault(name, set()).add(extra or "core")
            every[name] = found
    doubtful = 0
    for name in sorted(every):
        found = every[name]
        if found is None:
            print(f"{name:<28} not installed here  ({', '.join(sorted(users[name]))})")
            continue
        told = licence(found)
        fine = bool(PERMISSIVE.search(told)) and not COPYLEFT.search(told)
        note = NAMED.get(name, "") if not fine else ""
        doubtful += not (fine or note)
        mark = "  " if fine else "o " if note else "? "
        of = "core" if "core" in users[name] else ", ".join(sorted(users[name]))
        print(f"{mark}{name:<28} {found.version:<14} {told or 'says none'}  ({of}) {note}".rstrip())
    if doubtful:
        print(f"{doubtful} packages have a licence that is neither permissive nor named", file=sys.stderr)
    return doubtful


if __name__ == "__main__":
    sys.exit(min(main(), 1))
