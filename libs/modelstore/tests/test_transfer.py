"""Bringing files in: ranges, resume, corruption, patience, and that no secret leaves."""

import hashlib
import random
import threading
from datetime import UTC, datetime

import pytest
from fake_hub import COMMIT
from warmlane_modelstore.credentials import Credential, Vault
from warmlane_modelstore.errors import Code, StoreError
from warmlane_modelstore.masking import Masker
from warmlane_modelstore.sources.base import RemoteFile
from warmlane_modelstore.sources.hub import HubSource
from warmlane_modelstore.sources.local import LocalSource
from warmlane_modelstore.transfer.backoff import Backoff, Cancelled
from warmlane_modelstore.transfer.bandwidth import Bandwidth
from warmlane_modelstore.transfer.download import Downloader, Limits, Wish
from warmlane_modelstore.transfer.http import Http
from warmlane_modelstore.transfer.negative import NegativeCache
from warmlane_modelstore.transfer.part import PartFile
from warmlane_modelstore.transfer.sigv4 import sign

MIB = 1024 * 1024


class Counter:
    def __init__(self):
        self.total = 0

    def add(self, count):
        self.total += count


@pytest.fixture
def http():
    client = Http(environ_proxies=False)
    yield client
    client.close()


@pytest.fixture
def big(hub):
    data = random.Random(1).randbytes(5 * MIB + 123)
    where = hub.root / "org" / "repo" / "w.safetensors"
    where.parent.mkdir(parents=True)
    where.write_bytes(data)
    (where.parent / "config.json").write_text("{}")
    return data


def make_downloader(tmp_path, *, stop=None, tries=3, part_bytes=MIB, boot="boot-1", negative=None, streams=3):
    return Downloader(
        tmp_path / "parts",
        limits=Limits(streams=streams, part_bytes=part_bytes),
        backoff=Backoff(tries=tries, base_s=0.001, cap_s=0.002),
        negative=negative or NegativeCache(tmp_path / "negative.json"),
        boot_id=boot,
        stop=stop or threading.Event(),
        mask=str,
    )


@pytest.fixture
def downloader(tmp_path):
    made = make_downloader(tmp_path)
    yield made
    made.close()


def hub_source(hub, http, **extra):
    return HubSource("hub:org/repo", http, endpoint=hub.url, repo="org/repo", revision=COMMIT, **extra)


def wish(data, **extra):
    fields = {"size": len(data), "sha256": hashlib.sha256(data).hexdigest(), "part": "p"} | extra
    return Wish(name="w.safetensors", remote="w.safetensors", **fields)


def test_a_file_comes_whole_in_ranges_and_is_hashed(hub, http, big, downloader):
    seen = Counter()
    fetched = downloader.fetch(wish(big), [hub_source(hub, http)], seen)
    assert fetched.part.path.read_bytes() == big
    assert fetched.how == "sha256"
    assert seen.total == len(big)
    assert len(hub.gets("w.safetensors")) == 6
    assert hub.bytes_served == len(big)


def test_without_a_manifest_hash_the_sources_own_is_checked(hub, http, big, downloader):
    fetched = downloader.fetch(wish(big, size=None, sha256=None), [hub_source(hub, http)], Counter())
    assert fetched.how == "source-sha256"
    config = Wish(name="config.json", remote="config.json", size=None, sha256=None, part="c")
    assert downloader.fetch(config, [hub_source(hub, http)], Counter()).how == "git-oid"


def test_a_corrupt_copy_is_fetched_once_more_and_then_the_next_source_is_asked(hub, http, big, downloader, tmp_path):
    hub.faults.corrupt = "w.safetensors"
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    (shelf / "w.safetensors").write_bytes(big)
    fetched = downloader.fetch(wish(big), [hub_source(hub, http), LocalSource("local:shelf", shelf)], Counter())
    assert fetched.source == "local:shelf"
    assert len([r for r in hub.gets() if r.startswith("bytes=0-")]) == 2


def test_a_single_corruption_on_the_way_costs_one_more_fetch_only(hub, http, big, downloader):
    hub.faults.corrupt, hub.faults.corrupt_times = "w.safetensors", 1
    assert downloader.fetch(wish(big), [hub_source(hub, http)], Counter()).part.path.read_bytes() == big


def test_when_every_source_is_corrupt_the_error_names_file_and_sources_and_nothing_is_left(
    hub, http, big, downloader, tmp_path
):
    hub.faults.corrupt = "w.safetensors"
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    (shelf / "w.safetensors").write_bytes(big[:-1] + bytes([big[-1] ^ 1]))
    with pytest.raises(StoreError) as caught:
        downloader.fetch(wish(big), [hub_source(hub, http), LocalSource("local:shelf", shelf)], Counter())
    assert caught.value.code is Code.CHECKSUM_FAIL
    assert "w.safetensors" in str(caught.value)
    assert {a.source for a in caught.value.attempts} == {"hub:org/repo", "local:shelf"}
    assert not list((tmp_path / "parts").glob("*"))


