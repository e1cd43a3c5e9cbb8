"""The check of logins and tokens for the gateway."""
