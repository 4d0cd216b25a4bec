"""Where a request goes: to its model's own lane, or to the shared worker, and why.

    a person's word ──► a ready worker with room ──► nobody ready: the shared worker ──► nobody at all: wait for a minute

    forced dedicated │ dedicated
    forced degraded  │ degraded (manual)
    ready, room      │ dedicated
    ready, full      │ degraded (capacity)
    start denied     │ degraded (the controller's reason)
    not ready        │ degraded (capacity) when a shared worker lives or the lane has not been ready for a minute;
                     │ dedicated before that: there is nobody else, and a restart takes less

Decided anew for every request, from what is in memory, so the way back is as automatic as the way there.
"""

from dataclasses import dataclass

from warmlane_contracts.messages import FallbackReason, RoutingChoice

UNREADY_S = 60.0
"""A lane that was not ready for this long is unavailable, even when nobody could take its place."""
UNTAKEN_S = 30.0
"""A job that no warm worker of its lane took for this long is offered to shared workers."""


@dataclass(frozen=True, slots=True)
class LaneFacts:
    """What is known of a lane. `unready_s` is how long no worker was ready, 0 while one is."""

    ready_workers: int
    waiting: int
    bound: int
    unready_s: float
    shared_workers: int
    choice: RoutingChoice = "auto"
    denied: FallbackReason | None = None


@dataclass(frozen=True, slots=True)
class Dedicated:
    """To the model's own lane."""


@dataclass(frozen=True, slots=True)
class Degraded:
    """To the shared worker, because of `reason`."""

    reason: FallbackReason


Route = Dedicated | Degraded


def decide_route(lane: LaneFacts) -> Route:
    """Decide where a request for the lane goes now."""
    match lane.choice:
        case "dedicated":
            return Dedicated()
        case "degraded":
            return Degraded("manual")
        case _:
            return _decide_by_workers(lane)


def _decide_by_workers(lane: LaneFacts) -> Route:
    if lane.ready_workers:
        return Dedicated() if lane.waiting < lane.bound else Degraded("capacity")
    if lane.denied is not None:
        return Degraded(lane.denied)
    if lane.shared_workers or lane.unready_s >= UNREADY_S:
        return Degraded("capacity")
    return Dedicated()


def may_withdraw(lane: LaneFacts) -> FallbackReason | None:
    """Return why the jobs that wait for a lane should be offered to shared workers, None while they should wait.

    A busy lane keeps its queue, however long; one without a ready worker keeps it for half a minute.
    """
    if lane.choice == "degraded":
        return "manual"
    if lane.choice == "dedicated" or lane.ready_workers or not lane.shared_workers or lane.unready_s < UNTAKEN_S:
        return None
    return lane.denied or "capacity"
