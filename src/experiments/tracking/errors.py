"""What can go wrong between a run and MLflow."""

from experiments.errors import UserError


class TrackingError(UserError):
    """The tracking server or its database cannot be used."""
