"""The catalogue judges every field of every model, in every profile, and applies what a request leaves out."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from warmlane_contracts.catalogue import Catalogue, Model, Parameter, ValidationFailedError, load_catalogue, resolve
from warmlane_contracts.errors import ErrorCode, WarmlaneError

CATALOGUE = load_catalogue()
NUMERIC = [
    (model, parameter)
    for model in CATALOGUE.models
    for parameter in model.parameters
    if parameter.kind in ("integer", "number")
]


def label(value: Any) -> str:
    """Name a model or a parameter in a test's id."""
    return str(getattr(value, "id", getattr(value, "name", value)))


def _names(parameter: Parameter) -> tuple[str, ...]:
    return (parameter.name, *parameter.aliases)


def body_for(model: Model, mode_id: str | None = None) -> dict[str, Any]:
    """Return the smallest valid body of a mode."""
    mode = model.mode(mode_id or next(mode.id for mode in model.modes if mode.available))
    assert mode is not None
    images = {slot.field: [{"image": "asset", "position": 0.5}] if slot.many else "asset" for slot in mode.images}
    return {"model": model.id, "mode": mode.id, "prompt": "a fox", **images}


def refusal(body: dict[str, Any], catalogue: Catalogue = CATALOGUE) -> ValidationFailedError:
    with pytest.raises(ValidationFailedError) as refused:
        resolve(catalogue, body)
    assert refused.value.user_action
    return refused.value


MODES = [(model, mode.id) for model in CATALOGUE.models for mode in model.modes if mode.available]


@pytest.mark.parametrize(("model", "mode"), MODES, ids=label)
@pytest.mark.parametrize("profile", ["production", "tiny"])
def test_the_smallest_body_of_each_mode_is_filled_in(model: Model, mode: str, profile: Any) -> None:
    resolved = resolve(load_catalogue(profile), body_for(model, mode))
    assert (resolved.model, resolved.mode, resolved.lane) == (model.id, mode, model.lane)
    assert resolved.params.steps == model.runtime.steps
    assert resolved.params.width % model.runtime.size_multiple == 0
    assert (resolved.params.num_frames - model.runtime.frame_offset) % model.runtime.frame_step == 0
    assert len(resolved.images) == len(model.mode(mode).images)


@pytest.mark.parametrize("model", CATALOGUE.models, ids=label)
def test_aliases_lead_to_the_canonical_id(model: Model) -> None:
    for alias in model.aliases:
        assert resolve(CATALOGUE, {**body_for(model), "model": alias}).model == model.id


@pytest.mark.parametrize(
    ("model", "parameter", "name"),
    [(m, p, name) for m, p in NUMERIC if p.locked for name in _names(p)],
    ids=label,
)
def test_a_locked_value_is_refused_by_the_name_the_client_used(model: Model, parameter: Parameter, name: str) -> None:
    refused = refusal({**body_for(model), name: parameter.default + 1})
    (error,) = refused.errors
    assert refused.code is ErrorCode.VALIDATION_ERROR
    assert (error.field, error.allowed) == (name, parameter.default)
    assert name in refused.user_action
    assert str(parameter.default) in refused.user_action
    assert resolve(CATALOGUE, {**body_for(model), name: parameter.default})


@pytest.mark.parametrize(("model", "parameter"), [(m, p) for m, p in NUMERIC if not p.locked], ids=label)
def test_each_bound_is_the_last_allowed_value(model: Model, parameter: Parameter) -> None:
    mode = parameter.modes[0] if parameter.modes else None
    body = body_for(model, mode)
    step = parameter.step or 1
    for bound, beyond in ((parameter.minimum, -step), (parameter.maximum, step)):
        small = {"width": 64, "height": 64} if parameter.name not in ("width", "height") else {}
        opposite = {"height": 64} if parameter.name == "width" else {"width": 64} if parameter.name == "height" else {}
        assert resolve(CATALOGUE, {**body, **small, **opposite, parameter.name: bound})
        (error,) = refusal({**body, parameter.name: bound + beyond}).errors
        assert error.field == parameter.name
        assert error.allowed == {
            "minimum": parameter.minimum,
            "maximum": parameter.maximum,
            **({"step": step, "offset": parameter.offset} if step > 1 else {}),
        }


@pytest.mark.parametrize("value", ["8", True, [8], {"a": 1}, float("nan"), float("inf"), 8.5])
@pytest.mark.parametrize(("model", "parameter"), NUMERIC, ids=label)
def test_a_value_of_the_wrong_kind_is_refused(model: Model, parameter: Parameter, value: Any) -> None:
    mode = parameter.modes[0] if parameter.modes else None
    if parameter.kind == "number" and value == 8.5 and not parameter.locked and parameter.maximum >= value:
        pytest.skip("8.5 is a number within bounds here")
    errors = refusal({**body_for(model, mode), parameter.name: value}).errors
    assert [error.field for error in errors] == [parameter.name]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"prompt": None}, "prompt"),
        ({"prompt": "  "}, "prompt"),
        ({"prompt": 7}, "prompt"),
        ({"prompt": "x" * 2001}, "prompt"),
        ({"prompt": "a\x00b"}, "prompt"),
        ({"prompt": "a\ud800b"}, "prompt"),
        ({"colour": "red"}, "colour"),
        ({"width": 100}, "width"),
        ({"num_frames": 10}, "num_frames"),
        ({"width": 1280, "height": 1280}, "width"),
        ({"output_format": "avi"}, "output_format"),
        ({"output_format": ["mp4"]}, "output_format"),
        ({"denoising_strength": 0.5}, "denoising_strength"),
        ({"lighting_variant": "neon"}, "lighting_variant"),
        ({"lighting_variant": 1}, "lighting_variant"),
        ({"reference_strength": 0.5}, "reference_strength"),
        ({"reference_image": "asset"}, "reference_image"),
        ({"model": "sora"}, "model"),
        ({"model": None}, "model"),
        ({"model": ["phr00t"]}, "model"),
        ({"type": "image"}, "type"),
        ({"mode": "v2v"}, "mode"),
        ({"mode": 3}, "mode"),
    ],
    ids=str,
)
def test_each_other_field_is_judged(change: dict[str, Any], field: str) -> None:
    body = {"model": "phr00t", "mode": "t2v", "prompt": "a fox", **change}
    assert field in {error.field for error in refusal(body).errors}


