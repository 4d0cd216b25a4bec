"""Reading typed values out of a TOML table while collecting every problem, instead of stopping at the first.

A person correcting a manifest wants the whole list. Each getter returns a usable value even when it reports a problem,
so that reading goes on; nobody uses the result when there were problems.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import TypeVar

from warmlane_modelstore.errors import Problem

_E = TypeVar("_E", bound=StrEnum)


class Table:
    """One table of the manifest. `close()` reports the keys nobody asked for: misspellings must not pass silently."""

    def __init__(self, raw: Mapping[str, object], where: str, problems: list[Problem]) -> None:
        self._raw = raw
        self._asked: set[str] = set()
        self.where = where
        self.problems = problems

    def problem(self, key: str, message: str) -> None:
        self.problems.append(Problem(f"{self.where}.{key}" if key else self.where, message))

    def _take(self, key: str, kind: type, expected: str, *, required: bool) -> object:
        self._asked.add(key)
        value = self._raw.get(key)
        if value is None:
            if required:
                self.problem(key, f"is missing; expected {expected}")
            return None
        # TOML's true is an int to Python.
        if not isinstance(value, kind) or (kind is not bool and isinstance(value, bool)):
            self.problem(key, f"is {value!r}; expected {expected}")
            return None
        return value

    def text(self, key: str, default: str = "", *, required: bool = False) -> str:
        value = self._take(key, str, "text", required=required)
        if required and value == "":
            self.problem(key, "is empty")
        return value if isinstance(value, str) else default

    def maybe_text(self, key: str) -> str | None:
        value = self._take(key, str, "text", required=False)
        return value if isinstance(value, str) else None

    def integer(self, key: str, *, minimum: int = 0, required: bool = False) -> int | None:
        value = self._take(key, int, "a whole number", required=required)
        if isinstance(value, int) and value < minimum:
            self.problem(key, f"is {value}; expected at least {minimum}")
        return value if isinstance(value, int) else None

    def number(self, key: str) -> float | None:
        self._asked.add(key)
        value = self._raw.get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            self.problem(key, f"is {value!r}; expected a number")
            return None
        return float(value)

    def flag(self, key: str) -> bool:
        return bool(self._take(key, bool, "true or false", required=False))

    def choice(self, key: str, options: type[_E], default: _E, *, required: bool = False) -> _E:
        text = self._take(key, str, f"one of {', '.join(options)}", required=required)
        if text is None:
            return default
        try:
            return options(str(text))
        except ValueError:
            self.problem(key, f"is {text!r}; expected one of {', '.join(options)}")
            return default

    def texts(self, key: str) -> tuple[str, ...]:
        value = self._take(key, list, "a list of texts", required=False)
        if not isinstance(value, list):
            return ()
        if not all(isinstance(item, str) for item in value):
            self.problem(key, "expected a list of texts")
        return tuple(str(item) for item in value)

    def table(self, key: str) -> "Table":
        value = self._take(key, dict, "a table", required=False)
        return Table(value if isinstance(value, dict) else {}, f"{self.where}.{key}", self.problems)

    def tables(self, key: str) -> list["Table"]:
        value = self._take(key, list, f"tables [[{key}]]", required=False)
        found: list[Table] = []
        for index, item in enumerate(value if isinstance(value, list) else ()):
            where = f"{self.where}.{key}[{index}]"
            if isinstance(item, dict):
                found.append(Table(item, where, self.problems))
            else:
                self.problems.append(Problem(where, f"is {item!r}; expected a table"))
        return found

    def mapping(self, key: str) -> dict[str, object]:
        value = self._take(key, dict, "a table", required=False)
        return dict(value) if isinstance(value, dict) else {}

    def close(self, known: Iterable[str] = ()) -> None:
        for key in self._raw.keys() - self._asked - set(known):
            self.problem(key, f"is not known here; known are {', '.join(sorted(self._asked))}")
