"""The console command `experiments`: what is done beside a run.

Each subcommand is a module of `commands`; `experiments --help` lists them.

The shell completes commands, options and names once it is told so:

eval "$(register-python-argcomplete experiments)"
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from experiments.cli.commands import COMMANDS
from experiments.cli.common import CONF
from experiments.errors import UserError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand and return the exit code; a mistake is told in one line."""
    known = parser()
    if "_ARGCOMPLETE" in os.environ:  # the shell asks what could come next
        import argcomplete

        argcomplete.autocomplete(known)
    chosen = known.parse_args(arguments)
    try:
        return int(chosen.do(chosen))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # the reader of our output went away, as `head` does
        sys.stderr.close()
        return 1
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130
    except Exception as error:
        if (mistake := _mistake(error)) is None:
            raise
        print(f"error: {mistake}", file=sys.stderr)
        return 1


def _mistake(error: Exception) -> UserError | None:
    """Return the user's mistake behind what a library raised; None if it is a bug."""
    from experiments.app.explain import full_disk, unreadable_file

    if type(error).__module__.partition(".")[0] == "yaml" or isinstance(error, UnicodeDecodeError):
        return unreadable_file(error, [CONF])
    return full_disk(error)


def parser() -> argparse.ArgumentParser:
    """Return what reads the command line."""
    made = argparse.ArgumentParser(
        prog="experiments",
        description="What is done beside a run. Runs are `python run.py`.",
        epilog="Examples: experiments COMMAND --help",
    )
    commands = made.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add(commands)
    return made
