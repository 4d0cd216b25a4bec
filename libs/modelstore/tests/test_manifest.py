"""The manifest: the built-in one is valid, and every rule refuses what it should and names where."""

import contextlib
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from warmlane_modelstore.errors import Code, InvalidManifest, StoreError
from warmlane_modelstore.manifest.componentry import TYPES
from warmlane_modelstore.manifest.entries import Convert, Layout
from warmlane_modelstore.manifest.load import BUILT_IN, load, parse

HASH = "a" * 64
BASE = """
schema_version = 1
[[model]]
id = "small"
version = "1.0"
family = "tests"
type = "single-file"
layout = "single-file"
license = { spdx = "Apache-2.0", commercial = "yes" }
[[model.source]]
kind = "local"
path = "shelf"
[[model.variant]]
name = "bf16"
dtype_on_disk = "bf16"
[[model.variant.file]]
path = "small.safetensors"
size = 10
sha256 = "HASH"
""".replace("HASH", HASH)


def problems_of(text: str) -> str:
    with pytest.raises(InvalidManifest) as caught:
        parse(text.encode(), origin="test.toml")
    assert caught.value.problems
    return caught.value.detail


def test_the_built_in_manifest_is_valid_and_holds_the_models_of_the_product():
    manifest = load()
    models = {model.name: model for model in manifest.models}
    assert list(models) == ["t2v-A14B", "i2v-A14B", "ti2v-5b", "anisora", "phr00t", "pony", "flux"]
    assert models["anisora"].layout is Layout.WAN_ORIGINAL
    assert models["anisora"].variants[0].convert is Convert.BF16
    assert models["anisora"].license.spdx != "Apache-2.0"
    assert "text_encoder/*" in models["anisora"].borrows[0].paths
    assert models["phr00t"].layout is Layout.AIO
    assert models["phr00t"].variants[0].files[0].size == 24334498767


def test_no_entry_of_the_built_in_manifest_fetches_a_pickle():
    for model in load().models:
        for variant in model.variants:
            assert not [f.path for f in variant.files if f.path.endswith((".pth", ".bin", ".pt"))]


def test_the_smallest_manifest_is_valid():
    manifest = parse(BASE.encode(), origin="test.toml")
    assert manifest.models[0].default_variant == "bf16"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('path = "small.safetensors"', 'path = "../small.safetensors"', "climbs out"),
        ('path = "small.safetensors"', 'path = "/etc/small.safetensors"', "absolute"),
        ('path = "small.safetensors"', 'path = "a\\\\b"', "Windows refuses"),
        ('path = "small.safetensors"', 'path = "aux.json"', "device name"),
        ('path = "small.safetensors"', 'path = "C:/x"', "Windows refuses"),
        ('path = "small.safetensors"', 'path = "weights.pth"', "pickle"),
        (HASH, "A" * 64, "64 lower-case hex"),
        ("size = 10", "size = -1", "at least 0"),
        ("size = 10", 'size = "10"', "a whole number"),
        ("size = 10", "size = true", "a whole number"),
        ('layout = "single-file"', 'layout = "zip"', "expected one of diffusers"),
        ('type = "single-file"', 'type = "t2v-ish"', "expected one of"),
        ('family = "tests"', 'famly = "tests"', "famly"),
        ('kind = "local"\npath = "shelf"', 'kind = "hub"\nrepo = "o/r"', "revision: is missing"),
        ('kind = "local"\npath = "shelf"', 'kind = "s3"', "bucket: is missing"),
        ('kind = "local"\npath = "shelf"', 'kind = "url"\nbase = "https://h/x?X-Amz-Signature=abc"', "holds a secret"),
        ('kind = "local"\npath = "shelf"', 'kind = "url"\nbase = "https://user:pw@h/x"', "holds a secret"),
        ('version = "1.0"', 'version = "latest"', "not allowed"),
        ('name = "bf16"', 'name = "bf16/x"', "not allowed"),
    ],
)
def test_a_rule_refuses_and_says_where(old, new, expected):
    assert old in BASE
    assert expected in problems_of(BASE.replace(old, new))


