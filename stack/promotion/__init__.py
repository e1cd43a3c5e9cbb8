"""Which version is live, and why: the gate, the rollout, and the decisions, each in the audit."""
