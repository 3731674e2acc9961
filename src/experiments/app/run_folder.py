"""A folder of its own for each run or sweep, made without a race.

Two that start within the same second, as array jobs do, must not share a folder: their reports
would be mixed. Making the folder is what decides whose it is.
"""

from __future__ import annotations

import itertools
import time
from pathlib import Path

from omegaconf import OmegaConf


def run_folder(outputs: str) -> str:
    """Return a folder below `outputs` that was made just now: `DATE/TIME`, or `DATE/TIME-2`, ….

    Where no folder can be made, its name is returned all the same: whoever writes to it says why.
    """
    started = Path(outputs, time.strftime("%Y-%m-%d"), time.strftime("%H-%M-%S"))
    for number in itertools.count(1):
        folder = started if number == 1 else started.with_name(f"{started.name}-{number}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            if folder.is_dir():
                continue
        except OSError:
            pass
        break
    return str(folder)


def register() -> None:
    """Let a configuration say `${run_folder:outputs}`: the same folder wherever it is said."""
    OmegaConf.register_new_resolver("run_folder", run_folder, use_cache=True, replace=True)