def test_a_moving_hub_revision_is_refused_unless_every_file_is_pinned_by_hash():
    hub = BASE.replace('kind = "local"\npath = "shelf"', 'kind = "hub"\nrepo = "o/r"\nrevision = "main"')
    assert parse(hub.encode(), origin="t").models
    assert "can move" in problems_of(hub.replace(f'sha256 = "{HASH}"', ""))


def test_all_problems_are_listed_at_once():
    text = (
        BASE.replace("size = 10", "size = -1")
        .replace('family = "tests"', "")
        .replace("schema_version = 1", "schema_version = 1\nbogus = 2")
    )
    detail = problems_of(text)
    assert "size" in detail
    assert "family" in detail
    assert "bogus" in detail


def test_duplicates_and_case_collisions_are_refused():
    twice = BASE + BASE.split("schema_version = 1")[1]
    assert "defined 2 times" in problems_of(twice)
    folded = BASE + BASE.split("schema_version = 1")[1].replace('id = "small"', 'id = "SMALL"')
    assert "only by case" in problems_of(folded)


def test_files_differing_by_case_are_refused():
    assert "only by case" in problems_of(BASE + '[[model.variant.file]]\npath = "SMALL.safetensors"\n')


def test_a_t2v_model_may_not_bring_an_image_encoder_and_must_bring_its_vae():
    files = "".join(
        f'[[model.variant.file]]\npath = "{c}/f.json"\n'
        for c in ("transformer", "text_encoder", "tokenizer", "scheduler", "image_encoder")
    )
    text = BASE.replace('"single-file"', '"diffusers"').replace('type = "diffusers"', 'type = "t2v"')
    text = text.split("[[model.variant.file]]")[0] + files
    detail = problems_of(text)
    assert "lacks the component 'vae'" in detail
    assert "has the component 'image_encoder'" in detail
    assert "image_encoder" in TYPES["t2v"].refused


@pytest.mark.parametrize("version", ["2", "999", "0", '"1"', "true", "-1"])
def test_unknown_schema_versions_are_refused_with_guidance(version):
    with pytest.raises(StoreError) as caught:
        parse(BASE.replace("schema_version = 1", f"schema_version = {version}").encode(), origin="t")
    assert caught.value.code is Code.UNSUPPORTED_SCHEMA
    assert "schema_version" in caught.value.user_action or "newer Warmlane" in caught.value.user_action


def test_what_is_no_toml_is_an_invalid_manifest_not_a_crash():
    assert "not TOML" in problems_of("schema_version = = 1")


def test_a_missing_manifest_says_what_to_set(tmp_path):
    with pytest.raises(StoreError) as caught:
        load(tmp_path / "none.toml")
    assert caught.value.code is Code.NOT_FOUND
    assert "WAN_MODELS_MANIFEST" in caught.value.user_action


_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def _toml(value) -> str | None:
    """A value as TOML, or None where TOML has no such value."""
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        return '"' + "".join(f"\\u{ord(c):04x}" if ord(c) < 0x10000 else f"\\U{ord(c):08x}" for c in value) + '"'
    if isinstance(value, list):
        items = [_toml(item) for item in value]
        return None if None in items else f"[{', '.join(items)}]"
    pairs = [(_toml(key), _toml(item)) for key, item in value.items()]
    return None if any(item is None for _, item in pairs) else "{" + ", ".join(f"{k} = {v}" for k, v in pairs) + "}"


@given(
    key=st.sampled_from(
        [
            "id",
            "version",
            "type",
            "layout",
            "license",
            "source",
            "variant",
            "borrow",
            "components",
            "defaults",
            "profiles",
        ]
    ),
    value=_json,
)
def test_no_value_whatever_makes_the_validator_crash(key, value):
    text = _toml(value)
    if text is None:
        return
    lines = [line for line in BASE.splitlines() if not line.startswith(f"{key} =")]
    document = "\n".join(lines).replace("[[model]]", f"[[model]]\n{key} = {text}", 1)
    try:
        tomllib.loads(document)
    except (tomllib.TOMLDecodeError, UnicodeEncodeError):
        return  # clashes with the table of the same name: not this test's business
    with contextlib.suppress(InvalidManifest):
        parse(document.encode(), origin="t")


def test_the_built_in_manifest_is_found_in_the_package():
    assert BUILT_IN.is_file()
