"""Which version is live, and why: the registry, the gate, the rollout, and the audit of every decision."""
