"""Trains the demo model: `python -m training.train_demo` from the project's folder."""
