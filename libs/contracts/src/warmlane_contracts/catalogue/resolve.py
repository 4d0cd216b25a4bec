"""From a request's body to parameters with nothing left open.

    body ──model, type──► model ──mode (named or implied by the images)──► mode
         ──parameters (aliases, bounds, locks, defaults)──► ClipParams      ──images──► RequestedImage
         ──fields nobody asked for──► refused

All that is wrong is reported at once. Nothing here touches an image's bytes: a source is a data URI or an asset id,
and the gateway decodes it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from warmlane_contracts.catalogue.check import check
from warmlane_contracts.catalogue.entries import Catalogue, ImageSlot, Mode, Model, Parameter
from warmlane_contracts.errors import ErrorCode, FieldError, WarmlaneError
from warmlane_contracts.messages import ClipParams, InputRole, OutputFormat

_ROUTING_FIELDS = frozenset({"model", "type", "mode", "output_format", "priority"})

PRIORITIES = range(10)
DEFAULT_PRIORITY = 5
"""Higher goes first among the tasks of one key; between keys the turns are round robin."""


@dataclass(frozen=True, slots=True)
class RequestedImage:
    """An image a request brings: where it stood in the body, its source (data URI or asset id), its role."""

    field: str
    source: str
    role: InputRole
    position: float | None = None


@dataclass(frozen=True, slots=True)
class ResolvedRequest:
    """A request ready to become a task. `params.seed` is -1 where the gateway is to draw one."""

    model: str
    lane: str
    type: str
    mode: str
    params: ClipParams
    images: tuple[RequestedImage, ...]
    output_format: OutputFormat
    priority: int = DEFAULT_PRIORITY


class ValidationFailedError(WarmlaneError):
    """The body cannot become a task; `errors` names every field that is wrong."""

    def __init__(self, errors: list[FieldError]) -> None:
        """Build the sentence people read from the fields."""
        fields = ", ".join(dict.fromkeys(error.field for error in errors))
        super().__init__(
            ErrorCode.VALIDATION_ERROR,
            f"The request is not valid: {fields}.",
            "; ".join(_action(error) for error in errors[:3]) + ".",
            tuple(errors),
        )


def resolve(catalogue: Catalogue, body: Mapping[str, Any]) -> ResolvedRequest:
    """Return the request with aliases, defaults and locks applied; raise `ValidationFailedError` otherwise.

    Raises a `WarmlaneError` with `mode_unavailable` for a mode that exists but cannot run yet.
    """
    errors: list[FieldError] = []
    model = _model(catalogue, body)
    mode = _mode(model, body)
    values = _parameters(model, mode, body, errors)
    images = _images(mode, body, errors)
    output_format = body.get("output_format", model.output_formats[0])
    if output_format not in model.output_formats:
        errors.append(FieldError("output_format", f"{output_format!r:.40} is not offered", list(model.output_formats)))
    priority = body.get("priority", DEFAULT_PRIORITY)
    if not isinstance(priority, int) or isinstance(priority, bool) or priority not in PRIORITIES:
        errors.append(FieldError("priority", "is not a priority", f"{PRIORITIES.start} to {PRIORITIES.stop - 1}"))
    _refuse_unknown(model, mode, body, errors)
    _refuse_too_many_pixels(model, values, errors)
    if errors:
        raise ValidationFailedError(errors)
    params = ClipParams(**values)
    return ResolvedRequest(model.id, model.lane, model.type, mode.id, params, tuple(images), output_format, priority)


def _model(catalogue: Catalogue, body: Mapping[str, Any]) -> Model:
    name = body.get("model")
    model = catalogue.model_of(name) if isinstance(name, str) else None
    if model is None:
        known = [model.id for model in catalogue.models]
        problem = "is required" if name is None else f"{name!r:.80} is not a model of this service"
        raise ValidationFailedError([FieldError("model", problem, known)])
    wanted = body.get("type", model.type)
    if wanted != model.type:
        raise ValidationFailedError([FieldError("type", f"{model.id} makes {model.type}", model.type)])
    return model


def _mode(model: Model, body: Mapping[str, Any]) -> Mode:
    name = body.get("mode")
    mode = model.mode(name if isinstance(name, str) else "") if name is not None else _implied_mode(model, body)
    if mode is None:
        raise ValidationFailedError(
            [FieldError("mode", f"{name!r:.80} is not a mode of {model.id}", [mode.id for mode in model.modes])]
        )
    if not mode.available:
        others = ", ".join(other.id for other in model.modes if other.available)
        raise WarmlaneError(
            ErrorCode.MODE_UNAVAILABLE,
            f"{model.id} cannot run {mode.id}: {mode.reason}",
            f"Choose another mode of {model.id} ({others}) or another model.",
            (FieldError("mode", mode.reason, [other.id for other in model.modes if other.available]),),
        )
    return mode


def _implied_mode(model: Model, body: Mapping[str, Any]) -> Mode | None:
    given = {slot.field for mode in model.modes for slot in mode.images if body.get(slot.field)}
    if not given:
        return model.mode(model.default_mode)
    return next((mode for mode in model.modes if {slot.field for slot in mode.images} == given), None) or model.mode(
        model.default_mode
    )


def _parameters(model: Model, mode: Mode, body: Mapping[str, Any], errors: list[FieldError]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for parameter in model.parameters:
        if parameter.modes and mode.id not in parameter.modes:
            continue
        names = [name for name in (parameter.name, *parameter.aliases) if body.get(name) is not None]
        if not names and parameter.required:
            errors.append(FieldError(parameter.name, "is required"))
        for name in names:
            _take(parameter, name, body[name], values, errors)
        if not names and parameter.default is not None:
            values[parameter.name] = parameter.default
    return values


def _take(parameter: Parameter, field: str, value: object, values: dict[str, Any], errors: list[FieldError]) -> None:
    checked = check(parameter, field, value)
    if isinstance(checked, FieldError):
        errors.append(checked)
    elif values.setdefault(parameter.name, checked) != checked:
        errors.append(FieldError(field, f"contradicts another name of {parameter.name}", values[parameter.name]))


def _images(mode: Mode, body: Mapping[str, Any], errors: list[FieldError]) -> list[RequestedImage]:
    images: list[RequestedImage] = []
    for slot in mode.images:
        value = body.get(slot.field)
        if not value:
            errors.append(FieldError(slot.field, f"is needed by {mode.id}: give a data URI or an asset id"))
        elif slot.many:
            images.extend(_placed(slot, value, errors))
        elif isinstance(value, str):
            images.append(RequestedImage(slot.field, value, slot.role))
        else:
            errors.append(FieldError(slot.field, "must be text: a data URI or an asset id"))
    return images


def _placed(slot: ImageSlot, value: object, errors: list[FieldError]) -> list[RequestedImage]:
    if not isinstance(value, list) or not slot.minimum <= len(value) <= slot.maximum:
        allowed = {"minimum": slot.minimum, "maximum": slot.maximum}
        errors.append(FieldError(slot.field, "must be a list of {image, position}", allowed))
        return []
    images: list[RequestedImage] = []
    for index, item in enumerate(value):
        field = f"{slot.field}[{index}]"
        if not isinstance(item, dict) or set(item) != {"image", "position"} or not isinstance(item["image"], str):
            errors.append(FieldError(field, "must be {image: data URI or asset id, position: 0 to 1}"))
        elif not _is_position(item["position"]):
            errors.append(FieldError(f"{field}.position", "must be a number", {"minimum": 0, "maximum": 1}))
        else:
            images.append(RequestedImage(f"{field}.image", item["image"], slot.role, float(item["position"])))
    positions = [image.position for image in images]
    if len(set(positions)) != len(positions):
        errors.append(FieldError(slot.field, "has two images at one position"))
    return images


def _is_position(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def _refuse_unknown(model: Model, mode: Mode, body: Mapping[str, Any], errors: list[FieldError]) -> None:
    of_mode = {slot.field for slot in mode.images}
    for parameter in model.parameters:
        if not parameter.modes or mode.id in parameter.modes:
            of_mode |= {parameter.name, *parameter.aliases}
    known = sorted(_ROUTING_FIELDS | of_mode)
    errors.extend(
        FieldError(field, f"is not a field of {model.id} {mode.id}, which takes {', '.join(known)}")
        for field, value in body.items()
        if field not in known and not (value is None and field in _every_field(model))
    )


def _every_field(model: Model) -> set[str]:
    fields = {slot.field for mode in model.modes for slot in mode.images}
    return fields | {name for parameter in model.parameters for name in (parameter.name, *parameter.aliases)}


def _refuse_too_many_pixels(model: Model, values: dict[str, Any], errors: list[FieldError]) -> None:
    pixels = values.get("width", 0) * values.get("height", 0)
    if pixels > model.max_pixels:
        errors.append(FieldError("width", f"{pixels} pixels a frame are too many", {"max_pixels": model.max_pixels}))


def _action(error: FieldError) -> str:
    if error.allowed is None:
        return f"Mend {error.field}: it {error.message}"
    return f"Set {error.field} to an allowed value: {error.allowed}"
