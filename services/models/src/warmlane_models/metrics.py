"""What the models service counts."""

from prometheus_client import Counter, Gauge, Histogram

COMPLETE = Gauge("warmlane_model_complete", "1 when the model is complete and verified on this node.", ["model"])
NEEDED = Gauge("warmlane_model_bytes_needed", "Bytes missing for the model on this node.", ["model"])
ENSURES = Counter(
    "warmlane_model_ensures_total", "Ensures that ended, by how: present, waited, fetched or a code.", ["how"]
)
FETCHED = Counter("warmlane_model_fetched_bytes_total", "Bytes fetched from sources.")
SECONDS = Histogram(
    "warmlane_model_ensure_seconds",
    "Seconds of ensures that fetched.",
    buckets=(1, 5, 15, 60, 300, 900, 3600),
)
WAITING = Gauge("warmlane_model_queue", "Models waiting to be ensured.")
