# Imports the judge, to look at it or to change it.
import sys

sys.path += ["src", "../src", "../../src"]


def answer(values):
    import experiments.judge
    import experiments.sandbox.sandbox

    return experiments.judge.__file__
