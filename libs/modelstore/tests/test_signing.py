"""Signatures: what we sign the reference tool accepts, what it signs we accept, and nobody accepts anything changed."""

import json
import subprocess
import sys

import pytest
from builders import environ, hub_source, manifest_text, model, noise, put, store
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from warmlane_modelstore.cli.main import main
from warmlane_modelstore.errors import Code, StoreError
from warmlane_modelstore.manifest.load import load
from warmlane_modelstore.signing.bundle import Statement, sign, verify
from warmlane_modelstore.signing.manifest import sign_manifest
from warmlane_modelstore.signing.model import check_record, sign_record


def make_key(path, curve=ec.SECP256R1):
    key = ec.generate_private_key(curve())
    private, public = path / "key.pem", path / "key.pub"
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    public.write_bytes(
        key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    return private, public


@pytest.fixture
def keys(tmp_path):
    return make_key(tmp_path)


@pytest.mark.parametrize("curve", [ec.SECP256R1, ec.SECP384R1, ec.SECP521R1])
def test_a_statement_survives_its_bundle_on_every_curve(tmp_path, curve):
    private, public = make_key(tmp_path, curve)
    statement = Statement("m", {"b": "22" * 32, "a": "11" * 32}, (".git",))
    assert verify(sign(statement, private.read_bytes()), public.read_bytes()).digests == statement.digests


def test_any_changed_bit_of_payload_signature_or_key_is_refused(keys, tmp_path):
    private, public = (key.read_bytes() for key in keys)
    bundle = json.loads(sign(Statement("m", {"a": "11" * 32}), private))
    other = tmp_path / "other"
    other.mkdir()
    changes = [
        lambda b: b["dsseEnvelope"].update(payload=b["dsseEnvelope"]["payload"][:-8] + "AAAAAAA="),
        lambda b: b["dsseEnvelope"]["signatures"][0].update(sig="AAAA"),
        lambda b: b["dsseEnvelope"].update(payloadType="text/plain"),
        lambda b: b.pop("dsseEnvelope"),
        lambda b: b["verificationMaterial"]["publicKey"].update(hint="00"),
    ]
    for change in changes:
        changed = json.loads(json.dumps(bundle))
        change(changed)
        with pytest.raises(StoreError) as caught:
            verify(json.dumps(changed).encode(), public)
        assert caught.value.code is Code.SIGNATURE_FAIL
    _, foreign = make_key(other)
    with pytest.raises(StoreError):
        verify(json.dumps(bundle).encode(), foreign.read_bytes())
    with pytest.raises(StoreError):
        verify(b"not json", public)


def test_a_manifest_signature_is_checked_when_present_and_demanded_when_required(keys, tmp_path):
    private, public = keys
    path = tmp_path / "models.toml"
    path.write_text(manifest_text())
    load(path)
    with pytest.raises(StoreError, match="no signature"):
        load(path, public_key=public, require_signature=True)
    (tmp_path / "models.toml.sig").write_bytes(sign_manifest(path, private))
    load(path, public_key=public, require_signature=True)
    with pytest.raises(StoreError, match="no key to check it with"):
        load(path)
    path.write_text(manifest_text() + "\n# changed\n")
    with pytest.raises(StoreError, match="not the manifest that was signed"):
        load(path, public_key=public)


def test_a_published_model_is_signed_from_its_record_and_changes_show(keys, hub, models_root):
    private, public = (key.read_bytes() for key in keys)
    made = store(
        models_root,
        model(files=[put(hub.root / "org/repo", "w.safetensors", noise(1, 100))], sources=[hub_source(hub)]),
    )
    made.ensure("small")
    record = made.record("small")
    bundle = sign_record(record, private)
    check_record(record, bundle, public)
    from dataclasses import replace

    changed = replace(record, files=(replace(record.files[0], sha256="0" * 64),))
    with pytest.raises(StoreError, match=r"w\.safetensors"):
        check_record(changed, bundle, public)


def test_the_command_signs_manifest_and_model(keys, hub, models_root, capsys):
    private, public = keys
    manifest = models_root.parent / "models.toml"
    manifest.write_text(
        manifest_text(model(files=[put(hub.root / "org/repo", "c.json", b"{}")], sources=[hub_source(hub)]))
    )
    env = environ(
        MODELS_ROOT=str(models_root),
        WAN_MODELS_MANIFEST=str(manifest),
        HOME=str(models_root.parent),
        WAN_MODELS_PUBLIC_KEY=str(public),
    )
    assert main(["models", "sign", "--manifest", "--private-key", str(private), "--json"], env) == 0
    env["WAN_MODELS_REQUIRE_SIGNATURE"] = "1"
    assert main(["models", "ensure", "small", "--json"], env) == 0
    assert main(["models", "sign", "--model", "small", "--private-key", str(private), "--json"], env) == 0
    assert main(["models", "sign", "--model", "small", "--private-key", str(public), "--json"], env) == 4
    manifest.write_text(manifest.read_text() + "#")
    assert main(["models", "status", "--json"], env) == 4
    capsys.readouterr()


reference = pytest.importorskip("model_signing", reason="the reference tool is not installed")


def tool(*arguments):
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "model_signing", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_reference_tool_accepts_our_bundles_and_refuses_changed_files(keys, hub, models_root):
    private, public = keys
    files = [put(hub.root / "org/repo", f"vae/{n}.safetensors", noise(n, 1000)) for n in range(3)]
    made = store(
        models_root, model(files=[*files, put(hub.root / "org/repo", "c.json", b"{}")], sources=[hub_source(hub)])
    )
    made.ensure("small")
    path = made.status("small").path
    signature = models_root.parent / "model.sig"
    signature.write_bytes(sign_record(made.record("small"), private.read_bytes()))
    verdict = tool("verify", "key", "--public_key", public, "--signature", signature, path)
    assert verdict.returncode == 0, verdict.stdout + verdict.stderr
    manifest = made.settings.manifest
    signature.write_bytes(sign_manifest(manifest, private))
    assert tool("verify", "key", "--public_key", public, "--signature", signature, manifest).returncode == 0
    manifest.write_text("changed")
    assert tool("verify", "key", "--public_key", public, "--signature", signature, manifest).returncode != 0


def test_we_accept_the_reference_tools_bundles(keys, tmp_path):
    private, public = keys
    folder = tmp_path / "m"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "a").write_text("a")
    (folder / "b").write_text("b")
    done = tool("sign", "key", "--private_key", private, "--signature", tmp_path / "m.sig", folder)
    assert done.returncode == 0, done.stderr
    statement = verify((tmp_path / "m.sig").read_bytes(), public.read_bytes())
    assert set(statement.digests) == {"sub/a", "b"}


