"""What flows import: it takes seconds, so that tests do it once and fork."""

MODULES = (
    *("flows.pipeline", "flows.replay", "monitoring.review", "stack.lake.keys", "stack.validation.validation"),
    *("stack.features.features", "stack.replay.player", "stack.promotion.gate", "stack.serving.client"),
    *("stack.serving.observed", "stack.training.training", "stack.promotion.challengers"),
)
