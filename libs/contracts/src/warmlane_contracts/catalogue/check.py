"""One value against one parameter. Returns the value in its proper type, or the reason it is not acceptable."""

import math
from typing import Any

from warmlane_contracts.catalogue.entries import Parameter
from warmlane_contracts.errors import FieldError


def check(parameter: Parameter, field: str, value: Any) -> int | float | str | FieldError:  # noqa: ANN401 - JSON from a client
    """Return `value` as the parameter's type, or a `FieldError` that names `field` as the client wrote it."""
    match parameter.kind:
        case "text":
            return _text(parameter, field, value)
        case "choice":
            return _choice(parameter, field, value)
        case "integer":
            return _locked(parameter, field, _integer(parameter, field, value))
        case "number":
            return _locked(parameter, field, _number(parameter, field, value))


def _text(parameter: Parameter, field: str, value: Any) -> str | FieldError:  # noqa: ANN401
    if not isinstance(value, str):
        return FieldError(field, "must be text")
    if parameter.required and not value.strip():
        return FieldError(field, "must not be empty")
    if parameter.max_length is not None and len(value) > parameter.max_length:
        return FieldError(field, f"has {len(value)} characters", {"max_length": parameter.max_length})
    if "\x00" in value:
        return FieldError(field, "must not hold a NUL character")
    if any("\ud800" <= letter <= "\udfff" for letter in value):
        return FieldError(field, "must not hold half a surrogate pair")
    return value


def _choice(parameter: Parameter, field: str, value: Any) -> str | FieldError:  # noqa: ANN401
    if isinstance(value, str) and value in parameter.choices:
        return value
    return FieldError(field, f"{value!r:.80} is not one of the choices", list(parameter.choices))


def _integer(parameter: Parameter, field: str, value: Any) -> int | FieldError:  # noqa: ANN401
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        return FieldError(field, "must be a whole number", _bounds(parameter))
    if _outside(parameter, value) or (parameter.step and (value - parameter.offset) % parameter.step):
        return FieldError(field, f"{value} is not allowed", _bounds(parameter))
    return value


def _number(parameter: Parameter, field: str, value: Any) -> float | FieldError:  # noqa: ANN401
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        return FieldError(field, "must be a number", _bounds(parameter))
    if _outside(parameter, value):
        return FieldError(field, f"{value} is not allowed", _bounds(parameter))
    return float(value)


def _locked(parameter: Parameter, field: str, value: float | FieldError) -> int | float | FieldError:
    if isinstance(value, FieldError) or not parameter.locked or value == parameter.default:
        return value
    return FieldError(field, f"is fixed: {parameter.reason}", parameter.default)


def _outside(parameter: Parameter, value: float) -> bool:
    # A lock is reported as a lock, with the one allowed value, so its bounds are not asked.
    if parameter.locked:
        return False
    below = parameter.minimum is not None and value < parameter.minimum
    return below or (parameter.maximum is not None and value > parameter.maximum)


def _bounds(parameter: Parameter) -> Any:  # noqa: ANN401 - a JSON value
    if parameter.locked:
        return parameter.default
    bounds: dict[str, float] = {}
    if parameter.minimum is not None:
        bounds["minimum"] = parameter.minimum
    if parameter.maximum is not None:
        bounds["maximum"] = parameter.maximum
    if parameter.step and parameter.step > 1:
        bounds |= {"step": parameter.step, "offset": parameter.offset}
    return bounds
