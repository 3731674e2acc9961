"""Which small language model writes correct Python on a CPU, and at what cost?"""

__version__ = "0.1.0"
