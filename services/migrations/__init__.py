"""What must have happened to the databases before a service starts."""
