"""The S3 source against a real server: signing, ranges, checksums, listing, presigned addresses, a bad line."""

import hashlib
import random
import threading
from datetime import timedelta

import pytest
from fault_proxy import FaultProxy
from warmlane_modelstore.credentials import Credential
from warmlane_modelstore.errors import Code, StoreError
from warmlane_modelstore.sources.s3 import S3Source
from warmlane_modelstore.sources.url import UrlSource
from warmlane_modelstore.transfer.backoff import Backoff
from warmlane_modelstore.transfer.download import Downloader, Limits, Wish
from warmlane_modelstore.transfer.http import Http
from warmlane_modelstore.transfer.negative import NegativeCache
from weed import ACCESS_KEY, BUCKET, SECRET_KEY

MIB = 1024 * 1024
KEYS = Credential(access_key=ACCESS_KEY, secret_key=SECRET_KEY)


@pytest.fixture(scope="module")
def data(weed):
    content = random.Random(2).randbytes(9 * MIB + 77)
    weed.put("tiny model/v1/transformer/w.safetensors", content)
    weed.put("tiny model/v1/config.json", b'{"a": 1}')
    return content


@pytest.fixture
def http():
    client = Http(environ_proxies=False)
    yield client
    client.close()


@pytest.fixture
def downloader(tmp_path):
    made = Downloader(
        tmp_path / "parts",
        limits=Limits(streams=4, part_bytes=MIB),
        backoff=Backoff(tries=4, base_s=0.001, cap_s=0.01),
        negative=NegativeCache(tmp_path / "negative.json"),
        boot_id="b",
        stop=threading.Event(),
        mask=str,
    )
    yield made
    made.close()


def source(weed, http, *, endpoint=None, credential=KEYS):
    return S3Source(
        "s3://models/tiny", http, endpoint=endpoint or weed.url, bucket=BUCKET, prefix="tiny model/v1/",
        region="us-east-1", virtual_host=False, credential=credential,
    )  # fmt: skip


def wish(data):
    path = "transformer/w.safetensors"
    return Wish(name=path, remote=path, size=len(data), sha256=hashlib.sha256(data).hexdigest(), part="w")


class Count:
    def add(self, count):
        pass


def test_a_prefix_is_listed_and_files_are_described(weed, http, data):
    found = {file.path: file for file in source(weed, http).files()}
    assert set(found) == {"config.json", "transformer/w.safetensors"}
    assert found["transformer/w.safetensors"].size == len(data)
    assert source(weed, http).stat("config.json").md5 == hashlib.md5(b'{"a": 1}').hexdigest()


def test_a_file_comes_in_signed_ranges(weed, http, data, downloader):
    fetched = downloader.fetch(wish(data), [source(weed, http)], Count())
    assert fetched.part.path.read_bytes() == data


def test_the_line_cut_again_and_again_still_delivers_and_counts(weed, http, data, downloader):
    with FaultProxy(weed.port) as proxy:
        proxy.cut_every = 2 * MIB
        fetched = downloader.fetch(wish(data), [source(weed, http, endpoint=proxy.url)], Count())
        assert fetched.part.path.read_bytes() == data
        assert proxy.connections > 4


def test_wrong_keys_are_an_auth_failure_that_names_no_key(weed, http, data, downloader):
    wrong = source(weed, http, credential=Credential(access_key=ACCESS_KEY, secret_key="wrong-secret"))
    with pytest.raises(StoreError) as caught:
        downloader.fetch(wish(data), [wrong], Count())
    assert caught.value.code is Code.AUTH_FAIL
    assert "wrong-secret" not in str(caught.value)
    assert ACCESS_KEY not in str(caught.value)


def test_a_missing_object_and_an_empty_prefix_are_not_found(weed, http):
    with pytest.raises(StoreError) as caught:
        source(weed, http).stat("nothing")
    assert caught.value.code is Code.NOT_FOUND
    empty = S3Source(
        "s3://x", http, endpoint=weed.url, bucket=BUCKET, prefix="nowhere", region="us-east-1",
        virtual_host=False, credential=KEYS,
    )  # fmt: skip
    with pytest.raises(StoreError):
        empty.files()


def test_presigned_addresses_need_no_keys(weed, http, data, downloader):
    import obstore

    key = "tiny model/v1/transformer/w.safetensors"
    url = obstore.sign(weed.store(), "GET", key, timedelta(minutes=5))
    presigned = UrlSource("url:mirror", http, base=None, credential=Credential(urls={"transformer/w.safetensors": url}))
    assert downloader.fetch(wish(data), [presigned], Count()).part.path.read_bytes() == data


def test_a_sha256_kept_with_the_object_is_used(weed, http):
    import obstore

    obstore.put(
        weed.store(), "tiny model/v1/sum.json", b"abc", attributes={"sha256": hashlib.sha256(b"abc").hexdigest()}
    )
    assert source(weed, http).stat("sum.json").sha256 == hashlib.sha256(b"abc").hexdigest()
