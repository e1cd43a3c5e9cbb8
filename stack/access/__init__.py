"""Who may use the services from outside: people by a login, programs by tokens."""
