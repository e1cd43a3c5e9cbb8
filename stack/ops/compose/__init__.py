"""The services of docker-compose.yml as containers."""
