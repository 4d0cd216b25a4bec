"""`wan models unpin`."""

from argparse import Namespace

from warmlane_modelstore.cli.answer import Answer
from warmlane_modelstore.store import ModelStore


def run(chosen: Namespace, store: ModelStore) -> Answer:
    done = [(store.resolver.resolve(name).id, store.unpin(name)) for name in chosen.models]
    documents = [{"id": str(model), "pinned": False, "was_pinned": was} for model, was in done]
    return Answer(
        {"models": documents}, "\n".join(f"{model}: {'unpinned' if was else 'was not pinned'}" for model, was in done)
    )
