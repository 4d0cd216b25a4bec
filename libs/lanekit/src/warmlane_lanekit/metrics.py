"""The worker's metrics. Labels are bounded: never a task or a user."""

from prometheus_client import Counter, Gauge, Histogram

JOBS = Counter("warmlane_lane_jobs_total", "Attempts by how they ended.", ["lane", "outcome"])
STAGE_SECONDS = Histogram(
    "warmlane_lane_stage_seconds",
    "Seconds an attempt spent in a stage.",
    ["lane", "stage"],
    buckets=(0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 120, 300, 600),
)
COLD_STARTS = Counter("warmlane_lane_cold_starts_total", "Loads of the model.", ["lane"])
COLD_START_SECONDS = Gauge(
    "warmlane_lane_cold_start_seconds", "Seconds the last load took, from start to warm.", ["lane"]
)
WARM = Gauge("warmlane_lane_warm", "1 when the model is resident and warm.", ["lane"])
RECYCLES = Counter(
    "warmlane_lane_engine_recycles_total", "Engine processes ended because their memory was in doubt.", ["lane"]
)
HEARTBEATS = Counter("warmlane_lane_heartbeats_total", "Lease renewals by their outcome.", ["lane", "outcome"])
RSS_BYTES = Gauge("warmlane_engine_rss_bytes", "Resident memory of the engine process.", ["lane"])
DEVICE_BYTES = Gauge("warmlane_engine_device_bytes", "Device memory of the engine, by kind.", ["lane", "kind"])
HUNG = Counter("warmlane_lane_hung_total", "Engines ended because they showed no progress.", ["lane"])
