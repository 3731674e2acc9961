"""Programs that are given their inputs in blocks keep their limits between blocks."""

import pytest

from experiments.sandbox import Kind, Sandbox
from experiments.schema import SandboxConfig

STUCK = "def f(x):\n    while x == {}:\n        pass\n    return x\n"


@pytest.mark.parametrize("stuck", [0, 1, 2, 3])
def test_an_endless_loop_after_a_block_ends_in_time(stuck: int) -> None:
    with Sandbox(SandboxConfig(load_cpu_seconds=2.0)) as sandbox:
        kinds = []
        for reply in sandbox.run(
            STUCK.format(stuck), "f", [(number,) for number in range(5)], [0.2] * 5, blocks=True
        ):
            kinds.append((reply.index, reply.kind))
            if reply.kind is not Kind.VALUE:
                break
        assert kinds == [
            *((number, Kind.VALUE) for number in range(stuck)),
            (stuck, Kind.TIMED_OUT),
        ]
        assert sandbox.cpu_seconds < 2
