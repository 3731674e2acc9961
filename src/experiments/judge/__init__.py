"""Solution + problem -> verdict.

The program under test gets inputs and gives outputs; what is expected and the comparison stay
here. A verdict says how the program did on the base inputs and on base and extra inputs
together: `passed`, or what became of the first input that it failed.

    no_code        there is no program, it is not Python, or it does not define the entry point
    raised         an exception: while loading (then on every input), or from a call
    wrong_answer   an output that is not right, or is longer than allowed
    timed_out      over the CPU time of an input, or asleep for too long; or the program has
                   used up the CPU time for all
    out_of_memory  a MemoryError
    died           the process ended by itself (`os._exit`, a crash), or what it wrote could
                   not be read

Where the reference raises a builtin exception, a solution is right that raises it too, or a
subclass of it that descends from no other builtin first. A fault of the sandbox is an error,
never a verdict.
"""

from experiments.judge.compare import COMPARISONS
from experiments.judge.solutions import Judging, judge

__all__ = ["COMPARISONS", "Judging", "judge"]
