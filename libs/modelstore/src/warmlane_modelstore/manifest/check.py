"""What the values of a manifest must satisfy together: ids, paths, hashes, sources, components, borrowing.

Every function appends to one list of problems and none stops at the first, so a person sees all of them at once.
"""

import re
from collections import Counter
from collections.abc import Sequence

from warmlane_modelstore.errors import Problem
from warmlane_modelstore.manifest.componentry import TYPES
from warmlane_modelstore.manifest.entries import Convert, FileSpec, Layout, Model, Source, SourceKind, Variant
from warmlane_modelstore.manifest.identity import NAME, VERSION
from warmlane_modelstore.manifest.pathrules import collisions, path_problem

_SHA256 = re.compile(r"[0-9a-f]{64}")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_REPO = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*")
# What could be read as a secret; a manifest is signed and shared, so it may only name credentials.
_SECRET_QUERY = re.compile(r"[?&](X-Amz-Signature|X-Amz-Credential|Signature|token|sig)=", re.IGNORECASE)


def check_models(models: Sequence[Model], problems: list[Problem]) -> None:
    """Check each model and what lies between them."""
    _unique([f"{model.name}@{model.version}" for model in models], "manifest", "model", problems)
    _folded([model.name for model in models], problems)
    for model in models:
        _check_model(model, problems)
        _check_borrows(model, models, problems)


def _unique(names: Sequence[str], where: str, noun: str, problems: list[Problem]) -> None:
    problems.extend(
        Problem(where, f"{noun} {name!r} is defined {count} times")
        for name, count in Counter(names).items()
        if count > 1
    )


def _folded(names: Sequence[str], problems: list[Problem]) -> None:
    seen: dict[str, str] = {}
    for name in dict.fromkeys(names):
        other = seen.setdefault(name.casefold(), name)
        if other != name:
            problems.append(
                Problem(
                    "manifest", f"models {other!r} and {name!r} differ only by case; their directories would collide"
                )
            )


def _check_model(model: Model, problems: list[Problem]) -> None:
    where = f"model {model.name}"
    for key, value, pattern in (
        ("id", model.name, NAME),
        ("version", model.version, VERSION),
        ("family", model.family, NAME),
    ):
        if value and (not pattern.fullmatch(value) or path_problem(value)):
            problems.append(
                Problem(f"{where}.{key}", f"{value!r} is not allowed; letters, digits, '.', '_' and '-' are")
            )
    if not model.variants:
        problems.append(Problem(where, "has no [[model.variant]]"))
    _unique([variant.name for variant in model.variants], where, "variant", problems)
    _check_variant_names(model, where, problems)
    pinned = all(_pinned(variant.files) for variant in model.variants if not variant.sources)
    for source in model.sources:
        _check_source(source, f"{where}.source", problems, pinned=pinned)
    for variant in model.variants:
        _check_variant(model, variant, f"{where}.variant {variant.name}", problems)
    for lora in model.loras:
        _check_file(lora.file, f"{where}.lora {lora.name}", problems)
        for source in lora.sources:
            _check_source(source, f"{where}.lora {lora.name}.source", problems, pinned=_pinned([lora.file]))
    _unique([lora.name for lora in model.loras], where, "lora", problems)


def _check_variant_names(model: Model, where: str, problems: list[Problem]) -> None:
    names = {variant.name for variant in model.variants}
    wanted = [("default_variant", model.default_variant), *((f"profiles.{key}", name) for key, name in model.profiles)]
    problems.extend(
        Problem(f"{where}.{key}", f"names {name!r}; there are {', '.join(sorted(names))}")
        for key, name in wanted
        if name and names and name not in names
    )


def _check_variant(model: Model, variant: Variant, where: str, problems: list[Problem]) -> None:
    if variant.name and (not NAME.fullmatch(variant.name) or path_problem(variant.name)):
        problems.append(
            Problem(f"{where}.name", f"{variant.name!r} is not allowed; letters, digits, '.', '_' and '-' are")
        )
    sources = model.sources_for(variant)
    if not sources and (variant.files or not model.borrows):
        problems.append(Problem(where, "has no source: add [[model.source]] or [[model.variant.source]]"))
    for source in variant.sources:
        _check_source(source, f"{where}.source", problems, pinned=_pinned(variant.files))
    for spec in variant.files:
        _check_file(spec, where, problems)
    _check_inlines(model, where, problems)
    paths = [*(spec.path for spec in variant.files), *(inline.path for inline in model.inlines)]
    problems.extend(Problem(where, text) for text in collisions(paths))
    if not variant.files and not any(_can_list(source) for source in sources) and not model.borrows:
        problems.append(Problem(where, "lists no files, and no source can list them (hub with allow, s3, local)"))
    _check_components(model, variant, where, problems)
    if model.layout is Layout.SINGLE_FILE and len(variant.files) > 1:
        problems.append(Problem(where, "layout single-file has exactly one file"))
    if model.layout is Layout.WAN_ORIGINAL and variant.convert is Convert.NONE:
        problems.append(Problem(f"{where}.convert", "must be bf16: lanes load the diffusers layout only"))


