"""Make the two environments of the workspace, from nothing but Python, pip and the lock.

    .venv       everything but torch: gateway, embedded stack, command line, tools
    .venv-lane  torch first, then what a lane needs

What belongs where is in the root pyproject.toml; which version, in requirements.lock, a pip constraints file that covers
both. No package index is named here or there: pip's own configuration decides where packages come from.

An environment carries a stamp, the digest of everything that decided its content. Equal stamp: nothing to do, in
milliseconds. Uses the standard library only, since it runs before anything is installed.

    python scripts/bootstrap.py [main] [lane]     set up (both by default; one that is optional only when named)
    python scripts/bootstrap.py --lock            resolve anew and write requirements.lock
"""

import argparse
import concurrent.futures
import contextlib
import fcntl
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements.lock"
STAMP = "warmlane-stamp"
# Editable installs are built in the environment itself: an isolated build per package would fetch setuptools each time.
BUILD = "setuptools"
# What a CUDA build of torch brings with it; torch pins these itself, and another machine's torch has others.
FOLLOWS_TORCH = ("nvidia-", "cuda-", "triton")
LOCK_HEADER = """\
# Pins every package of both environments (a pip constraints file). Made by `make lock`; not edited by hand.
# torch is pinned by its public version: which build it is, CPU or CUDA, is decided by each machine's pip configuration.
"""


class SetupFailed(Exception):
    """Something a person must do first; the text is one line that says what."""


@dataclass(frozen=True)
class Environment:
    """One virtual environment as the root pyproject.toml declares it."""

    name: str
    directory: Path
    packages: tuple[Path, ...]
    tools: tuple[str, ...]
    first: tuple[str, ...] = ()
    optional: bool = False

    @property
    def python(self) -> Path:
        return self.directory / "bin" / "python"

    def requirements(self) -> list[str]:
        """Tools, and every workspace package as editable. Only pip's resolver knows the extras asked for."""
        return [*self.tools, *(part for package in self.packages for part in ("--editable", str(package)))]

    def stamp(self) -> str:
        """Digest of what decides the content: interpreter, lock, declarations, this file, and where it all lies."""
        decides = [LOCK, Path(__file__), *(path / "pyproject.toml" for path in self.packages)]
        digest = hashlib.sha256(f"{sys.version}\0{self}".encode())
        for path in decides:
            digest.update(path.read_bytes() if path.exists() else b"-")
        return digest.hexdigest()

    def is_current(self) -> bool:
        stamp = self.directory / STAMP
        return self.python.exists() and stamp.exists() and stamp.read_text() == self.stamp()


def declared() -> dict[str, Environment]:
    table = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["warmlane"]["environments"]
    return {
        name: Environment(
            name=name,
            directory=ROOT / entry["directory"],
            # A part of the workspace that is not written yet is left out, so that its neighbours can be worked on.
            packages=tuple(ROOT / path for path in entry["packages"] if (ROOT / path / "pyproject.toml").exists()),
            tools=tuple(entry["tools"]),
            first=tuple(entry.get("first", ())),
            optional=entry.get("optional", False),
        )
        for name, entry in table.items()
    }


def set_up(environment: Environment) -> None:
    """Bring one environment to what is declared. Safe to interrupt and to repeat."""
    if environment.is_current():
        return
    began = time.monotonic()
    label = environment.directory.name
    say(f"{label}: installing (the first time takes a minute or more)")
    (environment.directory / STAMP).unlink(missing_ok=True)
    create(environment)
    for requirement in environment.first:
        pip(environment, "install", requirement)
    pip(environment, "install", "--upgrade", BUILD)
    pip(environment, "install", "--no-build-isolation", *environment.requirements())
    (environment.directory / STAMP).write_text(environment.stamp())
    say(f"{label}: ready in {time.monotonic() - began:.0f} s")


