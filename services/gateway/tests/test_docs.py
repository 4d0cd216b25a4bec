"""The documents say what the code does."""

from pathlib import Path

from warmlane_contracts.errors import ErrorCode
from warmlane_gateway.api.app import make_app
from warmlane_gateway.api.problems import CONTENT_TYPE, STATUS

ERRORS = (Path(__file__).parents[3] / "docs/api/errors.md").read_text("utf-8")


def test_every_code_is_documented_with_its_status() -> None:
    rows = {line.split("`")[1]: line for line in ERRORS.splitlines() if line.startswith("| `")}
    assert set(rows) == set(ErrorCode)
    assert {code for code, row in rows.items() if f"| {STATUS.get(ErrorCode(code))} |" in row} == set(STATUS)


def test_refusals_are_documented_as_they_are_sent() -> None:
    paths = make_app().openapi()["paths"]
    refusals = [
        operation["responses"][status]["content"]
        for path in paths.values()
        for operation in path.values()
        for status in ("4XX", "5XX")
    ]
    assert refusals
    assert all(content == {CONTENT_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}} for content in refusals)


def test_every_answer_with_a_body_has_a_type() -> None:
    for path, operations in make_app().openapi()["paths"].items():
        for operation in operations.values():
            for status, response in operation["responses"].items():
                assert response.get("content") or status in {"204", "304"}, (path, status)
