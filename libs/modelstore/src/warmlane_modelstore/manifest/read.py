"""From parsed TOML to entries: shapes and types only. What the values mean together is judged in `check.py`."""

from collections.abc import Mapping

from warmlane_modelstore.errors import Problem
from warmlane_modelstore.manifest.componentry import TYPES, component_of
from warmlane_modelstore.manifest.entries import (
    Borrow,
    Commercial,
    Convert,
    Defaults,
    FileSpec,
    Inline,
    Layout,
    License,
    Lora,
    Model,
    Source,
    SourceKind,
    Variant,
    Vram,
)
from warmlane_modelstore.manifest.table import Table


def read_models(document: Mapping[str, object], problems: list[Problem]) -> tuple[Model, ...]:
    """All `[[model]]` tables; problems are appended, and the result means nothing if there are any."""
    top = Table(document, "manifest", problems)
    top.integer("schema_version")
    top.table("store")
    models = tuple(_model(table) for table in top.tables("model"))
    top.close()
    return models


def read_quotas(
    document: Mapping[str, object], problems: list[Problem]
) -> tuple[int | None, tuple[tuple[str, int], ...]]:
    """The store's own limits: of everything, and of each family."""
    store = Table(document, "manifest", problems).table("store")
    total = store.integer("quota_bytes", minimum=1)
    families: list[tuple[str, int]] = []
    for family, limit in store.mapping("family_quota_bytes").items():
        if isinstance(limit, int) and not isinstance(limit, bool) and limit > 0:
            families.append((family, limit))
        else:
            store.problem(f"family_quota_bytes.{family}", f"is {limit!r}; expected bytes above 0")
    store.close()
    return total, tuple(families)


def _model(table: Table) -> Model:
    name = table.text("id", required=True)
    if name:
        table.where = f"model {name}"
    kind = table.text("type", required=True)
    typed = TYPES.get(kind)
    if kind and typed is None:
        table.problem("type", f"is {kind!r}; expected one of {', '.join(TYPES)}")
    components = table.table("components")
    required, optional = components.texts("required"), components.texts("optional")
    components.close()
    variants = tuple(_variant(each) for each in table.tables("variant"))
    model = Model(
        name=name,
        version=table.text("version", required=True),
        family=table.text("family", required=True),
        type=kind,
        title=table.text("title"),
        layout=table.choice("layout", Layout, Layout.DIFFUSERS, required=True),
        pipeline=table.text("pipeline"),
        license=_license(table.table("license")),
        default_variant=table.text("default_variant") or (variants[0].name if variants else ""),
        variants=variants,
        sources=tuple(_source(each) for each in table.tables("source")),
        required=tuple(dict.fromkeys((*(typed.required if typed else ()), *required))),
        optional=tuple(dict.fromkeys((*(typed.optional if typed else ()), *optional))),
        borrows=tuple(_borrow(each) for each in table.tables("borrow")),
        inlines=tuple(_inline(each) for each in table.tables("inline")),
        loras=tuple(_lora(each) for each in table.tables("lora")),
        defaults=_defaults(table.table("defaults")),
        vram=_vram(table.table("vram")),
        profiles=tuple((key, str(value)) for key, value in table.mapping("profiles").items()),
    )
    table.close()
    return model


def _variant(table: Table) -> Variant:
    variant = Variant(
        name=table.text("name", required=True),
        dtype_on_disk=table.text("dtype_on_disk", required=True),
        convert=table.choice("convert", Convert, Convert.NONE),
        files=tuple(_file(each) for each in table.tables("file")),
        sources=tuple(_source(each) for each in table.tables("source")),
        approximate_bytes=table.integer("approximate_bytes", minimum=1),
        weights_bytes=table.integer("weights_bytes", minimum=1),
        keep_fp32=table.texts("keep_fp32"),
    )
    table.close()
    return variant


def _file(table: Table) -> FileSpec:
    path = table.text("path", required=True)
    spec = FileSpec(
        path=path,
        size=table.integer("size"),
        sha256=table.maybe_text("sha256"),
        component=table.maybe_text("component") or component_of(path),
        optional=table.flag("optional"),
        source_path=table.maybe_text("source_path"),
    )
    table.close()
    return spec


def _source(table: Table) -> Source:
    source = Source(
        kind=table.choice("kind", SourceKind, SourceKind.LOCAL, required=True),
        subfolder=table.text("subfolder"),
        credentials=table.maybe_text("credentials"),
        path=table.maybe_text("path"),
        endpoint=table.maybe_text("endpoint"),
        region=table.text("region", "us-east-1"),
        bucket=table.maybe_text("bucket"),
        prefix=table.text("prefix"),
        virtual_host=table.flag("virtual_host"),
        repo=table.maybe_text("repo"),
        revision=table.maybe_text("revision"),
        allow=table.texts("allow"),
        ignore=table.texts("ignore"),
        base=table.maybe_text("base"),
        presigned=table.flag("presigned"),
    )
    table.close()
    return source


def _borrow(table: Table) -> Borrow:
    borrow = Borrow(model=table.text("model", required=True), paths=table.texts("paths"))
    if not borrow.paths:
        table.problem("paths", "is missing; name the files or patterns to borrow")
    table.close()
    return borrow


def _inline(table: Table) -> Inline:
    inline = Inline(path=table.text("path", required=True), text=table.text("text", required=True))
    table.close()
    return inline


def _lora(table: Table) -> Lora:
    scale = table.number("scale")
    lora = Lora(
        name=table.text("name", required=True),
        file=_file(table.table("file")),
        sources=tuple(_source(each) for each in table.tables("source")),
        scale=1.0 if scale is None else scale,
        applies_to=table.texts("applies_to"),
    )
    table.close()
    return lora


def _license(table: Table) -> License:
    found = License(
        spdx=table.text("spdx", required=True),
        url=table.text("url"),
        extra=table.text("extra"),
        commercial=table.choice("commercial", Commercial, Commercial.UNKNOWN, required=True),
        accept=table.flag("accept"),
    )
    table.close()
    return found


def _defaults(table: Table) -> Defaults:
    found = Defaults(
        frames=table.integer("frames", minimum=1),
        fps=table.integer("fps", minimum=1),
        width=table.integer("width", minimum=1),
        height=table.integer("height", minimum=1),
        steps=table.integer("steps", minimum=1),
        guidance_scale=table.number("guidance_scale"),
        guidance_scale_2=table.number("guidance_scale_2"),
        shift=table.number("shift"),
        boundary_ratio=table.number("boundary_ratio"),
        scheduler=table.maybe_text("scheduler"),
        precision=table.maybe_text("precision"),
    )
    table.close()
    return found


def _vram(table: Table) -> Vram:
    found = Vram(
        overhead_bytes=table.integer("overhead_bytes") or 0,
        vae_decode_bytes_per_pixel=table.integer("vae_decode_bytes_per_pixel") or 0,
        activation_bytes_per_token=table.integer("activation_bytes_per_token") or 0,
        experts_resident=table.integer("experts_resident", minimum=1) or 1,
        minimum_gib=table.number("minimum_gib"),
    )
    table.close()
    return found
