"""Are the problems right, and are their tests strong? Everything that can be checked by machine.

For our own problems: the form of each file, the examples of the statement against the
reference, inputs and outputs against the annotations, the reference on all inputs, the same
with another hash seed, and overlap with HumanEval and MBPP where these are on this machine.
For every data set: mutation, that is, which share of the reference's single-change mutants
(see `mutation`) the tests kill, base and extra tests apart.

A finding is something to be put right; any finding makes the exit code 1. What this module
does not do: judge whether a statement is clear, or whether a problem is worth solving.
"""

from experiments.problems.validate.check import MINIMUM_BASE, MINIMUM_PLUS, validate
from experiments.problems.validate.report import Finding, MutationScore, Report, Survivor, show

__all__ = [
    "MINIMUM_BASE",
    "MINIMUM_PLUS",
    "Finding",
    "MutationScore",
    "Report",
    "Survivor",
    "show",
    "validate",
]