def _check_inlines(model: Model, where: str, problems: list[Problem]) -> None:
    for inline in model.inlines:
        problem = path_problem(inline.path)
        if problem:
            problems.append(Problem(f"{where}.inline", f"{inline.path!r} {problem}"))


def _can_list(source: Source) -> bool:
    return source.kind in {SourceKind.LOCAL, SourceKind.S3} or (source.kind is SourceKind.HUB and bool(source.allow))


def _check_file(spec: FileSpec, where: str, problems: list[Problem]) -> None:
    for path in filter(None, (spec.path, spec.source_path)):
        problem = path_problem(path)
        if problem:
            problems.append(Problem(f"{where}.file", f"{path!r} {problem}"))
    if spec.sha256 is not None and not _SHA256.fullmatch(spec.sha256):
        problems.append(Problem(f"{where}.file {spec.path}", "sha256 is not 64 lower-case hex digits"))
    if spec.path.endswith((".pth", ".pt", ".ckpt", ".pkl", ".bin")):
        problems.append(
            Problem(f"{where}.file {spec.path}", "is a pickle; borrow the equal safetensors component instead")
        )


def _check_components(model: Model, variant: Variant, where: str, problems: list[Problem]) -> None:
    typed = TYPES.get(model.type)
    if typed is None or not variant.files or model.layout is not Layout.DIFFUSERS:
        return
    present = {spec.component for spec in variant.files}
    present |= {pattern.partition("/")[0] for borrow in model.borrows for pattern in borrow.paths}
    problems.extend(
        Problem(where, f"lacks the component {name!r}, which {model.type} requires")
        for name in model.required
        if name not in present
    )
    problems.extend(
        Problem(where, f"has the component {name!r}, which {model.type} must not have")
        for name in typed.refused
        if name in present and name not in model.optional
    )


def _pinned(files: Sequence[FileSpec]) -> bool:
    """Whether the manifest itself binds every byte, so that a moving revision could only fail, never deceive."""
    return bool(files) and all(spec.sha256 for spec in files)


def _check_source(source: Source, where: str, problems: list[Problem], *, pinned: bool) -> None:
    needed = {
        SourceKind.LOCAL: ("path",),
        SourceKind.S3: ("bucket",),
        SourceKind.HUB: ("repo", "revision"),
        SourceKind.URL: ("credentials",) if source.presigned else ("base",),
    }[source.kind]
    problems.extend(
        Problem(f"{where}.{key}", f"is missing; a {source.kind} source needs it")
        for key in needed
        if not getattr(source, key)
    )
    if source.kind is SourceKind.HUB:
        _check_hub(source, where, problems, pinned=pinned)
    if source.subfolder and path_problem(source.subfolder.strip("/")):
        problems.append(
            Problem(f"{where}.subfolder", f"{source.subfolder!r} {path_problem(source.subfolder.strip('/'))}")
        )
    for text in filter(None, (source.endpoint, source.base)):
        if _SECRET_QUERY.search(text) or "@" in text.split("://", 1)[-1].split("/", 1)[0]:
            problems.append(Problem(where, "holds a secret in its URL; name credentials instead"))
        if not text.startswith(("http://", "https://")):
            problems.append(Problem(where, f"{text!r} is no http or https URL"))


def _check_hub(source: Source, where: str, problems: list[Problem], *, pinned: bool) -> None:
    if source.repo and not _REPO.fullmatch(source.repo):
        problems.append(Problem(f"{where}.repo", f"{source.repo!r} is not organisation/name"))
    if source.revision and not pinned and not _COMMIT.fullmatch(source.revision):
        problems.append(Problem(f"{where}.revision", f"{source.revision!r} can move; pin the 40-hex commit"))


def _check_borrows(model: Model, models: Sequence[Model], problems: list[Problem]) -> None:
    names = {other.name for other in models}
    for borrow in model.borrows:
        where = f"model {model.name}.borrow"
        if borrow.model == model.name:
            problems.append(Problem(where, "borrows from itself"))
        elif borrow.model not in names:
            problems.append(Problem(where, f"names {borrow.model!r}; there are {', '.join(sorted(names))}"))
        elif any(lender.borrows for lender in models if lender.name == borrow.model and _overlap(lender, borrow.paths)):
            problems.append(
                Problem(where, f"{borrow.model!r} itself borrows these files; borrow from their first owner")
            )


def _overlap(lender: Model, patterns: Sequence[str]) -> bool:
    lent = {pattern for borrow in lender.borrows for pattern in borrow.paths}
    return bool(lent & set(patterns))
