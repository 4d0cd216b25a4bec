"""A real S3 server for tests: the stack's own SeaweedFS, with one known pair of keys and one bucket."""

from pathlib import Path
from typing import Self

import obstore
from obstore.store import S3Store
from warmlane_devstack.servers import S3Server

ACCESS_KEY = "testkey-access"
SECRET_KEY = "testkey-secret-do-not-print"
BUCKET = "models"


class Weed:
    """`with Weed(tmp) as s3:` gives an endpoint whose bucket exists and takes objects."""

    def __init__(self, directory: Path):
        self._server = S3Server(directory, access_key=ACCESS_KEY, secret_key=SECRET_KEY, bucket=BUCKET)

    @property
    def port(self) -> int:
        return self._server.port

    @property
    def url(self) -> str:
        return self._server.endpoint

    def store(self, **extra) -> S3Store:
        return S3Store(
            BUCKET,
            endpoint=extra.pop("endpoint", self.url),
            access_key_id=ACCESS_KEY,
            secret_access_key=SECRET_KEY,
            region=self._server.region,
            virtual_hosted_style_request=False,
            client_options={"allow_http": True},
            **extra,
        )

    def put(self, key: str, source) -> None:
        obstore.put(self.store(), key, source)

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop()
