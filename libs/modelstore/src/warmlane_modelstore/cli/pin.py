"""`wan models pin`."""

from argparse import Namespace

from warmlane_modelstore.cli.answer import Answer
from warmlane_modelstore.store import ModelStore


def run(chosen: Namespace, store: ModelStore) -> Answer:
    pins = [store.pin(name, chosen.reason) for name in chosen.models]
    documents = [{"id": pin.model, "pinned": True, "reason": pin.reason, "since": pin.since} for pin in pins]
    return Answer({"models": documents}, "\n".join(f"{pin.model}: pinned" for pin in pins))
