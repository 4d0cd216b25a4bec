"""The console's build on a machine with nothing but Python: which Node, what a failure says, when nothing is to do."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[3] / "scripts"


@pytest.fixture
def console(monkeypatch):
    """Return scripts/console.py as a module."""
    monkeypatch.syspath_prepend(str(SCRIPTS))
    spec = importlib.util.spec_from_file_location("console", SCRIPTS / "console.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "console", module)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("version", "good"),
    [
        ("v20.18.3", False),
        ("v20.19.0", True),
        ("v20.20.2", True),
        ("v21.7.0", False),
        ("v22.11.0", False),
        ("v22.12.0", True),
        ("v24.1.0", True),
        ("", False),
        ("nonsense", False),
    ],
)
def test_which_node_is_new_enough(console, version, good) -> None:
    assert console.new_enough(version) is good


def failing(said: str):
    return lambda node, *arguments: subprocess.CompletedProcess(arguments, 1, stdout=said)


def test_without_packages_it_says_why_and_the_rest_goes_on(console, monkeypatch, tmp_path, capsys) -> None:
    monkeypatch.setattr(
        console, "npm", failing("npm warn x\nnpm error code ENOTFOUND\nnpm error no such host\nnpm help")
    )
    monkeypatch.setattr(console, "STAMP", tmp_path / "stamp")
    monkeypatch.setattr(console, "INSTALLED", tmp_path / "installed")
    monkeypatch.setattr(console, "node_folder", lambda: tmp_path)
    for arguments, code in ((["--lenient"], 0), ([], 1)):
        monkeypatch.setattr(sys, "argv", ["console.py", *arguments])
        assert console.main() == code
        said = capsys.readouterr().err
        assert "console: not built: npm ci failed: npm error code ENOTFOUND npm error no such host" in said


def test_a_source_that_does_not_build_fails_everything(console, monkeypatch, tmp_path, capsys) -> None:
    monkeypatch.setattr(console, "npm", failing("src/main.tsx(1,1): error TS2304: no such name"))
    monkeypatch.setattr(console, "STAMP", tmp_path / "stamp")
    monkeypatch.setattr(console, "install", lambda node: None)
    monkeypatch.setattr(console, "node_folder", lambda: tmp_path)
    monkeypatch.setattr(sys, "argv", ["console.py", "--lenient"])
    assert console.main() == 1
    assert "error TS2304" in capsys.readouterr().err


def test_an_old_node_is_replaced_by_the_wheels(console, monkeypatch, tmp_path) -> None:
    asked = []
    monkeypatch.setattr(console.shutil, "which", lambda name: f"/usr/bin/{name}")
    old = subprocess.CompletedProcess([], 0, stdout="v18.20.4\n")
    monkeypatch.setattr(console.subprocess, "run", lambda *arguments, **options: old)
    monkeypatch.setattr(console.bootstrap, "set_up", lambda environment: asked.append(environment.name))
    assert console.node_folder() == console.bootstrap.ROOT / ".venv-node" / "bin"
    assert asked == ["node"]