def create(environment: Environment) -> None:
    """Make the virtual environment, or make it again when its interpreter is gone or of another version."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    if environment.python.exists() and f"version = {version}." in (environment.directory / "pyvenv.cfg").read_text():
        return
    for module in ("venv", "ensurepip"):
        if importlib.util.find_spec(module) is None:
            message = f"{sys.executable} has no {module}: install it (Debian, Ubuntu: apt install python3-venv)"
            raise SetupFailed(message)
    shutil.rmtree(environment.directory, ignore_errors=True)
    run([sys.executable, "-m", "venv", str(environment.directory)], log=None)


def pip(environment: Environment, *arguments: str) -> None:
    """Run the environment's pip under the lock; the constraint goes by PIP_CONSTRAINT, so it binds in builds too."""
    log = environment.directory / "setup.log"
    pins = {"PIP_CONSTRAINT": str(LOCK)} if LOCK.exists() else {}
    settings = {**os.environ, **pins, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1"}
    run([str(environment.python), "-m", "pip", *arguments], log=log, env=settings)


def run(argv: list[str], *, log: Path | None, env: dict[str, str] | None = None) -> None:
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env, check=False)
    if log is not None:
        with log.open("a") as file:
            file.write(f"$ {' '.join(argv)}\n{done.stdout}\n")
    if done.returncode:
        lines = [line.strip() for line in done.stdout.splitlines() if line.strip()]
        errors = [line for line in lines if line.startswith("ERROR")] or lines or ["no output"]
        where = f" (whole output: {log})" if log else ""
        message = f"{errors[0]}{where}"
        raise SetupFailed(message)


def lock() -> None:
    """Resolve both environments anew and write the lock. The second takes the first's versions: one version each."""
    pins: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        for environment in declared().values():
            scratch = Environment("lock", Path(folder) / environment.name, (), ())
            create(scratch)
            wanted = [BUILD, *environment.first, *environment.requirements()]
            pins |= resolve(scratch, wanted, pins)
    lines = [f"{name}=={version}\n" for name, version in sorted(pins.items())]
    LOCK.write_text(LOCK_HEADER + "".join(lines))
    say(f"{LOCK.name}: {len(lines)} packages")


def resolve(scratch: Environment, wanted: list[str], pins: dict[str, str]) -> dict[str, str]:
    """What pip would install for `wanted`, given `pins`: third-party packages only, without build labels."""
    constraints, report = scratch.directory / "constraints.txt", scratch.directory / "report.json"
    constraints.write_text("".join(f"{name}=={version}\n" for name, version in pins.items()))
    run([str(scratch.python), "-m", "pip", "install", "--upgrade", BUILD], log=None)
    options = ["--dry-run", "--ignore-installed", "--no-build-isolation", "--quiet"]
    where = ["--report", str(report), "--constraint", str(constraints)]
    run([str(scratch.python), "-m", "pip", "install", *options, *where, *wanted], log=None)
    found = [item["metadata"] for item in json.loads(report.read_text())["install"]]
    return {
        canonical(item["name"]): item["version"].partition("+")[0]
        for item in found
        if not canonical(item["name"]).startswith(("warmlane-", *FOLLOWS_TORCH))
    }


def canonical(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")


def say(line: str) -> None:
    print(line, flush=True)


def main() -> int:
    environments = declared()
    parser = argparse.ArgumentParser(description="Set up the workspace's environments.")
    parser.add_argument("names", nargs="*", help=f"which: {', '.join(environments)} (default: all)")
    parser.add_argument("--lock", action="store_true", help="resolve anew and write requirements.lock")
    options = parser.parse_args()
    unknown = set(options.names) - set(environments)
    if unknown:
        parser.error(f"unknown environment {', '.join(sorted(unknown))}; there are {', '.join(environments)}")
    try:
        if options.lock:
            lock()
        else:
            with one_at_a_time():
                usual = [name for name, environment in environments.items() if not environment.optional]
                set_up_all([environments[name] for name in options.names or usual])
    except SetupFailed as error:
        print(f"set-up failed: {error}", file=sys.stderr)
        return 1
    return 0


@contextlib.contextmanager
def one_at_a_time() -> Iterator[None]:
    """Two `make` at once: the second waits, and then finds everything done."""
    with (ROOT / "pyproject.toml").open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def set_up_all(environments: list[Environment]) -> None:
    """Side by side: one mostly downloads while the other mostly unpacks."""
    with concurrent.futures.ThreadPoolExecutor() as pool:
        for done in [pool.submit(set_up, environment) for environment in environments]:
            done.result()


if __name__ == "__main__":
    sys.exit(main())
