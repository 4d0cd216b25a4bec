"""The table of services: one row each. A new service is a new row."""

from dataclasses import dataclass
from enum import StrEnum


class Reads(StrEnum):
    """What a service is given access to; it gets the addresses and secrets of nothing else."""

    NATS = "nats"
    POSTGRES = "postgres"
    OBJECTS = "s3"
    MODELS = "models"
    API_KEYS = "api-keys"


class Environment(StrEnum):
    """Which of the two virtual environments it runs in."""

    MAIN = "main"
    LANE = "lane"


@dataclass(frozen=True, kw_only=True)
class ServiceSpec:
    """`python -m <module>`, answering /readyz on its own loopback port, started once `needs` are ready."""

    name: str
    module: str
    environment: Environment
    reads: frozenset[Reads]
    needs: tuple[str, ...]
    # How long a soft stop may take, in seconds.
    stop_within_s: float = 10.0
    # False: the stack is ready without it.
    awaited: bool = True


@dataclass(frozen=True, kw_only=True)
class StepSpec:
    """`python -m <module> <arguments>`, run to its end before those that need it start."""

    name: str
    module: str
    arguments: tuple[str, ...]
    environment: Environment
    reads: frozenset[Reads]
    needs: tuple[str, ...] = ()


# The embedded broker follows the table of the code that runs; somebody else's broker is never changed, only refused.
TOPOLOGY = StepSpec(
    name="topology",
    module="warmlane_bus",
    arguments=("apply", "--update"),
    environment=Environment.MAIN,
    reads=frozenset({Reads.NATS}),
    needs=("nats",),
)
MIGRATIONS = StepSpec(
    name="migrations",
    module="warmlane_gateway",
    arguments=("migrate",),
    environment=Environment.MAIN,
    reads=frozenset({Reads.POSTGRES}),
    needs=("postgres",),
)
TINY_MODELS = StepSpec(
    name="tiny-models",
    module="warmlane_engines.tiny",
    arguments=("--models-root", "{tiny_models}", "--manifest", "{tiny_manifest}"),
    environment=Environment.LANE,
    reads=frozenset(),
)

# What the tiny models are called in their manifest: the store brings them as it would bring real ones.
TINY_NAMES = ("anisora", "phr00t")

LANE_READS = frozenset({Reads.NATS, Reads.OBJECTS, Reads.MODELS})
# Object storage is needed for the first job only, so a lane starts, and imports torch, without waiting for it.
LANE_NEEDS = ("topology", "tiny-models")

SERVICES = (
    ServiceSpec(
        name="gateway",
        module="warmlane_gateway",
        environment=Environment.MAIN,
        reads=frozenset({Reads.NATS, Reads.POSTGRES, Reads.OBJECTS, Reads.API_KEYS}),
        needs=("topology", "migrations", "s3"),
    ),
    ServiceSpec(
        name="models",
        module="warmlane_models",
        environment=Environment.MAIN,
        reads=frozenset({Reads.NATS, Reads.MODELS}),
        needs=("topology", "tiny-models"),
    ),
    ServiceSpec(
        name="lane-anisora",
        module="warmlane_lane_anisora",
        environment=Environment.LANE,
        reads=LANE_READS,
        needs=LANE_NEEDS,
    ),
    ServiceSpec(
        name="lane-phr00t",
        module="warmlane_lane_phr00t",
        environment=Environment.LANE,
        reads=LANE_READS,
        needs=LANE_NEEDS,
    ),
    ServiceSpec(
        name="degraded-admission",
        module="warmlane_degraded.admission",
        environment=Environment.MAIN,
        reads=frozenset({Reads.NATS}),
        needs=("topology",),
    ),
    ServiceSpec(
        name="degraded-worker",
        module="warmlane_degraded.worker",
        environment=Environment.LANE,
        reads=LANE_READS,
        # The lanes first: three engines that import torch at once delay each other, and this one is the reserve.
        needs=(*LANE_NEEDS, "lane-anisora", "lane-phr00t"),
        awaited=False,
    ),
)
# One model folder per lane, under MODELS_ROOT.
MODEL_FOLDERS = {"lane-anisora": "anisora", "lane-phr00t": "phr00t"}
