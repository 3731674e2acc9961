"""What an output costs on its way from the executor to a verdict, by wire format.

    python benchmarks/wire.py

Each row is one kind of output, written by the executor and compared by the host 'as it is right':
`marshal` compares bytes; `pickle` reads with an unpickler that knows no classes and compares
values; `tagged` is JSON whose tuples, sets, bytes and keys carry tags, read and compared.
Microseconds per output, writing and checking together; the best of five.
"""

import io
import json
import marshal
import pickle
import timeit
from collections.abc import Callable
from typing import Any

OUTPUTS: dict[str, Any] = {
    "an int": 42,
    "a text": "the quick brown fox",
    "10 ints": list(range(10)),
    "1,000 floats": [number / 7 for number in range(1000)],
    "1,000 pairs": [(number, str(number)) for number in range(1000)],
    "100 keys": {str(number): [number] for number in range(100)},
}


def main() -> None:
    """Print the table."""
    print(f"{'':14}{'marshal':>10}{'pickle':>10}{'tagged':>10}   microseconds")
    for name, value in OUTPUTS.items():
        row = [_best(way(value)) for way in (_marshal, _pickle, _tagged)]
        print(f"{name:14}" + "".join(f"{each:10.1f}" for each in row))


def _marshal(value: Any) -> Callable[[], bool]:
    expected = marshal.dumps(value, 2)
    return lambda: marshal.dumps(value, 2) == expected


class _Plain(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"{module}.{name}")


def _pickle(value: Any) -> Callable[[], bool]:
    return lambda: bool(_Plain(io.BytesIO(pickle.dumps(value, 5))).load() == value)


def _tagged(value: Any) -> Callable[[], bool]:
    return lambda: bool(_read(json.loads(json.dumps(_tag(value)))) == value)


def _tag(value: Any) -> Any:
    if isinstance(value, list):
        return [_tag(item) for item in value]
    if isinstance(value, tuple):
        return {"tuple": [_tag(item) for item in value]}
    if isinstance(value, dict):
        return {"dict": [[_tag(key), _tag(item)] for key, item in value.items()]}
    return value


def _read(value: Any) -> Any:
    if isinstance(value, list):
        return [_read(item) for item in value]
    if isinstance(value, dict):
        if "tuple" in value:
            return tuple(_read(item) for item in value["tuple"])
        return {_read(key): _read(item) for key, item in value["dict"]}
    return value


def _best(call: Callable[[], bool]) -> float:
    assert call()
    timer = timeit.Timer(call)
    count, _ = timer.autorange()
    return min(timer.repeat(5, max(1, count // 5))) / max(1, count // 5) * 1e6


if __name__ == "__main__":
    main()