def test_a_line_cut_every_megabyte_still_delivers_and_little_comes_twice(hub, http, big, downloader):
    hub.faults.cut_after = 700_000
    fetched = downloader.fetch(wish(big), [hub_source(hub, http)], Counter())
    assert fetched.part.path.read_bytes() == big
    assert hub.bytes_served <= len(big) + 12 * 256 * 1024


def test_what_came_before_a_stop_is_not_fetched_again(hub, http, big, tmp_path):
    stop = threading.Event()
    hub.on_bytes = lambda total: stop.set() if total > 3 * MIB else None
    first = make_downloader(tmp_path, stop=stop, streams=1)
    with pytest.raises(Cancelled):
        first.fetch(wish(big), [hub_source(hub, http)], Counter())
    first.close()
    hub.on_bytes = lambda _: None
    kept = sum(int(line.split()[1]) for line in (tmp_path / "parts" / "p.journal").read_text().splitlines()[1:])
    assert kept >= 2 * MIB
    hub.reset()
    second = make_downloader(tmp_path)
    seen = Counter()
    assert second.fetch(wish(big), [hub_source(hub, http)], seen).part.path.read_bytes() == big
    second.close()
    assert hub.bytes_served == len(big) - kept
    assert seen.total == len(big)


def test_another_source_goes_on_where_the_first_one_stopped(hub, http, big, tmp_path, downloader):
    hub.faults.answers = [(500, {})] * 100
    part = PartFile(
        tmp_path / "parts", "p", size=len(big), identity=f"sha256:{hashlib.sha256(big).hexdigest()}", boot_id="boot-1"
    )
    writer = part.writer(0, lambda _: None)
    writer(memoryview(big[: 2 * MIB]))
    writer.checkpoint()
    part.close()
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    (shelf / "w.safetensors").write_bytes(b"\0" * 2 * MIB + big[2 * MIB :])
    fetched = downloader.fetch(wish(big), [hub_source(hub, http), LocalSource("local:shelf", shelf)], Counter())
    assert fetched.part.path.read_bytes() == big


def test_after_a_reboot_the_journal_is_checked_against_the_bytes(big, tmp_path):
    identity = "sha256:x"
    part = PartFile(tmp_path, "p", size=len(big), identity=identity, boot_id="one")
    for start in range(0, 3 * MIB, MIB):
        writer = part.writer(start, lambda _: None)
        writer(memoryview(big[start : start + MIB]))
        writer.checkpoint()
    part.close()
    with part.path.open("r+b") as file:
        file.seek(MIB + 5)
        file.write(b"lost in the page cache")
    again = PartFile(tmp_path, "p", size=len(big), identity=identity, boot_id="two")
    assert again.missing(16 * MIB)[0] == (MIB, 2 * MIB)
    again.close()


def test_a_torn_journal_line_is_ignored_and_other_content_starts_anew(big, tmp_path):
    part = PartFile(tmp_path, "p", size=100, identity="a", boot_id="b")
    part.writer(0, lambda _: None)(memoryview(b"x"))
    part.record(0, 50, 0)
    part.close()
    with (tmp_path / "p.journal").open("a") as journal:
        journal.write("50 10 dead")
    again = PartFile(tmp_path, "p", size=100, identity="a", boot_id="b")
    assert again.bytes_present == 50
    again.close()
    other = PartFile(tmp_path, "p", size=100, identity="z", boot_id="b")
    assert other.bytes_present == 0
    other.close()


def test_rate_limits_are_obeyed_and_told(hub, http, big, tmp_path):
    waits = []

    class Watch(threading.Event):
        def wait(self, timeout=None):
            waits.append(timeout)
            return False

    hub.faults.answers = [(429, {"retry-after": "7"})]
    patient = make_downloader(tmp_path, stop=Watch(), part_bytes=64 * MIB)
    patient.fetch(wish(big), [hub_source(hub, http)], Counter()).part.close()
    patient.close()
    assert waits[0] >= 7

    hub.faults.answers = [(429, {"retry-after": "9999"})]
    other = make_downloader(tmp_path, stop=Watch(), part_bytes=64 * MIB)
    with pytest.raises(StoreError) as caught:
        other.fetch(wish(big, part="q"), [hub_source(hub, http)], Counter())
    other.close()
    assert caught.value.code is Code.RATE_LIMIT


def test_a_failed_source_is_left_alone_for_a_while_and_asked_again_later(hub, http, tmp_path):
    now = [1000.0]
    negative = NegativeCache(tmp_path / "negative.json", clock=lambda: now[0])
    source = hub_source(hub, http)
    missing = Wish(name="no.safetensors", remote="no.safetensors", size=5, sha256="0" * 64, part="n")
    for expected_requests in (1, 0):
        hub.reset()
        downloader = make_downloader(tmp_path, negative=negative)
        with pytest.raises(StoreError) as caught:
            downloader.fetch(missing, [source], Counter())
        downloader.close()
        assert caught.value.code is Code.NOT_FOUND
        assert len(hub.requests) == expected_requests
    assert "not asked" in str(caught.value)
    now[0] += 3600
    assert negative.blocked(source.label, "no.safetensors") is None


