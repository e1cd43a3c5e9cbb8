"""Features through Feast: definitions, stored values, online values, and the frames that flows ask for."""
