"""What one program under test may use."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Limits of one program, whatever its inputs.

    CPU time per input is not here: it comes with the inputs.

    Attributes:
        memory_megabytes: address space.
        output_megabytes: largest output for one input that is sent; of larger ones only the
            digest is compared (Mbpp/255 asks for an output of more than a gigabyte).
        file_megabytes: largest file that may be written; under bubblewrap, all files
            together may have four times that.
        processes: other processes that may be started; threads are not counted, the
            memory that their stacks take limits them.
        wall_factor: the wall clock allows this many times the CPU time of an input, time
            spent waiting for a processor not counted: it catches programs that sleep.
        load_cpu_seconds: CPU time until the entry point is defined.
        total_cpu_seconds: CPU time for one set of tests (EvalPlus: 60).
        hash_seed: of strings; it decides the order in which sets are gone through.
    """

    memory_megabytes: int = 4096
    output_megabytes: int = 64
    file_megabytes: int = 16
    processes: int = 0
    wall_factor: float = 10.0
    load_cpu_seconds: float = 10.0
    total_cpu_seconds: float = 60.0
    hash_seed: int = 0
