"""Migration: older folders are taken over by content, nothing is fetched twice, and everything can be put back."""

import json

import pytest
from builders import MIB, environ, hub_source, manifest_text, model, noise, put
from warmlane_modelstore.cli.main import main
from warmlane_modelstore.smoke import SIZE
from warmlane_modelstore.vram import Size, estimate


@pytest.fixture
def wan(hub, models_root, capsys):
    repo = hub.root / "org/repo"
    files = [put(repo, "unet/w.safetensors", noise(1, MIB)), put(repo, "config.json", b"{}")]
    manifest = models_root.parent / "models.toml"
    manifest.write_text(manifest_text(model(files=files, sources=[hub_source(hub)])))
    env = environ(
        MODELS_ROOT=str(models_root),
        WAN_MODELS_MANIFEST=str(manifest),
        HOME=str(models_root.parent),
        WAN_MODELS_MARGIN="0",
    )

    def run(*arguments):
        code = main(["models", *map(str, arguments), "--json"], env)
        return code, json.loads(capsys.readouterr().out)

    return run


def old_layout(kind, base):
    where = {
        "by name": base / "small",
        "by repository": base / "repo",
        "hub cache": base / "models--org--repo/snapshots/0123456789abcdef0123456789abcdef01234567",
        "by version": base / "small/1.0",
    }[kind]
    put(where, "unet/w.safetensors", noise(1, MIB))
    put(where, "config.json", b"{}")
    return where


@pytest.mark.parametrize("kind", ["by name", "by repository", "hub cache", "by version"])
def test_every_known_layout_is_taken_over_without_the_network(wan, hub, tmp_path, models_root, kind):
    old = tmp_path / "old"
    where = old_layout(kind, old)
    code, document = wan("migrate", old)
    assert code == 0
    assert document["result"]["models"][0]["action"] == "adopt"
    assert wan("status", "--check")[0] == 0
    assert hub.requests == []
    assert wan("verify", "small")[0] == 0
    assert (where / "unet/w.safetensors").read_bytes() == noise(1, MIB), "the old path still leads there"


def test_a_dry_run_says_the_same_and_moves_nothing(wan, tmp_path):
    where = old_layout("by name", tmp_path / "old")
    code, document = wan("migrate", tmp_path / "old", "--dry-run")
    assert (code, document["result"]["id"]) == (0, None)
    assert document["result"]["models"][0]["bytes"] == MIB + 2
    assert (where / "unet/w.safetensors").is_file()
    assert wan("status", "--check")[0] == 3


def test_a_migration_can_be_rolled_back(wan, tmp_path):
    where = old_layout("by name", tmp_path / "old")
    identity = wan("migrate", tmp_path / "old")[1]["result"]["id"]
    assert where.is_symlink()
    code, document = wan("migrate", "--rollback", identity)
    assert code == 0
    assert len(document["result"]["left"]) == 2
    assert not where.is_symlink()
    assert (where / "unet/w.safetensors").read_bytes() == noise(1, MIB)
    assert wan("migrate", "--rollback", identity)[0] == 3


def test_linking_leaves_the_old_folder_as_it_was(wan, tmp_path):
    where = old_layout("by name", tmp_path / "old")
    wan("migrate", tmp_path / "old", "--keep")
    assert not where.is_symlink()
    assert (where / "config.json").read_text() == "{}"
    assert wan("status", "--check")[0] == 0


def test_wrong_bytes_are_left_and_the_rest_is_fetched(wan, hub, tmp_path):
    where = old_layout("by name", tmp_path / "old")
    (where / "unet/w.safetensors").write_bytes(noise(2, MIB))
    document = wan("migrate", tmp_path / "old")[1]
    assert document["result"]["models"][0]["missing"] == ["unet/w.safetensors"]
    assert document["result"]["models"][0]["action"] == "resume"
    assert (where / "unet/w.safetensors").exists()
    assert wan("ensure", "small")[0] == 0
    assert hub.bytes_served == MIB


def test_smoke_checks_components_and_estimates_memory(wan, hub):
    wan("ensure", "small")
    code, document = wan("smoke", "small", "--check-only")
    assert code == 0
    assert document["result"]["models"][0]["components"] == ["unet"]
    assert wan("smoke", "small")[1]["error"] is None or wan("smoke", "small")[1]["error"]["code"] == "SMOKE_FAIL"


def test_the_memory_estimate_grows_with_the_clip_and_knows_what_it_does_not_know():
    from warmlane_modelstore.manifest.load import load

    by_name = {m.name: m for m in load().models}
    wan = by_name["t2v-A14B"]
    variant = wan.variant("bf16")
    small, large = (estimate(wan, variant, size) for size in (SIZE, Size(1280, 720, 81)))
    assert variant.weights_bytes < small < large
    # 720p: InvokeAI measured 12.0 GB for the decode alone.
    assert large - variant.weights_bytes >= 1280 * 720 * 2 * 6500
    from dataclasses import replace

    assert estimate(wan, replace(variant, weights_bytes=None), SIZE) is None


def test_an_older_folder_is_read_only_while_the_flag_says_so(hub, models_root, tmp_path):
    from builders import store
    from warmlane_modelstore.errors import StoreError

    old_layout("by name", tmp_path / "old")
    entry = model(files=[put(hub.root / "org/repo", "c.json", b"{}")], sources=[hub_source(hub)])
    with pytest.raises(StoreError):
        store(models_root, entry, legacy_root=tmp_path / "old").use("small")
    flagged = store(models_root, entry, legacy_root=tmp_path / "old", features=frozenset({"legacy-read"}))
    with flagged.use("small") as path:
        assert path == tmp_path / "old" / "small"
    flagged.ensure("small")
    with flagged.use("small") as path:
        assert path == flagged.status("small").path
