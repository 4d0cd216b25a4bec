"""From manifest entries to clients that can be asked, in the order they shall be asked."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from warmlane_modelstore.credentials import HUB_NAME, S3_NAME, Credential, Vault
from warmlane_modelstore.errors import Code, StoreError
from warmlane_modelstore.manifest.entries import Source, SourceKind
from warmlane_modelstore.sources.base import SourceClient
from warmlane_modelstore.sources.hub import HubSource
from warmlane_modelstore.sources.hubcache import cached_snapshot
from warmlane_modelstore.sources.local import LocalSource
from warmlane_modelstore.sources.s3 import S3Source
from warmlane_modelstore.sources.url import UrlSource
from warmlane_modelstore.transfer.http import Http

PUBLIC_HUB = "https://huggingface.co"


class SourceBuilder:
    """Builds clients for one process: one HTTP client, one vault, one environment."""

    def __init__(self, http: Http, vault: Vault, environ: Mapping[str, str], *, manifest_dir: Path, home: Path) -> None:
        self._http = http
        self._vault = vault
        self._environ = environ
        self._manifest_dir = manifest_dir
        self._home = home

    def clients(self, sources: Sequence[Source]) -> list[SourceClient]:
        """In manifest order; before each hub source the local hub cache, when it holds that revision."""
        built: list[SourceClient] = []
        for source in sources:
            if source.kind is SourceKind.HUB:
                cached = self._cached(source)
                built += [cached] if cached else []
            built.append(self._client(source))
        return built

    def _client(self, source: Source) -> SourceClient:
        match source.kind:
            case SourceKind.LOCAL:
                # Relative to the manifest, so that a shelf can travel with it.
                return LocalSource(source.label, self._manifest_dir / (source.path or "") / source.subfolder)
            case SourceKind.S3:
                return self._s3(source)
            case SourceKind.HUB:
                return self._hub(source)
            case SourceKind.URL:
                return UrlSource(source.label, self._http, base=source.base, credential=self._named(source))

    def _s3(self, source: Source) -> SourceClient:
        endpoint = source.endpoint or self._environ.get("WARMLANE_S3_ENDPOINT")
        endpoint = endpoint or self._environ.get("AWS_ENDPOINT_URL") or f"https://s3.{source.region}.amazonaws.com"
        prefix = "/".join(part.strip("/") for part in (source.prefix, source.subfolder) if part.strip("/"))
        return S3Source(
            source.label,
            self._http,
            endpoint=endpoint,
            bucket=source.bucket or "",
            prefix=prefix,
            region=source.region,
            virtual_host=source.virtual_host,
            credential=self._named(source) or self._vault.find(S3_NAME),
        )

    def _hub(self, source: Source) -> SourceClient:
        return HubSource(
            source.label,
            self._http,
            endpoint=source.endpoint or self._environ.get("HF_ENDPOINT") or PUBLIC_HUB,
            repo=source.repo or "",
            revision=source.revision or "main",
            subfolder=source.subfolder,
            allow=source.allow,
            ignore=source.ignore,
            credential=self._named(source, optional=source.credentials == HUB_NAME) or self._vault.find(HUB_NAME),
        )

    def _named(self, source: Source, *, optional: bool = False) -> Credential | None:
        if source.credentials is None:
            return None
        found = self._vault.find(source.credentials)
        if found is None and not optional:
            raise StoreError(
                Code.AUTH_FAIL,
                f"{source.label} needs the credentials {source.credentials!r}, and none were found",
                "Put them in the keyring, in the file WAN_MODELS_CREDENTIALS names, or in the environment.",
            )
        return found

    def _cached(self, source: Source) -> SourceClient | None:
        env = self._environ
        cache = env.get("HF_HUB_CACHE") or (f"{env['HF_HOME']}/hub" if env.get("HF_HOME") else None)
        where = Path(cache) if cache else self._home / ".cache" / "huggingface" / "hub"
        return cached_snapshot(where, source.repo or "", source.revision or "main", source.subfolder)
