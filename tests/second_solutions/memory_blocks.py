"""By a map of single addresses."""

from itertools import groupby


def allocate_blocks(
    size: int, requests: list[tuple[str, str, int]]
) -> tuple[list[tuple[int, int, str]], list[int]]:
    memory: list[str | None] = [None] * size

    def place(length: int) -> int | None:
        best: tuple[int, int] | None = None
        for owner, group in groupby(range(size), key=lambda address: memory[address]):
            run = list(group)
            if owner is None and len(run) >= length and (best is None or len(run) < best[0]):
                best = (len(run), run[0])
        return None if best is None else best[1]

    def serve(action: str, name: str, length: int) -> bool:
        own = [address for address in range(size) if memory[address] == name]
        if action == "new":
            start = None if own else place(length)
        elif not own:
            return False
        elif action == "free":
            start, length = 0, 0
        else:
            start = own[0]
            wanted = memory[start : start + length]
            if len(wanted) < length or not set(wanted) <= {None, name}:
                start = place(length)
        if start is None:
            return False
        for address in own:
            memory[address] = None
        memory[start : start + length] = [name] * length
        return True

    refused = [number for number, request in enumerate(requests) if not serve(*request)]
    blocks = []
    for owner, group in groupby(range(size), key=lambda address: memory[address]):
        run = list(group)
        if owner is not None:
            blocks.append((run[0], len(run), owner))
    return blocks, refused
