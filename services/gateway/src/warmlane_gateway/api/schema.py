"""The JSON schema of a request, made from the catalogue: one variant per model."""

from typing import Any

from warmlane_contracts.catalogue import Catalogue, Model, Parameter
from warmlane_contracts.catalogue.resolve import DEFAULT_PRIORITY, PRIORITIES

_IMAGE = {"type": "string", "description": "A data URI (data:image/png;base64,…) or the id of an uploaded asset."}
_PLACED = {
    "type": "object",
    "required": ["image", "position"],
    "additionalProperties": False,
    "properties": {"image": _IMAGE, "position": {"type": "number", "minimum": 0, "maximum": 1}},
}
_KINDS = {"integer": "integer", "number": "number", "text": "string", "choice": "string"}


def generate_schema(catalogue: Catalogue) -> dict[str, Any]:
    """Return the schema of `POST /generate`'s body."""
    return {
        "type": "object",
        "required": ["model", "prompt"],
        "oneOf": [_model(model) for model in catalogue.models],
        "examples": [{"model": catalogue.models[-1].id, "prompt": "A paper boat on a rainy street", "seed": 7}],
    }


def _model(model: Model) -> dict[str, Any]:
    properties: dict[str, Any] = {
        "model": {"enum": [model.id, *model.aliases]},
        "type": {"enum": [model.type]},
        "mode": {"enum": [mode.id for mode in model.modes if mode.available]},
        "output_format": {"enum": list(model.output_formats), "default": model.output_formats[0]},
        "priority": {
            "type": "integer",
            "minimum": PRIORITIES.start,
            "maximum": PRIORITIES.stop - 1,
            "default": DEFAULT_PRIORITY,
            "description": "Higher goes first among your own waiting tasks; others' turns are not affected.",
        },
    }
    for parameter in model.parameters:
        for name in (parameter.name, *parameter.aliases):
            properties[name] = _parameter(parameter)
    for mode in model.modes:
        for slot in mode.images:
            placed = {"type": "array", "items": _PLACED, "minItems": slot.minimum, "maxItems": slot.maximum}
            properties[slot.field] = {"title": slot.title, **(placed if slot.many else _IMAGE)}
    return {
        "title": model.title,
        "description": model.summary,
        "type": "object",
        "required": ["model", "prompt"],
        "additionalProperties": False,
        "properties": properties,
    }


def _parameter(parameter: Parameter) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": _KINDS[parameter.kind], "title": parameter.title}
    if parameter.help:
        schema["description"] = parameter.help
    if parameter.locked:
        return schema | {"const": parameter.default, "description": parameter.reason}
    bounds = {
        "default": parameter.default,
        "minimum": parameter.minimum,
        "maximum": parameter.maximum,
        "maxLength": parameter.max_length,
        "enum": list(parameter.choices) or None,
    }
    return schema | {name: value for name, value in bounds.items() if value is not None}
