import io
import json
import logging
import subprocess
import sys

import pytest
import structlog
from pydantic import SecretStr
from warmlane_runtime.logging import bound, configure_logging, unbind_all
from warmlane_runtime.redaction import MASK, Redactor
from warmlane_runtime.settings import LogSettings

SECRET = "s3cr3t/with+signs"


@pytest.fixture
def lines():
    """Configure logging into memory and return what was logged, parsed; put everything back afterwards."""
    stream = io.StringIO()
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    redactor = configure_logging(LogSettings(log_level="debug"), service="gateway", stream=stream)
    redactor.register(SECRET, SecretStr("another-secret"))
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()
    unbind_all()


def test_an_event_is_one_json_object_with_bound_context(lines):
    with bound(task_id="t1", lane="anisora"):
        structlog.get_logger().info("lane.job_claimed", attempt=2)
    (event,) = lines()
    assert event.pop("timestamp").endswith("Z")
    assert event == {
        "event": "lane.job_claimed",
        "level": "info",
        "service": "gateway",
        "task_id": "t1",
        "lane": "anisora",
        "attempt": 2,
    }


@pytest.mark.parametrize(
    "fields",
    [
        {"api_key": "abc"},
        {"password": "abc"},
        {"X-Api-Key": "abc"},
        {"Authorization": "Bearer abcdefgh"},
        {"note": f"the key is {SECRET}, keep it"},
        {"note": "the key is s3cr3t%2Fwith%2Bsigns"},
        {"nested": {"deep": [{"secret_key": "abc"}, SECRET]}},
        {"url": f"nats://user:{SECRET}@host:4222/x"},
        {"url": "postgresql://user:unregistered@host/db"},
        {"header": "Bearer unregistered-token"},
        {"value": SecretStr("another-secret")},
        {"text": "it was another-secret"},
        {"error": ValueError(f"cannot log in with {SECRET}")},
        {SECRET: "as a key", "nested": {SECRET: 1}},
        {"raw": SECRET.encode()},
    ],
)
def test_a_planted_secret_never_comes_out(lines, fields):
    structlog.get_logger().warning("gateway.refused", **fields)
    raw = json.dumps(lines())
    assert MASK in raw
    for secret in (SECRET, "s3cr3t", "abc", "unregistered", "another-secret"):
        assert secret not in raw


def test_a_traceback_is_clean(lines):
    def connect():
        raise RuntimeError(f"dsn postgresql://u:{SECRET}@h/db refused")

    try:
        connect()
    except RuntimeError:
        structlog.get_logger().exception("gateway.failed")
    raw = json.dumps(lines())
    assert "RuntimeError" in raw
    assert SECRET not in raw


def test_lines_of_libraries_have_the_same_form_and_are_clean(lines):
    logging.getLogger("somebody.else").warning("connecting to %s", f"nats://u:{SECRET}@h")
    (event,) = lines()
    assert event["event"] == f"connecting to nats://{MASK}@h"
    assert (event["level"], event["service"]) == ("warning", "gateway")


def test_ordinary_values_are_left_alone(lines):
    structlog.get_logger().info(
        "x.y", tokens=5, token_count=7, author="me", path="a@b", keyframe="1", monkey="x", none=None
    )
    (event,) = lines()
    assert MASK not in json.dumps(event)


def test_a_number_under_a_secret_name_stays(lines):
    structlog.get_logger().info("x.y", secret=3, password=None)
    (event,) = lines()
    assert (event["secret"], event["password"]) == (3, None)


def test_below_the_level_nothing_is_logged():
    program = (
        "import structlog; from warmlane_runtime.logging import configure_logging;"
        "from warmlane_runtime.settings import LogSettings;"
        "configure_logging(LogSettings(log_level='warning', log_format='console'), service='s');"
        "structlog.get_logger().info('quiet'); structlog.get_logger().warning('loud')"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "loud" in ran.stderr
    assert "quiet" not in ran.stderr
    assert ran.stdout == ""


def test_a_very_short_secret_does_not_eat_the_log():
    redactor = Redactor()
    redactor.register("a", "", None)
    assert redactor.text("a banana") == "a banana"


def test_of_two_secrets_the_longer_is_masked_whole():
    redactor = Redactor()
    redactor.register("secret-1", "secret-1-and-more")
    assert redactor.text("x secret-1-and-more y") == f"x {MASK} y"
