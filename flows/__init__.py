"""Prefect flows: order, retries, schedules and events. The work itself is in ``stack`` and ``monitoring``.

Flow modules import those inside their tasks: a run then loads only the tools it uses (each costs 4-6 s), and
registering the deployments loads none.
"""
