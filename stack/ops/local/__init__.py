"""The services of docker-compose.yml as supervised processes on this machine."""