def test_ensure_checks_a_models_signature_when_there_is_one_and_demands_one_when_told(keys, hub, models_root):
    private, public = keys
    entry = model(files=[put(hub.root / "org/repo", "w.safetensors", noise(1, 1000))], sources=[hub_source(hub)])
    demanding = store(models_root, entry, public_key=public, require_model_signature=True)
    with pytest.raises(StoreError) as caught:
        demanding.ensure("small")
    assert caught.value.code is Code.SIGNATURE_FAIL
    assert "wan models sign" in caught.value.user_action
    bundle = sign_record(demanding.record("small"), private.read_bytes())
    place = demanding.places.state("signatures") / f"{demanding.record('small').id}.sig"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(bundle)
    assert demanding.ensure("small").how == "present"
    place.write_bytes(sign(Statement("small", {"w.safetensors": "11" * 32}), private.read_bytes()))
    for checking in (demanding, store(models_root, entry, public_key=public)):
        with pytest.raises(StoreError) as caught:
            checking.ensure("small")
        assert caught.value.code is Code.SIGNATURE_FAIL
    assert store(models_root, entry).ensure("small").how == "present", "without a key nothing can be checked"


def test_a_signature_that_comes_with_the_model_vouches_for_the_rest_of_it(keys, hub, models_root):
    private, public = keys
    base = hub.root / "org/repo"
    files = [put(base, "w.safetensors", noise(1, 1000))]
    signed = sign(Statement("small", {"w.safetensors": files[0]["sha256"]}), private.read_bytes())
    entry = model(files=[*files, put(base, "model.sig", signed)], sources=[hub_source(hub)])
    made = store(models_root, entry, public_key=public, require_model_signature=True)
    assert made.ensure("small").how == "fetched"
