"""Ensure: whole or not at all, once, verified, in the room there is."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from builders import MIB, hub_source, manifest_text, model, noise, put, store, strays
from warmlane_modelstore.errors import Code, StoreError
from warmlane_modelstore.status import State
from warmlane_modelstore.store import EnsureOptions
from warmlane_modelstore.transfer.backoff import Cancelled
from warmlane_modelstore.transfer.progress import Progress

SUPPORT = Path(__file__).parent / "support"


@pytest.fixture
def repo(hub):
    return hub.root / "org" / "repo"


def whole(model_status):
    return {p.relative_to(model_status.path).as_posix() for p in model_status.path.rglob("*") if p.is_file()}


def test_a_model_arrives_whole_with_a_record_and_nothing_else_is_left(hub, repo, models_root):
    files = [put(repo, "unet/w.safetensors", noise(1, 3 * MIB)), put(repo, "config.json", b"{}")]
    made = store(models_root, model(files=files, sources=[hub_source(hub)]))
    assert made.status("small").state is State.NOT_PRESENT
    assert made.status("small").bytes_needed == 3 * MIB + 2
    outcome = made.ensure("small")
    status = made.status("small")
    assert (outcome.how, outcome.bytes_fetched) == ("fetched", 3 * MIB + 2)
    assert status.state is State.COMPLETE
    assert whole(status) == {"unet/w.safetensors", "config.json", ".verified.json"}
    assert (status.path / "unet/w.safetensors").read_bytes() == noise(1, 3 * MIB)
    assert strays(models_root) == []
    record = json.loads((status.path / ".verified.json").read_text())
    assert {f["how"] for f in record["files"]} == {"sha256"}


def test_a_second_ensure_asks_nobody(hub, repo, models_root):
    made = store(models_root, model(files=[put(repo, "w.safetensors", noise(1, 100))], sources=[hub_source(hub)]))
    made.ensure("small")
    hub.reset()
    assert made.ensure("small").how == "present"
    assert hub.requests == []


def test_a_listed_model_takes_only_what_is_allowed_and_only_named_shards(hub, repo, models_root):
    index = {"weight_map": {"a": "w-00001-of-00002.safetensors", "b": "w-00002-of-00002.safetensors"}}
    put(repo, "V3/transformer/w.safetensors.index.json", json.dumps(index).encode())
    for name in ("w-00001-of-00002", "w-00002-of-00002", "w-00003-of-00003", "old"):
        put(repo, f"V3/transformer/{name}.safetensors", name.encode())
    put(repo, "V3/vae.pth", b"pickle")
    put(repo, "V2/transformer/other.safetensors", b"other")
    made = store(models_root, model(sources=[hub_source(hub, subfolder="V3", allow=["*"])]))
    assert not made.status("small").exact
    made.ensure("small")
    assert whole(made.status("small")) == {
        "transformer/w.safetensors.index.json",
        "transformer/w-00001-of-00002.safetensors",
        "transformer/w-00002-of-00002.safetensors",
        ".verified.json",
    }


def test_a_listing_with_dangerous_paths_is_refused(hub, repo, models_root):
    put(repo, "aux.json", b"{}")
    made = store(models_root, model(sources=[hub_source(hub, allow=["*"])]))
    with pytest.raises(StoreError) as caught:
        made.ensure("small")
    assert caught.value.code is Code.INVALID_MANIFEST


def test_the_same_file_of_two_models_comes_once_and_is_stored_once(hub, repo, models_root):
    shared = put(repo, "text_encoder/w.safetensors", noise(3, 2 * MIB))
    own = put(repo, "unet/w.safetensors", noise(4, MIB))
    made = store(
        models_root,
        model("one", files=[shared], sources=[hub_source(hub)]),
        model("two", files=[shared, own], sources=[hub_source(hub)]),
    )
    made.ensure("one")
    hub.reset()
    made.ensure("two")
    assert hub.bytes_served == MIB
    a, b = (made.status(n).path / "text_encoder/w.safetensors" for n in ("one", "two"))
    assert a.stat().st_ino == b.stat().st_ino
    assert "shared with one@1.0#bf16" in " ".join(made.explain("two").sentences)


def test_borrowed_files_come_from_the_lender_without_the_lender(hub, repo, models_root):
    put(repo, "vae/w.safetensors", b"vae")
    put(repo, "unet/w.safetensors", b"lender only")
    other = hub.root / "org" / "other"
    files = [put(other, "unet/w.safetensors", b"mine")]
    made = store(
        models_root,
        model("lender", sources=[hub_source(hub, allow=["*"])]),
        model(
            "borrower",
            files=files,
            sources=[hub_source(hub, "org/other")],
            borrow=[{"model": "lender", "paths": ["vae/*"]}],
            inline=[{"path": "model_index.json", "text": "{}"}],
        ),
    )
    made.ensure("borrower")
    path = made.status("borrower").path
    assert (path / "vae/w.safetensors").read_bytes() == b"vae"
    assert (path / "unet/w.safetensors").read_bytes() == b"mine"
    assert json.loads((path / "model_index.json").read_text()) == {}
    assert made.status("lender").state is State.PARTIAL


def test_loras_lie_beside_the_components_and_optional_files_may_be_absent(hub, repo, models_root):
    other = hub.root / "org/loras"
    file = put(other, "very/own/name.safetensors", b"lora")
    style = {"name": "style", "file": file, "source": [hub_source(hub, "org/loras")], "scale": 0.8}
    elsewhere = style | {"name": "fp8only", "applies_to": ["fp8"]}
    files = [put(repo, "c.json", b"{}"), {"path": "preview.png", "optional": True}]
    made = store(models_root, model(files=files, sources=[hub_source(hub)], lora=[style, elsewhere]))
    made.ensure("small")
    path = made.status("small").path
    assert (path / "loras/style.safetensors").read_bytes() == b"lora"
    assert not (path / "loras/fp8only.safetensors").exists()
    assert not (path / "preview.png").exists()
    assert made.resolver.resolve("small").model.loras[0].scale == 0.8


@pytest.mark.parametrize("count", [2, 10])
def test_many_processes_ensure_one_model_with_one_download(hub, repo, models_root, count):
    files = [put(repo, "w.safetensors", noise(1, 4 * MIB)), put(repo, "config.json", b"{}")]
    hub.faults.rate = 4 * MIB
    entry = model(files=files, sources=[hub_source(hub)])
    store(models_root, entry)
    command = [
        sys.executable,
        str(SUPPORT / "ensure_process.py"),
        str(models_root),
        str(models_root.parent / "models.toml"),
        "small",
    ]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(count)]
    said = [process.communicate(timeout=120)[0].split()[0] for process in running]
    assert [process.returncode for process in running] == [0] * count
    assert said.count("fetched") == 1
    assert len(hub.gets()) == 2
    assert hub.bytes_served == 4 * MIB + 2
    assert strays(models_root) == []


def test_threads_of_one_process_exclude_each_other_too(hub, repo, models_root):
    hub.faults.rate = 4 * MIB
    made = store(models_root, model(files=[put(repo, "w.safetensors", noise(1, 2 * MIB))], sources=[hub_source(hub)]))
    how = []
    threads = [threading.Thread(target=lambda: how.append(made.ensure("small").how)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert "fetched" in how
    assert how.count("fetched") == 1
    assert len(how) == 4


def test_a_cancelled_ensure_goes_on_where_it_was(hub, repo, models_root):
    size = 6 * MIB
    entry = model(files=[put(repo, "w.safetensors", noise(1, size))], sources=[hub_source(hub)])
    first = store(models_root, entry)
    hub.on_bytes = lambda total: first.cancel() if total > 3 * MIB else None
    with pytest.raises(Cancelled):
        first.ensure("small")
    hub.on_bytes = lambda _: None
    second = store(models_root, entry)
    status = second.status("small")
    assert status.state is State.PARTIAL
    assert 0 < status.bytes_needed < size
    hub.reset()
    second.ensure("small")
    assert hub.bytes_served == status.bytes_needed
    assert strays(models_root) == []


def test_a_flipped_byte_at_the_source_is_found_and_nothing_counts_as_there(hub, repo, models_root):
    hub.faults.corrupt = "w.safetensors"
    made = store(models_root, model(files=[put(repo, "w.safetensors", noise(1, MIB))], sources=[hub_source(hub)]))
    with pytest.raises(StoreError) as caught:
        made.ensure("small")
    assert caught.value.code is Code.CHECKSUM_FAIL
    assert caught.value.exit_code == 7
    assert "w.safetensors" in str(caught.value)
    assert "hub:org/repo" in str(caught.value)
    assert made.status("small").state is State.NOT_PRESENT
    assert not made.status("small").path.exists()
    assert strays(models_root) == []


def test_what_was_corrupted_here_is_found_by_verify_and_mended_by_ensure(hub, repo, models_root):
    files = [put(repo, "a.safetensors", noise(1, 2 * MIB)), put(repo, "b.safetensors", noise(2, 2 * MIB))]
    made = store(models_root, model(files=files, sources=[hub_source(hub)]))
    made.ensure("small")
    victim = made.status("small").path / "a.safetensors"
    stat = victim.stat()
    victim.chmod(0o644)
    with victim.open("r+b") as file:
        file.seek(MIB)
        file.write(b"rot")
    os.utime(victim, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert made.status("small").state is State.COMPLETE, "bit rot shows in no file time"
    verdict = made.verify("small", workers=2)
    assert [bad.path for bad in verdict.bad] == ["a.safetensors"]
    assert made.status("small").state is State.CORRUPT
    hub.reset()
    made.ensure("small")
    assert made.status("small").state is State.COMPLETE
    assert made.verify("small", workers=2).intact
    assert hub.bytes_served == 2 * MIB


def test_a_deleted_file_is_partial_and_comes_back_from_the_blobs(hub, repo, models_root):
    files = [put(repo, "a.safetensors", noise(1, MIB)), put(repo, "c.json", b"{}")]
    made = store(models_root, model(files=files, sources=[hub_source(hub)]))
    made.ensure("small")
    (made.status("small").path / "a.safetensors").unlink()
    status = made.status("small")
    assert status.state is State.PARTIAL
    assert [(p.path, p.bytes_needed) for p in status.problems] == [("a.safetensors", MIB)]
    hub.reset()
    made.ensure("small")
    assert hub.bytes_served == 0
    assert made.status("small").ready


def test_an_edited_file_is_corrupt_at_once(hub, repo, models_root):
    made = store(models_root, model(files=[put(repo, "c.json", b"{}")], sources=[hub_source(hub)]))
    made.ensure("small")
    file = made.status("small").path / "c.json"
    file.chmod(0o644)
    file.write_text("[]")
    os.utime(file, ns=(1, 1))
    status = made.status("small")
    assert status.state is State.CORRUPT
    assert "changed after" in status.problems[0].reason


def test_files_that_are_not_the_stores_are_never_overwritten(hub, repo, models_root):
    made = store(models_root, model(files=[put(repo, "c.json", b"{}")], sources=[hub_source(hub)]))
    foreign = made.places.model(made.resolver.resolve("small").id) / "mine.txt"
    foreign.parent.mkdir(parents=True)
    foreign.write_text("precious")
    with pytest.raises(StoreError) as caught:
        made.ensure("small")
    assert caught.value.code is Code.IN_USE
    assert foreign.read_text() == "precious"


def test_the_next_source_is_asked_and_all_attempts_are_told(hub, repo, models_root, tmp_path):
    entry = put(repo, "w.safetensors", noise(1, MIB))
    shelf = tmp_path / "shelf"
    sources = [{"kind": "local", "path": str(shelf)}, hub_source(hub, "org/nothing"), hub_source(hub)]
    made = store(models_root, model(files=[entry], sources=sources))
    made.ensure("small")
    record = json.loads((made.status("small").path / ".verified.json").read_text())
    assert record["files"][0]["source"].startswith("hub:org/repo")
    nowhere = store(models_root, model("other", files=[put(repo, "x", b"x")], sources=sources[:2]))
    with pytest.raises(StoreError) as caught:
        nowhere.ensure("other")
    assert caught.value.exit_code == 3
    assert [a.source for a in caught.value.attempts] == [f"local:{shelf}", "hub:org/nothing@01234567"]


def test_a_licence_has_to_be_accepted_by_name(hub, repo, models_root):
    terms = {"spdx": "LicenseRef-X", "commercial": "no", "accept": True, "url": "https://x"}
    entry = model(files=[put(repo, "c.json", b"{}")], sources=[hub_source(hub)], license=terms)
    with pytest.raises(StoreError) as caught:
        store(models_root, entry).ensure("small")
    assert caught.value.code is Code.LICENSE_REFUSED
    store(models_root, entry, accepted_licenses=frozenset({"LicenseRef-X"})).ensure("small")
    store(models_root, entry).ensure("small", EnsureOptions(accept_license=True))


def test_quotas_of_store_and_family_are_asked_before_the_first_byte(hub, repo, models_root):
    files = [put(repo, "w.safetensors", noise(1, MIB))]
    one = model("one", files=files, sources=[hub_source(hub)])
    two = model("two", files=[put(repo, "v.safetensors", noise(2, MIB))], sources=[hub_source(hub)])
    made = store(models_root, one, two, quotas={"family_quota_bytes": {"tests": 3 * MIB // 2}})
    made.ensure("one")
    hub.reset()
    with pytest.raises(StoreError) as caught:
        made.ensure("two")
    assert caught.value.code is Code.QUOTA_EXCEEDED
    assert caught.value.exit_code == 6
    assert "wan models gc" in caught.value.user_action
    assert hub.gets() == []
    assert made.ensure("two", EnsureOptions(make_room=True)).how == "fetched"
    assert made.status("one").state is State.NOT_PRESENT


def test_progress_reaches_the_total(hub, repo, models_root):
    made = store(models_root, model(files=[put(repo, "w.safetensors", noise(1, 3 * MIB))], sources=[hub_source(hub)]))
    seen = []

    class Watched(Progress):
        def add(self, count):
            super().add(count)
            seen.append(self.snapshot())

    made.ensure("small", progress=Watched("small"))
    assert seen[-1].bytes_done == seen[-1].bytes_total == 3 * MIB


@pytest.fixture
def small_disk(tmp_path):
    where = tmp_path / "disk"
    where.mkdir()
    if (
        os.geteuid() != 0
        or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(where)], check=False).returncode
    ):
        pytest.skip("a file system of 64 MB needs the right to mount one")
    (where / "models").mkdir()
    yield where / "models"
    subprocess.run(["umount", "-l", str(where)], check=True)


def test_a_model_too_large_for_the_disk_is_refused_before_the_first_byte(hub, repo, small_disk):
    made = store(small_disk, model(files=[put(repo, "w.safetensors", noise(1, 100 * MIB))], sources=[hub_source(hub)]))
    with pytest.raises(StoreError) as caught:
        made.ensure("small")
    assert caught.value.code is Code.NO_SPACE
    assert caught.value.exit_code == 6
    assert "wan models gc" in caught.value.user_action
    assert hub.gets() == []


def test_a_disk_filled_by_others_meanwhile_is_told_cleanly_and_the_download_goes_on_later(hub, repo, small_disk):
    size = 40 * MIB
    made = store(small_disk, model(files=[put(repo, "w.safetensors", noise(1, size))], sources=[hub_source(hub)]))
    hog = small_disk.parent / "hog"

    def fill(total):
        if total > 10 * MIB and not hog.exists():
            hog.write_bytes(b"\0" * (40 * MIB))

    hub.on_bytes = fill
    with pytest.raises(StoreError) as caught:
        made.ensure("small")
    assert caught.value.code is Code.NO_SPACE
    assert made.status("small").state is State.PARTIAL
    hub.on_bytes = lambda _: None
    hog.unlink()
    hub.reset()
    made.ensure("small")
    assert made.status("small").ready
    assert hub.bytes_served < size
    assert strays(small_disk) == []


def test_a_full_disk_at_any_small_write_is_no_space_too(hub, repo, models_root, monkeypatch):
    import errno

    made = store(models_root, model(files=[put(repo, "c.json", b"{}")], sources=[hub_source(hub)]))

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device", "record")

    monkeypatch.setattr("warmlane_modelstore.publish.write_record", full)
    with pytest.raises(StoreError) as caught:
        made.ensure("small")
    assert caught.value.code is Code.NO_SPACE
    monkeypatch.undo()
    hub.reset()
    made.ensure("small")
    assert hub.gets() == []


def test_secrets_of_the_environment_appear_in_no_error_and_no_record(hub, repo, models_root):
    secret = "hf_do_not_print_me"
    hub.faults.token = "another"
    entry = model(files=[put(repo, "c.json", b"{}")], sources=[hub_source(hub)])
    made = store(models_root, entry, env={"HF_TOKEN": secret, "AWS_SECRET_ACCESS_KEY": "aws_do_not_print"})
    with pytest.raises(StoreError) as caught:
        made.ensure("small")
    assert caught.value.code is Code.AUTH_FAIL
    assert secret not in str(caught.value) + caught.value.user_action
    hub.faults.token = secret
    made.ensure("small", EnsureOptions(fresh=True))
    for path in models_root.rglob("*"):
        assert not path.is_file() or secret.encode() not in path.read_bytes()


def test_manifest_text_is_what_the_store_reads():
    assert "schema_version = 1" in manifest_text()


def test_a_source_that_cannot_be_listed_is_not_asked_again_at_once(hub, models_root):
    made = store(models_root, model(sources=[hub_source(hub, repo="org/nothing", allow=["*"])]))
    with pytest.raises(StoreError):
        made.ensure("small")
    asked = len(hub.requests)
    assert asked > 0
    with pytest.raises(StoreError) as caught:
        made.ensure("small")
    assert "not asked: failed just now" in "".join(attempt.detail for attempt in caught.value.attempts)
    assert len(hub.requests) == asked
