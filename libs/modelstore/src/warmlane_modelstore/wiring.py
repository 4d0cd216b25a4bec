"""Puts an Ensurer together: everything that touches the network, in one place that status never imports."""

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from warmlane_modelstore.blobs import BlobStore
from warmlane_modelstore.collect import Collector
from warmlane_modelstore.convert.converter import Converter
from warmlane_modelstore.credentials import Vault
from warmlane_modelstore.disk import Quota
from warmlane_modelstore.ensure import Ensurer
from warmlane_modelstore.leases.holding import LeaseRoom
from warmlane_modelstore.masking import Masker
from warmlane_modelstore.places import Places
from warmlane_modelstore.planning import Planner
from warmlane_modelstore.publish import Publisher
from warmlane_modelstore.resolver import Resolved, Resolver
from warmlane_modelstore.sealing.keys import master_key
from warmlane_modelstore.sealing.sealed import SUFFIX, seal
from warmlane_modelstore.settings import StoreSettings
from warmlane_modelstore.sources.build import SourceBuilder
from warmlane_modelstore.status import StatusReader
from warmlane_modelstore.transfer.backoff import Backoff
from warmlane_modelstore.transfer.bandwidth import Bandwidth
from warmlane_modelstore.transfer.download import Downloader, Limits
from warmlane_modelstore.transfer.http import Http
from warmlane_modelstore.transfer.negative import NegativeCache


@contextlib.contextmanager
def open_ensurer(
    *,
    settings: StoreSettings,
    places: Places,
    resolver: Resolver,
    masker: Masker,
    statuses: StatusReader,
    room: LeaseRoom,
    quotas: Callable[[Resolved], list[Quota]],
    manifest_digest: str,
    manifest_dir: Path,
    boot_id: str,
    fresh: bool,
) -> Iterator[Ensurer]:
    """An Ensurer with one HTTP client, one vault and one negative cache; its connections close with the block."""
    places.root.mkdir(parents=True, exist_ok=True)
    http = Http()
    vault = Vault(settings.environ, masker, home=settings.home)
    builder = SourceBuilder(http, vault, settings.environ, manifest_dir=manifest_dir, home=settings.home)
    negative = NegativeCache(places.state("negative.json"))
    if fresh:
        negative.clear()
    blobs = BlobStore(places)
    limits = Limits(streams=settings.streams, bandwidth=Bandwidth(settings.bandwidth) if settings.bandwidth else None)

    def downloader(stop: threading.Event) -> Downloader:
        return Downloader(
            places.parts(),
            limits=limits,
            backoff=Backoff(tries=settings.tries),
            negative=negative,
            boot_id=boot_id,
            stop=stop,
            mask=masker.mask,
        )

    collector = Collector(places, blobs, room)
    sealer = _Sealer(master_key(settings.environ, vault, masker)) if "encrypt" in settings.features else None
    ensurer = Ensurer(
        places=places,
        blobs=blobs,
        planner=Planner(places, resolver, builder, negative),
        statuses=statuses,
        room=room,
        publisher=Publisher(places, blobs, manifest_digest=manifest_digest, sealer=sealer),
        converter=Converter(places, blobs, referenced=collector.referenced),
        downloader=downloader,
        clients=builder.clients,
        quotas=quotas,
        referenced=collector.referenced,
        seals=sealer is not None,
        margin=settings.margin,
        files=min(4, (os.cpu_count() or 1) + 2),
        accepted_licenses=settings.accepted_licenses,
    )
    try:
        yield ensurer
    finally:
        http.close()


class _Sealer:
    """Encrypts with one master key."""

    suffix = SUFFIX

    def __init__(self, master: bytes) -> None:
        self._master = master

    def seal(self, source: Path, target: Path) -> str:
        return seal(source, target, self._master)
