"""The backups that are made by themselves."""
