"""An S3 server that refuses or is away is `StoreUnavailable`, without a secret. What it does when it is well is in the
test kit's conformance suite.
"""

import socket

import pytest
from pydantic import SecretStr
from warmlane_storage.objects import ObjectSettings, S3Objects, StoreUnavailable

SECRET = "planted-secret-0123456789"


def store(endpoint, **changes):
    fields = {"s3_endpoint": endpoint, "s3_access_key": "somebody", "s3_secret_key": SecretStr(SECRET)}
    return S3Objects.from_settings(ObjectSettings(**(fields | changes)))


async def every_call(objects, path):
    """Yield each call's name and what it raised."""
    calls = {
        "put": objects.put("a", b"1", content_type="text/plain"),
        "get": objects.get("a"),
        "head": objects.head("a"),
        "delete": objects.delete("a"),
        "list": objects.list("a/"),
        "download": objects.download("a", path / "a"),
    }
    for name, call in calls.items():
        with pytest.raises(StoreUnavailable) as raised:
            await call
        yield name, str(raised.value)


async def test_a_wrong_secret_is_refused_in_every_call_and_never_shown(s3_server, tmp_path):
    async for name, words in every_call(store(s3_server.endpoint, s3_access_key=s3_server.access_key), tmp_path):
        assert SECRET not in words, name
        assert words.startswith("object storage failed for a"), name
    assert list(tmp_path.iterdir()) == [], "a download that failed leaves no file"


async def test_nobody_listens():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        objects = store(f"http://127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(StoreUnavailable):
            await objects.get("a")


def test_the_settings_do_not_show_the_secret():
    assert SECRET not in repr(ObjectSettings(s3_secret_key=SecretStr(SECRET)))
