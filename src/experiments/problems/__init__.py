"""Data sets -> problems: our own files, and EvalPlus's sets.

A problem file is read, never imported: nothing of it runs in this process. What has to run
(its generator of inputs, its examples) runs in the sandbox.
"""

from experiments.problems.evalplus_sets import load_evalplus
from experiments.problems.form import Form, read_form
from experiments.problems.jsonl import load_jsonl, read_jsonl
from experiments.problems.own import load_own, load_problem, problem_files

__all__ = [
    "Form",
    "load_evalplus",
    "load_jsonl",
    "load_own",
    "load_problem",
    "problem_files",
    "read_form",
    "read_jsonl",
]
