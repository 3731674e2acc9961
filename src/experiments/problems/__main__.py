"""`python -m experiments.problems FOLDER` makes the table of problems in FOLDER/README.md."""

import sys
from pathlib import Path

from experiments.errors import UserError
from experiments.problems import table

if __name__ == "__main__":
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "problems")
    try:
        changed = table.write(folder)
    except UserError as error:
        sys.exit(f"error: {error}")
    print(f"{folder / 'README.md'} {'was brought up to date' if changed else 'is up to date'}")
