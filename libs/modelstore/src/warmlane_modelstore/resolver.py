"""From what somebody typed to exactly one variant of one model, the same answer every time.

    text ─► name ─► version (named, else highest) ─► variant (named, else profile's, else default) ─► Resolved

Pure: it reads the manifest and nothing else. Where the files lie is decided by `places.py`.
"""

import difflib
from dataclasses import dataclass

from warmlane_modelstore.errors import Code, StoreError
from warmlane_modelstore.manifest.entries import Manifest, Model, Source, Variant
from warmlane_modelstore.manifest.identity import ModelId, Wanted, version_order

# Of a manifest with a thousand models, an error names this many.
_SHOWN = 40


@dataclass(frozen=True, slots=True)
class Resolved:
    """One variant of one model, with all that ensure and the lanes need to know about it."""

    id: ModelId
    model: Model
    variant: Variant

    @property
    def sources(self) -> tuple[Source, ...]:
        return self.model.sources_for(self.variant)


class Resolver:
    """Resolves against one manifest. `profile` (dev, prod …) picks the variant a model names for it."""

    def __init__(self, manifest: Manifest, *, profile: str | None = None) -> None:
        self._manifest = manifest
        self._profile = profile
        self._by_name: dict[str, list[Model]] = {}
        for model in manifest.models:
            self._by_name.setdefault(model.name, []).append(model)
        for models in self._by_name.values():
            models.sort(key=lambda model: version_order(model.version))

    def resolve(self, text: str) -> Resolved:
        """Raises StoreError UNKNOWN_MODEL naming what exists, the nearest first."""
        try:
            wanted = Wanted.parse(text)
        except ValueError as error:
            raise self._unknown(text, str(error)) from error
        model = self._model(text, wanted)
        variant = model.variant(wanted.variant or self._variant_name(model))
        if variant is None:
            raise self._unknown(text, f"{model.name}@{model.version} has no variant {wanted.variant!r}")
        return Resolved(model.id(variant), model, variant)

    def all(self) -> tuple[Resolved, ...]:
        """Every model at its highest version in the variant it would resolve to, in manifest order."""
        return tuple(self.resolve(name) for name in self._by_name)

    def every_variant(self) -> tuple[Resolved, ...]:
        """Every variant of every version: what may lie on the disk."""
        return tuple(
            Resolved(model.id(variant), model, variant) for model in self._manifest.models for variant in model.variants
        )

    def _model(self, text: str, wanted: Wanted) -> Model:
        models = self._by_name.get(wanted.name)
        if not models:
            raise self._unknown(text, f"there is no model {wanted.name!r}")
        if wanted.version is None:
            return models[-1]
        for model in models:
            if model.version == wanted.version:
                return model
        versions = ", ".join(model.version for model in models)
        raise self._unknown(text, f"{wanted.name} has the versions {versions}")

    def _variant_name(self, model: Model) -> str:
        return dict(model.profiles).get(self._profile or "", model.default_variant)

    def _unknown(self, text: str, detail: str) -> StoreError:
        known = sorted(str(resolved.id) for resolved in self.every_variant())
        close = difflib.get_close_matches(text, [*self._by_name, *known], n=3, cutoff=0.5)
        hint = f"Did you mean {', '.join(close)}? " if close else ""
        more = len(known) - _SHOWN
        shown = ", ".join(known[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
        return StoreError(Code.UNKNOWN_MODEL, detail, f"{hint}The manifest has: {shown}")
