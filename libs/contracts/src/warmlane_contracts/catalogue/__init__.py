"""The catalogue: what models there are and what a request may ask of them.

One JSON file (`catalogue.json`) drives the gateway's validation, the lanes' runtime, the defaults and the web forms.
`entries` gives it types, `resolve` turns a request's body into parameters with nothing left open, `check` judges one
value against one parameter.
"""

from warmlane_contracts.catalogue.anchors import anchor_frame
from warmlane_contracts.catalogue.entries import (
    Catalogue,
    ImageSlot,
    Mode,
    Model,
    ModelRuntime,
    Parameter,
    Preset,
    Profile,
    load_catalogue,
)
from warmlane_contracts.catalogue.resolve import RequestedImage, ResolvedRequest, ValidationFailedError, resolve

__all__ = [
    "Catalogue",
    "ImageSlot",
    "Mode",
    "Model",
    "ModelRuntime",
    "Parameter",
    "Preset",
    "Profile",
    "RequestedImage",
    "ResolvedRequest",
    "ValidationFailedError",
    "anchor_frame",
    "load_catalogue",
    "resolve",
]
