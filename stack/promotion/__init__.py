"""Which version is live, and why: the gate, the rollout, and the audit of every decision."""