def test_all_that_is_wrong_is_said_at_once() -> None:
    refused = refusal({"model": "anisora", "mode": "i2v", "prompt": "", "steps": 9, "fps": 0, "colour": 1})
    assert {error.field for error in refused.errors} == {"prompt", "steps", "fps", "colour", "reference_image"}


def test_two_names_of_one_parameter_must_agree() -> None:
    body = body_for(CATALOGUE.model_of("anisora"))
    assert resolve(CATALOGUE, {**body, "cfg": 2, "guidance_scale": 2.0}).params.cfg == 2.0
    (error,) = refusal({**body, "cfg": 2, "cfg_scale": 3}).errors
    assert error.field == "cfg_scale"


@pytest.mark.parametrize(
    ("images", "mode"),
    [
        ({}, "t2v"),
        ({"reference_image": "a"}, "i2v"),
        ({"first_frame_image": "a", "last_frame_image": "b"}, "first_last_frame"),
    ],
)
def test_the_images_imply_the_mode(images: dict[str, str], mode: str) -> None:
    assert resolve(CATALOGUE, {"model": "phr00t", "prompt": "a fox", **images}).mode == mode


@pytest.mark.parametrize(
    "frames",
    [
        "asset",
        [],
        [{"image": "a"}],
        [{"image": "a", "position": 2}],
        [{"image": "a", "position": True}],
        [{"image": 1, "position": 0}],
        [{"image": "a", "position": 0, "x": 1}],
        ["a"],
        [{"image": "a", "position": 0.5}, {"image": "b", "position": 0.5}],
        [{"image": "a", "position": n / 9} for n in range(9)],
    ],
    ids=str,
)
def test_badly_placed_keyframes_are_refused(frames: Any) -> None:
    body = {"model": "anisora", "mode": "arbitrary_frame", "prompt": "a fox", "arbitrary_frames": frames}
    assert all(error.field.startswith("arbitrary_frames") for error in refusal(body).errors)


def test_keyframes_keep_their_places() -> None:
    frames = [{"image": "a", "position": 0}, {"image": "b", "position": 0.25}, {"image": "c", "position": 1}]
    resolved = resolve(CATALOGUE, {"model": "anisora", "prompt": "a fox", "arbitrary_frames": frames})
    assert resolved.mode == "arbitrary_frame"
    assert [(image.source, image.position) for image in resolved.images] == [("a", 0.0), ("b", 0.25), ("c", 1.0)]


def test_a_mode_that_cannot_run_says_why_and_what_else_can() -> None:
    with pytest.raises(WarmlaneError) as refused:
        resolve(CATALOGUE, {"model": "anisora", "mode": "t2v", "prompt": "a fox"})
    assert refused.value.code is ErrorCode.MODE_UNAVAILABLE
    assert "i2v" in refused.value.user_action


@given(
    st.dictionaries(
        st.sampled_from(
            [
                *"ab",
                "model",
                "mode",
                "prompt",
                "steps",
                "cfg",
                "seed",
                "reference_image",
                "arbitrary_frames",
                "output_format",
                "type",
            ]
        ),
        st.recursive(
            st.none()
            | st.booleans()
            | st.integers()
            | st.floats()
            | st.text(max_size=5)
            | st.sampled_from(["anisora", "phr00t", "i2v", "t2v"]),
            lambda inner: st.lists(inner, max_size=3),
            max_leaves=5,
        ),
    )
)
def test_no_body_gets_past_but_as_a_request_or_a_refusal(body: dict[str, Any]) -> None:
    outcome: object
    try:
        outcome = resolve(CATALOGUE, body).params.prompt.strip()
    except WarmlaneError as refused:
        outcome = refused.errors
    assert outcome


def test_the_file_fits_its_schema_and_a_tiny_clip_is_small() -> None:
    folder = Path(__file__).parents[1] / "src/warmlane_contracts/catalogue"
    raw = json.loads((folder / "catalogue.json").read_text("utf-8"))
    jsonschema.validate(raw, json.loads((folder / "catalogue.schema.json").read_text("utf-8")))
    for model in load_catalogue("tiny").models:
        params = resolve(load_catalogue("tiny"), body_for(model)).params
        assert (params.width, params.height, params.num_frames) == (128, 128, 17)
