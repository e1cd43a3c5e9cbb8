"""A model in its served form, batch scoring, and the client of the prediction service."""
