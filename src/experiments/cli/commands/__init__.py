"""The subcommands of `experiments`, a module each: what it takes, and what it calls.

Each has `add`, which adds it to the parser, and is light to import: `--help` comes at once.
"""

from experiments.cli.commands import (
    doctor,
    fidelity,
    imported,
    judge,
    models,
    plan,
    report,
    review,
    store,
    validate,
)

COMMANDS = (plan, report, imported, review, judge, validate, models, fidelity, store, doctor)
"""In the order of the help."""
