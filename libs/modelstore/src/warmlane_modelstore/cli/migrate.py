"""`wan models migrate`: take over an older models folder, or put one back."""

from argparse import Namespace
from pathlib import Path

from warmlane_modelstore.cli.answer import Answer
from warmlane_modelstore.disk import human
from warmlane_modelstore.errors import Code, StoreError
from warmlane_modelstore.migrate import Proposal
from warmlane_modelstore.store import ModelStore


def run(chosen: Namespace, store: ModelStore) -> Answer:
    migrator = store.migrator()
    if chosen.rollback:
        restored = migrator.rollback(chosen.rollback)
        document = {"id": chosen.rollback, "dry_run": False, "rolled_back": True, "models": [], "left": restored}
        return Answer(document, f"{chosen.rollback}: {len(restored)} files put back")
    if not chosen.source:
        raise StoreError(Code.INVALID_MANIFEST, "no folder was named", "Name the old models folder, or use --rollback.")
    only = store.resolver.resolve(chosen.model) if chosen.model else None
    proposals, unlisted = store.propose_migration(Path(chosen.source).absolute(), only)
    identity = None
    if proposals and not chosen.dry_run:
        identity = migrator.adopt(proposals, keep=chosen.keep)
        for proposal in proposals:
            if proposal.action == "adopt":
                store.ensure(str(proposal.resolved.id))
                if not chosen.keep:
                    migrator.leave_link(proposal)
    lines = [_line(proposal) for proposal in proposals] or ["Nothing of the manifest's models was found there."]
    lines += [f"{name}: its files were never listed here; run wan models ensure once" for name in unlisted]
    if identity:
        lines.append(f"Undo with: wan models migrate --rollback {identity}")
    document = {
        "id": identity,
        "dry_run": chosen.dry_run,
        "models": [
            {
                "id": str(proposal.resolved.id),
                "files": len(proposal.takes),
                "bytes": sum(take.size for take in proposal.takes),
                "missing": list(proposal.missing),
                "action": proposal.action,
            }
            for proposal in proposals
        ],
        "left": unlisted,
    }
    return Answer(document, "\n".join(lines))


def _line(proposal: Proposal) -> str:
    size = human(sum(take.size for take in proposal.takes))
    rest = f", {len(proposal.missing)} files missing: wan models ensure fetches them" if proposal.missing else ""
    return f"{proposal.resolved.id}: {len(proposal.takes)} files, {size} in {proposal.folder}{rest}"
