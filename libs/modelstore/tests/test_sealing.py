"""Encryption at rest: no clear byte of the weights on the disk, every changed bit noticed, loaded from memory."""

import base64

import pytest
from builders import MIB, hub_source, model, noise, put, store
from warmlane_modelstore.errors import Code, StoreError
from warmlane_modelstore.sealing.sealed import CHUNK_BYTES, clear_size, seal, unseal
from warmlane_modelstore.status import State

KEY = base64.b64encode(bytes(range(32))).decode()
MASTER = bytes(range(32))


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 2 * CHUNK_BYTES])
def test_what_was_sealed_comes_back(tmp_path, size):
    (tmp_path / "clear").write_bytes(noise(1, size))
    seal(tmp_path / "clear", tmp_path / "sealed", MASTER)
    assert b"".join(unseal(tmp_path / "sealed", MASTER)) == noise(1, size)
    assert clear_size(tmp_path / "sealed") == size


def test_changed_swapped_dropped_and_cut_chunks_are_noticed(tmp_path):
    (tmp_path / "clear").write_bytes(noise(1, 3 * CHUNK_BYTES))
    seal(tmp_path / "clear", tmp_path / "sealed", MASTER)
    data = (tmp_path / "sealed").read_bytes()
    step = CHUNK_BYTES + 16
    head = len(data) - 3 * step
    first, second, third = (data[head + i * step : head + (i + 1) * step] for i in range(3))
    for changed in (
        data[:-1] + bytes([data[-1] ^ 1]),
        data[:head] + second + first + third,
        data[:head] + first + third,
        data[: head + 2 * step],
        data[:20] + b"}" + data[21:],
    ):
        (tmp_path / "changed").write_bytes(changed)
        with pytest.raises(StoreError) as caught:
            list(unseal(tmp_path / "changed", MASTER))
        assert caught.value.code in {Code.CORRUPT, Code.KEY_MISSING}
    with pytest.raises(StoreError) as caught:
        list(unseal(tmp_path / "sealed", bytes(32)))
    assert caught.value.code is Code.KEY_MISSING


@pytest.fixture
def sealed(hub, models_root):
    base = hub.root / "org/repo"
    files = [put(base, "unet/w.safetensors", noise(1, 5 * MIB)), put(base, "config.json", b'{"clear": true}')]
    env = {"WAN_MODELS_ENCRYPTION_TOKEN": KEY}
    return store(models_root, model(files=files, sources=[hub_source(hub)]), env=env, features=frozenset({"encrypt"}))


def test_an_encrypted_model_has_no_clear_weight_on_the_disk_and_loads_from_memory(sealed, models_root):
    sealed.ensure("small")
    status = sealed.status("small")
    assert status.state is State.COMPLETE
    assert sealed.verify("small", workers=2).intact
    needle = noise(1, 5 * MIB)[MIB : MIB + 64]
    for path in models_root.rglob("*"):
        assert not path.is_file() or needle not in path.read_bytes(), path
        assert not path.is_file() or KEY.encode() not in path.read_bytes()
    with sealed.clear_view("small") as view:
        assert (view.path / "unet/w.safetensors").read_bytes() == noise(1, 5 * MIB)
        assert (view.path / "config.json").read_text() == '{"clear": true}'
        assert str((view.path / "unet/w.safetensors").readlink()).startswith("/proc/")
        for path in models_root.rglob("*"):
            assert path.is_symlink() or not path.is_file() or needle not in path.read_bytes()
    assert not list((models_root / ".tmp" / "views").iterdir())


def test_without_a_key_nothing_is_fetched_and_the_error_says_where_to_put_one(hub, models_root):
    entry = model(files=[put(hub.root / "org/repo", "w.safetensors", b"x")], sources=[hub_source(hub)])
    made = store(models_root, entry, features=frozenset({"encrypt"}))
    with pytest.raises(StoreError) as caught:
        made.ensure("small")
    assert caught.value.code is Code.KEY_MISSING
    assert "WAN_MODELS_KEY_COMMAND" in caught.value.user_action
    assert hub.gets() == []


def test_a_key_may_come_from_a_command_and_a_bad_one_is_not_quoted(hub, models_root):
    entry = model(files=[put(hub.root / "org/repo", "w.safetensors", b"x")], sources=[hub_source(hub)])
    good = store(models_root, entry, features=frozenset({"encrypt"}), env={"WAN_MODELS_KEY_COMMAND": f"echo {KEY}"})
    good.ensure("small")
    bad = store(
        models_root, entry, features=frozenset({"encrypt"}), env={"WAN_MODELS_KEY_COMMAND": "echo my-wrong-key"}
    )
    with pytest.raises(StoreError) as caught:
        bad.clear_view("small")
    assert "my-wrong-key" not in str(caught.value) + caught.value.user_action
