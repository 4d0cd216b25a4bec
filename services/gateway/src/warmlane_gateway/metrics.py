"""The gateway's metrics. Labels are bounded: route templates, never paths, tasks or callers."""

from prometheus_client import Counter, Gauge, Histogram

REQUESTS = Counter("warmlane_http_requests_total", "Requests by route and status.", ["method", "route", "status"])
REQUEST_SECONDS = Histogram(
    "warmlane_http_request_seconds",
    "Seconds until the answer began.",
    ["method", "route"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 3, 10),
)
ACCEPTED = Counter("warmlane_tasks_accepted_total", "Tasks made durable.", ["model", "mode"])
DISPATCHED = Counter("warmlane_jobs_dispatched_total", "Publishes of jobs by who and by outcome.", ["by", "outcome"])
PROJECTED = Counter("warmlane_facts_projected_total", "Records and events taken in.", ["stream"])
WAITING = Gauge("warmlane_lane_waiting", "Tasks that wait for a lane.", ["lane"])
OFFERED = Counter("warmlane_offers_total", "Jobs offered to shared workers, by the broker's answer.", ["outcome"])
STALE = Counter("warmlane_stale_tasks_total", "Tasks failed because they outlived their time.", ["lane"])
ROUTED = Counter("warmlane_tasks_routed_total", "Where requests were sent, and why.", ["lane", "lane_mode", "reason"])
HELD = Gauge("warmlane_lane_held", "Tasks that wait for their turn before a lane's queue.", ["lane"])
OFFER_SECONDS = Histogram(
    "warmlane_offer_seconds",
    "How long jobs waited for a shared worker, by how that ended: claimed, expired, rejected, unknown.",
    ["end"],
    buckets=(0.01, 0.1, 0.5, 1, 2, 5, 10, 15, 20, 25, 30, 35),
)
