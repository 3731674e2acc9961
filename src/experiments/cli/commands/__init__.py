"""The subcommands of `experiments`, a module each: what it takes, and what it calls.

Each has `add`, which adds it to the parser, and is light to import: `--help` comes at once.
"""

from experiments.cli.commands import (
    clean,
    doctor,
    export,
    fidelity,
    imported,
    judge,
    models,
    plan,
    report,
    reproduce,
    review,
    runs,
    store,
    sync,
    validate,
)

COMMANDS = (
    *(plan, report, export, imported, reproduce, review, judge, validate, models, fidelity),
    *(runs, clean, store, sync, doctor),
)
"""In the order of the help."""
