"""The lane directory's record: what one worker of a lane says of itself, renewed while it lives; and what people and
controllers decided about a lane.
"""

from datetime import datetime
from typing import ClassVar, Literal

from warmlane_contracts.memory_model import Calibration
from warmlane_contracts.messages.base import Message

Availability = Literal["ready", "cold", "unavailable"]
LaneMode = Literal["dedicated", "degraded_shared"]
FallbackReason = Literal["capacity", "quota", "manual"]
RoutingChoice = Literal["auto", "dedicated", "degraded"]


class LaneRecord(Message):
    """One worker of a lane. `service_s` is the mean time of its last clips in seconds, absent before the first.

    A shared worker's `lane_key` is `shared`, and its `model` the one it holds, empty while it holds none. Memory in
    bytes, as its engine's meter read it last: used now, at the peak, and what there is. `calibrations` say what its clips will take.
    """

    TYPE: ClassVar[str] = "warmlane.v1.lane.record"

    lane_key: str
    worker: str
    model: str
    mode: LaneMode
    warm: bool
    availability: Availability
    fallback_reason: FallbackReason | None = None
    engine: Literal["tiny", "real"]
    current_task: str | None = None
    service_s: float | None = None
    used_bytes: int | None = None
    peak_bytes: int | None = None
    budget_bytes: int | None = None
    calibrations: tuple[Calibration, ...] = ()
    updated_at: datetime


class LaneRouting(Message):
    """What was decided about a lane. `auto`: its workers decide. `dedicated`, `degraded`: a person does, until they take
    it back. `denied` is a lane controller's word that the lane cannot be started; it ends with the first ready worker.
    """

    TYPE: ClassVar[str] = "warmlane.v1.lane.routing"

    lane: str
    choice: RoutingChoice = "auto"
    denied: FallbackReason | None = None
    by: str
    decided_at: datetime


class LaneFallback(Message):
    """Requests for a lane go to shared workers since `since`. `by` is the admission replica that noticed first."""

    TYPE: ClassVar[str] = "warmlane.v1.lane.fallback"

    lane: str
    reason: FallbackReason
    by: str
    since: datetime
