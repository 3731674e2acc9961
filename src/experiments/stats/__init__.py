"""Verdicts → numbers: pass@k, costs, intervals, comparisons, and the columns that show them."""
