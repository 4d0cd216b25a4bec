"""Why is this 126 GB? Every byte of a model by component, with what it shares, how it came and what would shrink it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from warmlane_modelstore.collect import Published
from warmlane_modelstore.disk import human
from warmlane_modelstore.manifest.entries import Convert
from warmlane_modelstore.planning import Plan
from warmlane_modelstore.record import Record
from warmlane_modelstore.resolver import Resolved


@dataclass
class ComponentLine:
    """One component: files, bytes, and how many of the bytes other models hold as well."""

    component: str
    files: int = 0
    bytes: int = 0
    shared_bytes: int = 0
    shared_with: set[str] = field(default_factory=set)
    dtypes: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Explanation:
    """The components, largest first, and sentences a person can act on."""

    model: str
    total_bytes: int
    own_bytes: int
    components: tuple[ComponentLine, ...]
    sentences: tuple[str, ...]


def explain_record(resolved: Resolved, record: Record, others: Sequence[Published]) -> Explanation:
    """From what is published."""
    holders: dict[str, set[str]] = {}
    for other in others:
        if other.record.id != record.id:
            for file in other.record.files:
                holders.setdefault(file.sha256, set()).add(other.record.id)
    lines: dict[str, ComponentLine] = {}
    for file in record.files:
        line = lines.setdefault(file.component or "(top)", ComponentLine(file.component or "(top)"))
        line.files += 1
        line.bytes += file.size
        if file.sha256 in holders:
            line.shared_bytes += file.size
            line.shared_with |= holders[file.sha256]
    shared = sum(line.shared_bytes for line in lines.values())
    return Explanation(
        model=record.id,
        total_bytes=record.size,
        own_bytes=record.size - shared,
        components=_ordered(lines),
        sentences=tuple(_sentences(resolved, lines, record.size, shared, record)),
    )


def explain_plan(resolved: Resolved, plan: Plan) -> Explanation:
    """From what would be fetched, before anything is there."""
    lines: dict[str, ComponentLine] = {}
    for file in plan.files:
        name = file.spec.component or "(top)"
        line = lines.setdefault(name, ComponentLine(name))
        line.files += 1
        line.bytes += file.spec.size or 0
        if file.borrowed_from:
            line.shared_bytes += file.spec.size or 0
            line.shared_with.add(file.borrowed_from)
    shared = sum(line.shared_bytes for line in lines.values())
    return Explanation(
        model=str(resolved.id),
        total_bytes=plan.size,
        own_bytes=plan.size - shared,
        components=_ordered(lines),
        sentences=tuple(_sentences(resolved, lines, plan.size, shared, None)),
    )


def _ordered(lines: dict[str, ComponentLine]) -> tuple[ComponentLine, ...]:
    return tuple(sorted(lines.values(), key=lambda line: (-line.bytes, line.component)))


def _sentences(
    resolved: Resolved, lines: dict[str, ComponentLine], total: int, shared: int, record: Record | None
) -> list[str]:
    said: list[str] = []
    experts = [name for name in ("transformer", "transformer_2") if name in lines]
    if len(experts) > 1:
        each = lines["transformer"].bytes
        said.append(f"It has two experts of {human(each)}; only one denoises at a time, both are kept on disk.")
    variant = resolved.variant
    if record is not None and record.converted != Convert.NONE:
        before = sum(origin.size for origin in record.origins)
        said.append(
            f"It was {human(before)} of {variant.dtype_on_disk} weights at the source, kept here as {record.converted}."
        )
    elif variant.convert is not Convert.NONE:
        said.append(f"The source holds {variant.dtype_on_disk}; ensure keeps {variant.convert}, about half of that.")
    elif variant.dtype_on_disk == "fp32":
        smaller = [v.name for v in resolved.model.variants if v.convert is Convert.BF16]
        if smaller:
            said.append(f"It is kept in fp32; the variant #{smaller[0]} needs about half.")
    if shared:
        others = sorted({name for line in lines.values() for name in line.shared_with})
        said.append(f"{human(shared)} of {human(total)} are shared with {', '.join(others)} and stored once.")
    return said
