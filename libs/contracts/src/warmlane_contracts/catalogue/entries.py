"""The catalogue's entries as types, and the loading of the file.

A profile replaces defaults and nothing else: `tiny` asks for small short clips, because the tiny engines run on a CPU.
Bounds, locks and modes are the same in every profile, so a request that is valid in one is valid in all.
"""

from functools import cache
from importlib.resources import files
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from warmlane_contracts.messages import InputRole, OutputFormat

Profile = Literal["production", "tiny"]


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Parameter(_Entry):
    """One parameter of a model: its kind, bounds, default, and whether it is locked to its default.

    Integers are `offset + k * step`. A parameter with `modes` exists in those modes only.
    """

    name: str
    kind: Literal["integer", "number", "text", "choice"]
    title: str
    help: str = ""
    unit: str = ""
    default: int | float | str | None = None
    required: bool = False
    locked: bool = False
    reason: str = ""
    minimum: float | None = None
    maximum: float | None = None
    step: int | None = None
    offset: int = 0
    max_length: int | None = None
    choices: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    modes: tuple[str, ...] = ()


class ImageSlot(_Entry):
    """A request field that takes an image (or a list of placed images), and the role it plays in the engine."""

    field: str
    role: InputRole
    title: str
    many: bool = False
    minimum: int = 1
    maximum: int = 1


class Mode(_Entry):
    """A way to use a model. One that is not `available` says why in `reason` and answers `mode_unavailable`."""

    id: str
    title: str
    images: tuple[ImageSlot, ...] = ()
    available: bool = True
    reason: str = ""


class Preset(_Entry):
    """A named set of values a form offers."""

    id: str
    title: str
    values: dict[str, int]


class ModelRuntime(_Entry):
    """What an engine needs to know to run the model right. Sigmas, where given, are the sampler's whole table."""

    engine: str
    pipeline: Literal["wan_image_to_video", "wan_vace"]
    scheduler: Literal["unipc_flow", "rf_ancestral"]
    shift: float
    steps: int
    cfg: float
    sigmas: tuple[float, ...] = ()
    boundary_ratio: float | None = None
    frame_step: int = 4
    frame_offset: int = 1
    anchor_step: int = 1
    size_multiple: int = 16
    text_tokens: int = 512
    prompt_suffix: str = ""
    vae_tiling_from_pixels: int = 0


class Model(_Entry):
    """A model: its lane, its modes, its parameters, its presets and its runtime."""

    id: str
    title: str
    summary: str
    type: Literal["video", "image"]
    lane: str
    aliases: tuple[str, ...] = ()
    default_mode: str
    modes: tuple[Mode, ...]
    parameters: tuple[Parameter, ...]
    max_pixels: int
    output_formats: tuple[OutputFormat, ...]
    presets: dict[str, tuple[Preset, ...]] = Field(default_factory=dict)
    runtime: ModelRuntime

    def mode(self, mode_id: str) -> Mode | None:
        """Return the mode of that id, or None."""
        return next((mode for mode in self.modes if mode.id == mode_id), None)


class Catalogue(_Entry):
    """The whole file."""

    schema_version: Literal[1]
    profiles: dict[Profile, dict[str, int | float | str]]
    models: tuple[Model, ...]

    def model_of(self, name: str) -> Model | None:
        """Return the model with that id or alias, or None."""
        return next((model for model in self.models if name == model.id or name in model.aliases), None)


@cache
def load_catalogue(profile: Profile = "production") -> Catalogue:
    """Return the catalogue with the profile's defaults applied. Raises pydantic's error if the file is not valid."""
    text = (files("warmlane_contracts.catalogue") / "catalogue.json").read_text("utf-8")
    catalogue = Catalogue.model_validate_json(text)
    defaults = catalogue.profiles[profile]
    return catalogue.model_copy(update={"models": tuple(_with_defaults(model, defaults) for model in catalogue.models)})


def _with_defaults(model: Model, defaults: dict[str, int | float | str]) -> Model:
    parameters = tuple(
        parameter.model_copy(update={"default": defaults[parameter.name]})
        if parameter.name in defaults and not parameter.locked
        else parameter
        for parameter in model.parameters
    )
    return model.model_copy(update={"parameters": parameters})
