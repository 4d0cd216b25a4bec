"""`wan models smoke`: components, memory estimate, then one or two denoise steps through the lane's engine."""

import time
from argparse import Namespace

from warmlane_modelstore.cli.answer import Answer
from warmlane_modelstore.disk import human
from warmlane_modelstore.smoke import check, generator
from warmlane_modelstore.store import ModelStore


def run(chosen: Namespace, store: ModelStore) -> Answer:
    # Before anything is checked: a missing engine shall not show only after the first model.
    generate = None if chosen.check_only else generator()
    documents: list[dict[str, object]] = []
    lines: list[str] = []
    for name in chosen.models:
        resolved = store.resolver.resolve(name)
        with store.use(name) as directory:
            checked = check(resolved, store.record(name))
            began = time.monotonic()
            made = generate(resolved.model.name, directory, chosen.steps, chosen.engine) if generate else None
            seconds = round(time.monotonic() - began, 3) if generate else None
        documents.append(
            {
                "id": str(resolved.id),
                "pipeline": resolved.model.pipeline,
                "components": list(checked.components),
                "vram_bytes": checked.vram_bytes,
                "steps": chosen.steps if generate else 0,
                "seconds": seconds,
                "output": str(made) if made else None,
            }
        )
        memory = f"about {human(checked.vram_bytes)} of GPU memory" if checked.vram_bytes else "memory not known"
        lines.append(f"{resolved.id}: {resolved.model.pipeline} of {', '.join(checked.components)}; {memory}")
        if made:
            lines.append(f"  {chosen.steps} steps at 128x128 in {seconds} s: {made}")
    return Answer({"models": documents}, "\n".join(lines))
