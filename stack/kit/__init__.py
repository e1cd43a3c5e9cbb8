"""What a project's own modules may import from the stack."""
