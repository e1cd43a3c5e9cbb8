"""The Prefect worker of this machine."""
