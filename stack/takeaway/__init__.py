"""A model to take away: a wheel that predicts without the stack, and what goes into it."""
