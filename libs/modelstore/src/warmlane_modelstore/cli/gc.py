"""`wan models gc`: what went, what stayed, and why."""

from argparse import Namespace

from warmlane_modelstore.cli.answer import Answer
from warmlane_modelstore.collect import Decision, Goal
from warmlane_modelstore.disk import human
from warmlane_modelstore.store import ModelStore

_NO_SPACE = 6


def run(chosen: Namespace, store: ModelStore) -> Answer:
    goal = Goal(free=chosen.free, idle_s=chosen.idle, family=chosen.family, partial=chosen.partial)
    report = store.collect(goal, dry_run=chosen.dry_run)
    verb = "would be removed" if report.dry_run else "removed"
    lines = [
        f"{item.model:<28} {verb if item.decision is Decision.REMOVED else 'kept':<16} {human(item.frees):>10}  {item.reason}"
        for item in report.items
    ]
    lines.append(f"{human(report.freed)} {'would be' if report.dry_run else 'were'} freed")
    if report.swept.count:
        lines.append(f"  of which {human(report.swept.bytes)} in {report.swept.count} files nobody referenced")
    if not report.enough:
        lines.append(
            f"That is less than the {human(report.wanted or 0)} asked for: unpin models or stop the lanes that use them."
        )
    document = {
        "dry_run": report.dry_run,
        "freed": report.freed,
        "wanted": report.wanted,
        "enough": report.enough,
        "models": [
            {
                "id": item.model,
                "decision": str(item.decision),
                "reason": item.reason,
                "frees": item.frees,
                "last_used": item.last_used,
            }
            for item in report.items
        ],
        "unreferenced": {"files": report.swept.count, "bytes": report.swept.bytes},
        "stale_parts_bytes": report.stale_parts,
    }
    return Answer(document, "\n".join(lines), 0 if report.enough else _NO_SPACE)
