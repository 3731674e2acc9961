"""`python -m experiments.problems.validate` is `experiments validate`."""

import argparse
import sys

from experiments.errors import UserError
from experiments.problems.validate.command import add_arguments, run

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m experiments.problems.validate")
    add_arguments(parser)
    try:
        sys.exit(run(parser.parse_args()))
    except UserError as error:
        sys.exit(f"error: {error}")
