"""What is kept on disk: generations that all runs share, and the folder of each run.

`generations` is the store in which a generation is found again by its key. `runs` knows the
files of a run's folder and their formats. `files` writes and reads both.
"""

from experiments.store.files import appending, write_text
from experiments.store.generations import GenerationStore

__all__ = ["GenerationStore", "appending", "write_text"]