def test_a_missing_token_is_an_auth_failure_and_a_token_stays_on_its_host(hub, http, big, tmp_path):
    hub.faults.token = "hf_secret_token"
    anonymous = make_downloader(tmp_path)
    with pytest.raises(StoreError) as caught:
        anonymous.fetch(wish(big), [hub_source(hub, http)], Counter())
    anonymous.close()
    assert caught.value.code is Code.AUTH_FAIL
    hub.faults.redirect = True
    hub.reset()
    signed = make_downloader(tmp_path, negative=NegativeCache(tmp_path / "other.json"))
    source = hub_source(hub, http, credential=Credential(token="hf_secret_token"))
    assert signed.fetch(wish(big), [source], Counter()).part.path.read_bytes() == big
    signed.close()
    cdn = [auth for _, path, _, auth in hub.requests if path.startswith("/cdn/")]
    assert cdn
    assert set(cdn) == {None}


def test_listing_honours_patterns_subfolder_and_never_lists_pickles(hub, http):
    base = hub.root / "org" / "repo"
    for name in ("V3/high/a.safetensors", "V3/high/config.json", "V3/t5.pth", "V3/.hidden", "V2/a.safetensors"):
        path = base / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    source = hub_source(hub, http, subfolder="V3", allow=["high/*", "*.pth"], ignore=["*/config.json"])
    assert [f.path for f in source.files()] == ["high/a.safetensors"]


def test_a_size_that_is_not_the_manifests_is_refused(hub, http, big, downloader):
    with pytest.raises(StoreError) as caught:
        downloader.fetch(wish(big, size=len(big) - 1), [hub_source(hub, http)], Counter())
    assert caught.value.code is Code.CHECKSUM_FAIL


def test_bandwidth_is_shared_and_kept():
    now, slept = [0.0], []

    def wait(seconds):
        slept.append(seconds)
        now[0] += seconds

    limit = Bandwidth(1000, clock=lambda: now[0], wait=wait)
    for _ in range(20):
        limit.spend(500)
    assert now[0] == pytest.approx(10.0, abs=1.0)


def test_sigv4_gives_the_published_signature():
    """The GET object example of AWS' documentation, with our empty-body hash."""
    headers = sign(
        "GET",
        "https://examplebucket.s3.amazonaws.com/test.txt",
        {"range": "bytes=0-9"},
        credential=Credential(access_key="AKIAIOSFODNN7EXAMPLE", secret_key="wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
        region="us-east-1",
        now=datetime(2013, 5, 24, tzinfo=UTC),
    )
    assert headers["authorization"].endswith(
        "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
    )


def test_credentials_come_from_file_before_environment_and_are_masked_everywhere(tmp_path):
    file = tmp_path / "credentials.toml"
    file.write_text('[mirror]\naccess_key = "FILE-ACCESS"\nsecret_key = "file-secret-value"\n')
    masker = Masker()
    env = {
        "WAN_MODELS_KEYRING": "off",
        "WAN_MODELS_CREDENTIALS": str(file),
        "WAN_MODELS_MIRROR_ACCESS_KEY": "ENV-ACCESS",
        "WAN_MODELS_OTHER_TOKEN": "env-token-value",
        "HF_TOKEN": "hf_abcdefgh",
    }
    vault = Vault(env, masker)
    assert vault.find("mirror").secret_key == "file-secret-value"
    assert vault.find("other").token == "env-token-value"
    assert vault.find("huggingface").token == "hf_abcdefgh"
    assert vault.find("none") is None
    text = masker.mask("x file-secret-value y hf_abcdefgh https://u:p@h/k?X-Amz-Signature=1")
    assert text == "x *** y *** https://***@h/k?***"
    assert "file-secret-value" not in repr(vault.find("mirror"))


def test_a_broken_credentials_file_does_not_quote_itself(tmp_path):
    file = tmp_path / "credentials.toml"
    file.write_text('[mirror]\nsecret_key = "very-secret" oops')
    with pytest.raises(StoreError) as caught:
        Vault({"WAN_MODELS_KEYRING": "off", "WAN_MODELS_CREDENTIALS": str(file)}, Masker()).find("mirror")
    assert "very-secret" not in str(caught.value)


def test_local_files_end_when_they_end(tmp_path):
    (tmp_path / "f").write_bytes(b"12345")
    source = LocalSource("local:x", tmp_path)
    with pytest.raises(StoreError) as caught:
        source.read(RemoteFile("f", 9), 0, 9, lambda _: None)
    assert caught.value.code is Code.CHECKSUM_FAIL
