"""The documents say what the code does."""

from pathlib import Path

from warmlane_contracts.errors import ErrorCode
from warmlane_gateway.api.problems import STATUS

ERRORS = (Path(__file__).parents[3] / "docs/api/errors.md").read_text("utf-8")


def test_every_code_is_documented_with_its_status() -> None:
    rows = {line.split("`")[1]: line for line in ERRORS.splitlines() if line.startswith("| `")}
    assert set(rows) == set(ErrorCode)
    assert {code for code, row in rows.items() if f"| {STATUS.get(ErrorCode(code))} |" in row} == set(STATUS)
