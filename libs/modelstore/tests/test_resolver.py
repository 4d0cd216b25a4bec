"""The resolver: one answer for every spelling, and errors that list what exists."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from warmlane_modelstore.errors import Code, StoreError
from warmlane_modelstore.manifest.identity import ModelId, Wanted, version_order
from warmlane_modelstore.manifest.load import load, parse
from warmlane_modelstore.places import OWN_DIRECTORIES, Places
from warmlane_modelstore.resolver import Resolver

MANIFEST = load()
TWO = """
schema_version = 1
""" + "".join(
    f"""
[[model]]
id = "m"
version = "{version}"
family = "f"
type = "single-file"
layout = "single-file"
default_variant = "bf16"
profiles = {{ dev = "fp8" }}
license = {{ spdx = "MIT", commercial = "yes" }}
source = [{{ kind = "local", path = "x" }}]
variant = [{{ name = "bf16", dtype_on_disk = "bf16" }}, {{ name = "fp8", dtype_on_disk = "fp8" }}]
"""
    for version in ("1.9.0", "1.10.0", "1.10.0-rc1")
)


@given(
    st.sampled_from([r.id for r in Resolver(MANIFEST).every_variant()]),
    st.booleans(),
    st.booleans(),
)
def test_every_spelling_of_an_id_resolves_to_it(model, with_version, with_variant):
    resolver = Resolver(MANIFEST)
    text = model.name + (f"@{model.version}" if with_version else "") + (f"#{model.variant}" if with_variant else "")
    resolved = resolver.resolve(text)
    assert resolved.id.name == model.name
    assert resolved.id.version == model.version
    assert resolved.id.variant == (model.variant if with_variant else resolved.model.default_variant)
    assert resolver.resolve(str(resolved.id)) == resolved


@given(st.text(max_size=30))
def test_any_other_text_is_unknown_and_the_answer_lists_what_exists(text):
    resolver = Resolver(MANIFEST)
    if Wanted.parse(text).name in {m.name for m in MANIFEST.models} if _parses(text) else False:
        return
    with pytest.raises(StoreError) as caught:
        resolver.resolve(text)
    assert caught.value.code is Code.UNKNOWN_MODEL
    assert "t2v-A14B@2.2.0#bf16" in caught.value.user_action


def _parses(text):
    try:
        Wanted.parse(text)
    except ValueError:
        return False
    return True


def test_the_highest_version_is_taken_by_number_and_a_release_beats_its_candidate():
    resolver = Resolver(parse(TWO.encode(), origin="t"))
    assert str(resolver.resolve("m").id) == "m@1.10.0#bf16"
    assert str(resolver.resolve("m@1.10.0-rc1").id) == "m@1.10.0-rc1#bf16"
    assert sorted(["1.10.0", "1.9.0", "1.10.0-rc1"], key=version_order) == ["1.9.0", "1.10.0-rc1", "1.10.0"]


def test_a_profile_picks_its_variant_and_a_named_variant_wins_over_it():
    resolver = Resolver(parse(TWO.encode(), origin="t"), profile="dev")
    assert resolver.resolve("m").id.variant == "fp8"
    assert resolver.resolve("m#bf16").id.variant == "bf16"


def test_near_misses_are_suggested():
    with pytest.raises(StoreError) as caught:
        Resolver(MANIFEST).resolve("t2v-a14b")
    assert "Did you mean t2v-A14B" in caught.value.user_action


@given(
    st.builds(
        ModelId,
        st.from_regex(r"[a-z]{1,5}", fullmatch=True),
        st.from_regex(r"[0-9]\.[0-9]", fullmatch=True),
        st.from_regex(r"[a-z0-9]{1,4}", fullmatch=True),
    )
)
def test_an_id_survives_its_text_and_owns_one_directory(model):
    assert ModelId.parse(str(model)) == model


def test_places_of_different_models_never_overlap(models_root):
    places = Places(models_root)
    directories = [places.model(r.id) for r in Resolver(MANIFEST).every_variant()]
    assert len(set(directories)) == len(directories)
    assert not any(a != b and a.is_relative_to(b) for a in directories for b in directories)
    assert not any(d.relative_to(models_root).parts[0] in OWN_DIRECTORIES for d in directories)
