"""What is kept on disk: records that all runs share, and the folder of each run.

`keyed` has the stores in which a generation or a verdict is found again by its key. `runs` knows
the files of a run's folder and their formats. `files` writes and reads both.
"""

from experiments.store.files import appending, write_text
from experiments.store.keyed import GenerationStore, VerdictStore

__all__ = ["GenerationStore", "VerdictStore", "appending", "write_text"]
