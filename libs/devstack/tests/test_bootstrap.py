"""The set-up script: what makes it act, and what it says when it cannot."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def bootstrap():
    spec = importlib.util.spec_from_file_location("bootstrap", ROOT / "scripts" / "bootstrap.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["bootstrap"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["bootstrap"]


@pytest.fixture
def environment(bootstrap, tmp_path):
    package = tmp_path / "libs" / "part"
    package.mkdir(parents=True)
    (package / "pyproject.toml").write_text('[project]\nname = "part"\n')
    return bootstrap.Environment("main", tmp_path / ".venv", (package,), ("ruff",))


def mark_ready(environment, bootstrap):
    environment.python.parent.mkdir(parents=True)
    environment.python.touch()
    (environment.directory / bootstrap.STAMP).write_text(environment.stamp())


def test_an_unchanged_environment_is_left_alone(bootstrap, environment, monkeypatch):
    mark_ready(environment, bootstrap)
    monkeypatch.setattr(bootstrap, "run", lambda *arguments, **options: pytest.fail("nothing was to do"))
    bootstrap.set_up(environment)


def test_a_changed_declaration_or_a_lost_interpreter_makes_it_act(bootstrap, environment):
    mark_ready(environment, bootstrap)
    declaration = environment.packages[0] / "pyproject.toml"
    before = declaration.read_text()
    declaration.write_text(before + 'dependencies = ["httpx"]\n')
    assert not environment.is_current()
    declaration.write_text(before)
    assert environment.is_current()
    environment.python.unlink()
    assert not environment.is_current()


def test_every_environment_names_packages_that_exist(bootstrap):
    for environment in bootstrap.declared().values():
        assert environment.packages or environment.optional
        assert environment.requirements()[: len(environment.tools)] == list(environment.tools)


def test_a_failing_install_is_one_line_that_names_the_log(bootstrap, environment, monkeypatch, capsys):
    code = "print('noise'); print('ERROR: no such package'); raise SystemExit(1)"
    monkeypatch.setattr(bootstrap, "declared", lambda: {"main": environment})
    monkeypatch.setattr(bootstrap, "create", lambda made: made.directory.mkdir())
    real = bootstrap.run
    monkeypatch.setattr(bootstrap, "run", lambda argv, **options: real([sys.executable, "-c", code], **options))
    monkeypatch.setattr("sys.argv", ["bootstrap.py"])
    assert bootstrap.main() == 1
    error = capsys.readouterr().err
    log = environment.directory / "setup.log"
    assert error == f"set-up failed: ERROR: no such package (whole output: {log})\n"
    assert "noise" in log.read_text()


def test_a_python_without_venv_is_told_what_to_install(bootstrap, environment, monkeypatch):
    monkeypatch.setattr(bootstrap.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(bootstrap.SetupFailed, match="apt install python3-venv"):
        bootstrap.create(environment)


def test_an_old_python_is_told_so_in_one_line(tmp_path):
    old = tmp_path / "python3"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Python 3.8.10\nexit 1\n')
    old.chmod(0o755)
    for name in ("make", "bash"):
        (tmp_path / name).symlink_to(f"/usr/bin/{name}")
    argv = ["make", "-s", "setup"]
    refused = subprocess.run(argv, cwd=ROOT, env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=False)
    assert refused.returncode != 0
    assert "Warmlane needs Python 3.11 or newer; found Python 3.8.10\n" in refused.stderr


def test_the_lock_names_versions_only():
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert all(line.count("==") == 1 and not set(line) & set(" /:@+") for line in pins)
    names = [line.partition("==")[0] for line in pins]
    assert names == sorted(names)
    assert os.fspath(ROOT) not in "".join(lines)
