"""Which paths a manifest may name, judged by path logic alone, the same on every system.

A manifest written on Linux must not surprise Windows or macOS: a path is refused if any of them would refuse it,
reach outside the model's directory with it, or fold it onto another path. Nothing here touches a disk.
"""

import unicodedata
from collections.abc import Iterable

# A name Windows gives to a device, with or without an extension: `aux.json` cannot be created there.
RESERVED = frozenset(
    {"con", "prn", "aux", "nul", "conin$", "conout$"}
    | {f"com{n}" for n in "123456789¹²³"}
    | {f"lpt{n}" for n in "123456789¹²³"}
)
FORBIDDEN_CHARACTERS = frozenset('<>:"|?*\\')
# NAME_MAX of every file system we meet, in bytes; and Windows' MAX_PATH without the long-path setting.
MAX_NAME_BYTES = 255
MAX_PATH_CHARACTERS = 260
# Left of 260 for MODELS_ROOT, the id's directories and a staging suffix.
MAX_RELATIVE_CHARACTERS = 180


def path_problem(path: str) -> str | None:
    """What is wrong with a relative POSIX path as a file's place inside a model, or None when nothing is."""
    if not path:
        return "is empty"
    if len(path) > MAX_RELATIVE_CHARACTERS:
        return f"has {len(path)} characters; {MAX_RELATIVE_CHARACTERS} leave room for MODELS_ROOT within Windows' 260"
    if path.startswith("/"):
        return "is absolute; paths are relative to the model"
    if unicodedata.normalize("NFC", path) != path:
        return "is not in Unicode NFC form; macOS would store it under another name"
    for part in path.split("/"):
        problem = _part_problem(part)
        if problem:
            return problem
    return None


def _part_problem(part: str) -> str | None:
    if part in {"", "."}:
        return "has an empty or '.' part"
    if part == "..":
        return "climbs out of the model with '..'"
    bad = sorted({c for c in part if c in FORBIDDEN_CHARACTERS or ord(c) < ord(" ") or c == "\x7f"})
    if bad:
        return f"has {', '.join(map(repr, bad))}, which Windows refuses in a name"
    if part.endswith((" ", ".")):
        return f"has the part {part!r}: Windows drops a trailing space or dot"
    if part.split(".", 1)[0].rstrip(" ").casefold() in RESERVED:
        return f"has the part {part!r}: a device name on Windows"
    if len(part.encode()) > MAX_NAME_BYTES:
        return f"has a part longer than {MAX_NAME_BYTES} bytes"
    if part.startswith(".verified") or part in {".tmp", ".locks", ".state", ".blobs"}:
        return f"has the part {part!r}, which the store keeps for itself"
    return None


def collisions(paths: Iterable[str]) -> list[str]:
    """Problems between paths of one model: the same twice, the same but for case, or a file where another needs a directory."""
    problems: list[str] = []
    seen: dict[str, str] = {}
    for path in paths:
        folded = unicodedata.normalize("NFC", path.casefold())
        if folded in seen:
            other = seen[folded]
            kind = "is listed twice" if other == path else f"differs from {other!r} only by case"
            problems.append(f"{path!r} {kind}")
        else:
            seen[folded] = path
    for folded, path in seen.items():
        parts = folded.split("/")
        for depth in range(1, len(parts)):
            above = "/".join(parts[:depth])
            if above in seen:
                problems.append(f"{path!r} needs a directory where {seen[above]!r} is a file")
    return problems


def length_problem(absolute: str, *, windows: bool, long_paths: bool) -> str | None:
    """Why a finished absolute path cannot be used on Windows, with the remedy; None when it can."""
    if not windows or long_paths or len(absolute) < MAX_PATH_CHARACTERS:
        return None
    return (
        f"{absolute!r} has {len(absolute)} characters; Windows allows {MAX_PATH_CHARACTERS - 1} unless long paths are "
        "enabled (LongPathsEnabled=1 under HKLM\\SYSTEM\\CurrentControlSet\\Control\\FileSystem), "
        "or choose a shorter MODELS_ROOT"
    )
