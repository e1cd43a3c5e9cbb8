"""Features through Feast: definitions, feature tables, online values, and the training sets that flows ask for."""
