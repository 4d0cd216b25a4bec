"""Admission's metrics. Labels are bounded: never a task or a user."""

from prometheus_client import Counter, Gauge, Histogram

READY = Gauge("warmlane_lane_ready_workers", "Workers that could take a job now.", ["lane"])
FALLING_BACK = Gauge("warmlane_lane_falling_back", "1 while a lane's requests go to shared workers.", ["lane"])
FALLBACKS = Counter("warmlane_fallbacks_total", "Times a lane fell back.", ["lane", "reason"])
FALLBACK_SECONDS = Histogram(
    "warmlane_fallback_seconds",
    "How long a lane's requests went to shared workers.",
    ["lane", "reason"],
    buckets=(1, 5, 10, 30, 60, 300, 900, 3600, 14400),
)
DEPTH = Gauge("warmlane_degraded_waiting", "Jobs that wait for a shared worker; never above 25.")
RESCUED = Counter("warmlane_rescued_total", "Tokens handed out again for jobs whose holder fell silent.")
WITHDRAWN = Counter(
    "warmlane_withdrawn_total", "Jobs withdrawn from a lane, by what became of the offer.", ["lane", "end"]
)
