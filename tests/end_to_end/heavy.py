"""What flows import: it takes seconds, so that tests do it once and fork."""

MODULES = (
    *("flows.pipeline", "flows.replay", "monitoring.reports", "stack.data.keys", "stack.data.validation"),
    *("stack.feature_store.features", "stack.feature_store.ticks", "stack.promotion.gate", "stack.serving.caller"),
    *("stack.serving.observed", "stack.training.training", "stack.training.trainings"),
)
