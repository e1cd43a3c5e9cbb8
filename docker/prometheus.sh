#!/bin/sh
# Write the configuration of Prometheus, as its targets cannot be read from the environment, and start it.
set -eu
config=${PROMETHEUS_CONFIG:-/tmp/prometheus.yml}

target() { # job, URL
    echo "  - job_name: $1"
    echo "    static_configs: [{targets: ['${2#http://}']}]"
}

{
    echo "global: {scrape_interval: 30s, scrape_timeout: 15s}"
    echo "scrape_configs:"
    target portal "$STACK_PORTAL_URL"
    target prediction "$STACK_PREDICTION_URL"
    target prefect "$STACK_PREFECT_URL"
    target mlflow "$STACK_MLFLOW_URL"
    target features "$STACK_FEATURES_URL"
    target monitoring "$STACK_MONITORING_URL"
} >"$config"
exec prometheus --config.file="$config" --storage.tsdb.path=/prometheus --storage.tsdb.retention.time=90d
