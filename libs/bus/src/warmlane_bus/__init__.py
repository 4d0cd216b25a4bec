"""Warmlane's broker. The only package that imports nats.

| module | noun |
|---|---|
| `ports` | what the rest of Warmlane sees: protocols and outcomes |
| `nats_bus` | the real thing, put together from `connection`, `publish`, `pull`, `bucket`, `hints` |
| `register` | a job's claims and outcome, decided by conditioned writes |
| `lease` | a holder's sign of life |
| `topology` | streams, consumers and buckets: apply, and refuse drift |
"""

from warmlane_bus.lease import Lease, LeaseLost, LeaseOutcome, Renewed, SignOfLife, sign_of_life
from warmlane_bus.nats_bus import NatsBus
from warmlane_bus.ports import (
    Bucket,
    Bus,
    BusMisconfigured,
    BusUnavailable,
    Conflict,
    Delivery,
    Entry,
    Full,
    Hint,
    Message,
    PublishOutcome,
    Pull,
    Stored,
    Unknown,
)
from warmlane_bus.register import Held, Lost, StateRegister, Undecided, WriteOutcome, Written
from warmlane_bus.topology import Drift, TopologyDrifted, apply_topology, check_topology

__all__ = [
    "Bucket",
    "Bus",
    "BusMisconfigured",
    "BusUnavailable",
    "Conflict",
    "Delivery",
    "Drift",
    "Entry",
    "Full",
    "Held",
    "Hint",
    "Lease",
    "LeaseLost",
    "LeaseOutcome",
    "Lost",
    "Message",
    "NatsBus",
    "PublishOutcome",
    "Pull",
    "Renewed",
    "SignOfLife",
    "StateRegister",
    "Stored",
    "TopologyDrifted",
    "Undecided",
    "Unknown",
    "WriteOutcome",
    "Written",
    "apply_topology",
    "check_topology",
    "sign_of_life",
]
