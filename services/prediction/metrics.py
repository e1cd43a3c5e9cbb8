"""Prometheus metrics at /metrics; their labels are bounded by the number of projects."""

from prometheus_client import Counter, Gauge, Histogram

BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
ROW_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)

REQUESTS = Counter("prediction_requests", "Requests answered, by HTTP status", ["project", "status"])
SECONDS = Histogram("prediction_request_seconds", "Time from request to answer", ["project"], buckets=BUCKETS)
ROWS = Histogram("prediction_batch_rows", "Rows answered together", ["project"], buckets=ROW_BUCKETS)
SHADOWS = Counter("prediction_shadow_rows", "Rows sent to the shadow challenger", ["project", "outcome"])
WARNED = Counter("prediction_warned_rows", "Rows answered with a warning", ["project"])
CHAMPION = Gauge("prediction_champion_version", "Version of the live registered model", ["project"])
