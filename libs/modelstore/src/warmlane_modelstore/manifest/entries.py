"""What a manifest says, as frozen values: models, their variants, files, sources, licences and memory figures.

    Manifest ── Model (id, version, type, layout) ── Variant (bf16, fp8 …) ── FileSpec (path, size, sha256)
                   ├─ Source (local | s3 | hub | url), in the order they are asked
                   ├─ Borrow (files taken from another model: one text encoder for all)
                   ├─ Inline (small configuration files the manifest itself holds)
                   └─ License, Defaults, Vram, Lora

Dataclasses and not pydantic: `wan models status` reads a manifest in every process, and may take 150 ms in all.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from warmlane_modelstore.manifest.identity import ModelId

SCHEMA_VERSION = 1


class Layout(StrEnum):
    """How the source lays a model out. What lanes get is always the diffusers layout, or the single file itself."""

    DIFFUSERS = "diffusers"
    WAN_ORIGINAL = "wan-original"
    AIO = "aio"
    SINGLE_FILE = "single-file"


class Convert(StrEnum):
    """What ensure does with the bytes it brought."""

    NONE = "none"
    BF16 = "bf16"


class SourceKind(StrEnum):
    """Where bytes come from."""

    LOCAL = "local"
    S3 = "s3"
    HUB = "hub"
    URL = "url"


class Commercial(StrEnum):
    """Whether outputs may be sold, as far as the licence says."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class FileSpec:
    """One file: its place in the model, and what is known of its bytes before they come.

    `size` or `sha256` is None where nobody published it; the source's own word (LFS oid, checksum, ETag) is taken
    then, and the record says so.
    """

    path: str
    size: int | None = None
    sha256: str | None = None
    component: str | None = None
    optional: bool = False
    source_path: str | None = None

    @property
    def remote(self) -> str:
        return self.source_path or self.path


@dataclass(frozen=True, slots=True)
class Source:
    """One place to ask. Which fields count depends on `kind`; secrets are never here, only `credentials`, their name."""

    kind: SourceKind
    subfolder: str = ""
    credentials: str | None = None
    # local
    path: str | None = None
    # s3
    endpoint: str | None = None
    region: str = "us-east-1"
    bucket: str | None = None
    prefix: str = ""
    virtual_host: bool = False
    # hub
    repo: str | None = None
    revision: str | None = None
    allow: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    # url
    base: str | None = None
    presigned: bool = False

    @property
    def label(self) -> str:
        """What errors, records and progress call it."""
        match self.kind:
            case SourceKind.LOCAL:
                return f"local:{self.path}"
            case SourceKind.S3:
                return f"s3://{self.bucket}/{self.prefix}".rstrip("/")
            case SourceKind.HUB:
                return f"hub:{self.repo}@{(self.revision or '')[:8]}"
            case SourceKind.URL:
                return f"url:{self.base or self.credentials}"

    def remote_path(self, path: str) -> str:
        return f"{self.subfolder.strip('/')}/{path}" if self.subfolder.strip("/") else path


@dataclass(frozen=True, slots=True)
class Variant:
    """One precision of a model: what lies at the source, and what ensure makes of it."""

    name: str
    dtype_on_disk: str
    convert: Convert = Convert.NONE
    files: tuple[FileSpec, ...] = ()
    sources: tuple[Source, ...] = ()
    approximate_bytes: int | None = None
    weights_bytes: int | None = None
    keep_fp32: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Borrow:
    """Files that are the same in another model (`model` is its id): linked from the blob store, brought at most once."""

    model: str
    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Inline:
    """A small text file written as it stands here: a configuration no source has in this layout."""

    path: str
    text: str


@dataclass(frozen=True, slots=True)
class License:
    """What the weights may be used for. `accept` marks licences an operator must accept by name before ensure."""

    spdx: str
    url: str = ""
    extra: str = ""
    commercial: Commercial = Commercial.UNKNOWN
    accept: bool = False


@dataclass(frozen=True, slots=True)
class Defaults:
    """What a request gets when it does not say; the lanes' catalogue has the last word."""

    frames: int | None = None
    fps: int | None = None
    width: int | None = None
    height: int | None = None
    steps: int | None = None
    guidance_scale: float | None = None
    guidance_scale_2: float | None = None
    shift: float | None = None
    boundary_ratio: float | None = None
    scheduler: str | None = None
    precision: str | None = None


@dataclass(frozen=True, slots=True)
class Vram:
    """Figures of the memory estimate; see `vram.py` for the formula and its source."""

    overhead_bytes: int = 0
    vae_decode_bytes_per_pixel: int = 0
    activation_bytes_per_token: int = 0
    experts_resident: int = 1
    minimum_gib: float | None = None


@dataclass(frozen=True, slots=True)
class Lora:
    """An overlay on a model: its file, where it comes from, and how strongly it is applied unless a request says."""

    name: str
    file: FileSpec
    sources: tuple[Source, ...]
    scale: float = 1.0
    applies_to: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Model:
    """One model at one version, with all its variants."""

    name: str
    version: str
    family: str
    type: str
    title: str
    layout: Layout
    pipeline: str
    license: License
    default_variant: str
    variants: tuple[Variant, ...]
    sources: tuple[Source, ...]
    required: tuple[str, ...]
    optional: tuple[str, ...] = ()
    borrows: tuple[Borrow, ...] = ()
    inlines: tuple[Inline, ...] = ()
    loras: tuple[Lora, ...] = ()
    defaults: Defaults = field(default_factory=Defaults)
    vram: Vram = field(default_factory=Vram)
    profiles: tuple[tuple[str, str], ...] = ()

    def variant(self, name: str) -> Variant | None:
        return next((variant for variant in self.variants if variant.name == name), None)

    def id(self, variant: Variant) -> ModelId:
        return ModelId(self.name, self.version, variant.name)

    def sources_for(self, variant: Variant) -> tuple[Source, ...]:
        return variant.sources or self.sources


@dataclass(frozen=True, slots=True)
class Manifest:
    """The whole file, checked. `origin` is where it was read, for messages; `digest` its sha256."""

    origin: str
    digest: str
    models: tuple[Model, ...]
    quota_bytes: int | None = None
    family_quota_bytes: tuple[tuple[str, int], ...] = ()
