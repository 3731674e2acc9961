"""Verdicts → numbers: pass@k, intervals, paired comparisons."""
