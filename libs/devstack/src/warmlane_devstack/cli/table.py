"""Answers of the gateway as tables for people, or as they are for machines."""

import json
import re
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[.\d]*Z")
COLOURS = {
    "done": "green",
    "ready": "green",
    "failed": "red",
    "unavailable": "red",
    "processing": "cyan",
    "cold": "yellow",
    "cancelled": "dim",
}


def print_table(answer: Any, rows: list[dict[str, Any]], columns: Sequence[str], *, as_json: bool) -> None:  # noqa: ANN401
    """One line per row; columns that no row fills are left out. `answer` is what machines get."""
    if as_json:
        print(json.dumps(answer))
        return
    if not rows:
        print("none")
        return
    filled = [column for column in columns if any(row.get(column) not in (None, "") for row in rows)]
    table = Table(box=None, pad_edge=False)
    for column in filled:
        table.add_column(column.replace("_", " "), overflow="fold", no_wrap=column.endswith(("id", "_at")))
    for row in rows:
        table.add_row(*(cell(row.get(column)) for column in filled))
    Console().print(table)


def print_fields(fields: dict[str, Any], *, as_json: bool) -> None:
    """One line per field that has a value."""
    if as_json:
        print(json.dumps(fields))
        return
    table = Table(box=None, show_header=False, pad_edge=False)
    for key, value in fields.items():
        if value is not None:
            table.add_row(Text(key.replace("_", " "), style="dim"), cell(value))
    Console().print(table)


def cell(value: object) -> Text:
    if isinstance(value, dict):
        value = value.get("code") or json.dumps(value)
    if isinstance(value, float):
        value = f"{value:.1f}"
    if isinstance(value, str) and TIMESTAMP.fullmatch(value):
        value = value[:19].replace("T", " ")
    text = {True: "yes", False: "no", None: ""}[value] if isinstance(value, bool) or value is None else str(value)
    return Text(text, style=COLOURS.get(text, ""))
