"""`wan models ensure`: models one after the other, each as parallel as the limits allow; a failure stops none but its own."""

from argparse import Namespace

from warmlane_modelstore.cli.answer import Answer, error_document, failure
from warmlane_modelstore.cli.bars import shown
from warmlane_modelstore.disk import human
from warmlane_modelstore.errors import Code, StoreError
from warmlane_modelstore.store import EnsureOptions, ModelStore
from warmlane_modelstore.transfer.backoff import Cancelled
from warmlane_modelstore.transfer.progress import Progress


def run(chosen: Namespace, store: ModelStore) -> Answer:
    names = _names(chosen, store)
    # All names are known before the first byte: a misspelt third model shall not be found out an hour later.
    ids = [store.resolver.resolve(name).id for name in names]
    options = EnsureOptions(
        wait_s=chosen.wait, fresh=chosen.fresh, accept_license=chosen.accept_license, make_room=chosen.make_room
    )
    documents: list[dict[str, object]] = []
    lines: list[str] = []
    failed: StoreError | None = None
    for model in ids:
        progress = Progress(str(model))
        try:
            with shown(progress, quiet=chosen.quiet or chosen.json):
                outcome = store.ensure(str(model), options, progress)
        except StoreError as error:
            failed = failed or error
            documents.append({"id": str(model), "how": "failed", "error": error_document(error)})
            lines.append(failure(error).text)
        except Cancelled as stopped:
            raise KeyboardInterrupt from stopped
        else:
            documents.append(
                {
                    "id": str(model),
                    "how": outcome.how,
                    "path": str(outcome.path),
                    "bytes_fetched": outcome.bytes_fetched,
                    "seconds": round(outcome.seconds, 3),
                }
            )
            lines.append(f"{model}: {_said(outcome.how, outcome.bytes_fetched, outcome.seconds)} {outcome.path}")
    return Answer(
        {"models": documents},
        "\n".join(lines),
        0 if failed is None else failed.exit_code,
        None if failed is None else error_document(failed),
    )


def _names(chosen: Namespace, store: ModelStore) -> list[str]:
    only = [name.strip() for name in (chosen.only or "").split(",") if name.strip()]
    names = [*chosen.models, *only]
    if chosen.all:
        names = [str(resolved.id) for resolved in store.resolver.all()]
    if not names:
        raise StoreError(Code.INVALID_MANIFEST, "no model was named", "Name models, or use --all.")
    return names


def _said(how: str, fetched: int, seconds: float) -> str:
    if how == "present":
        return "already complete:"
    if how == "waited":
        return "fetched by another process:"
    return f"fetched {human(fetched)} in {seconds:.1f} s:"
