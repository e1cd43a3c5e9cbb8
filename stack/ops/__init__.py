"""Running the services: start, stop, status, logs, backup, in both runtimes."""
