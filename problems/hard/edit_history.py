"""Undo and redo in a text field, with typing that is undone word by word."""

from collections.abc import Iterator
from random import Random

ID = "hard/edit_history"
TITLE = "Undo history of a text field"
DIFFICULTY = "hard"
TOPICS = ("undo histories", "stacks", "simulation", "text editing")
ENTRY_POINT = "replay_edits"


def replay_edits(commands: list[str], limit: int) -> tuple[str, int, int, int]:
    """Replay the commands given to a text field that is empty at first.

    Return its text, the position of the cursor, and how many steps can be undone and redone.

    - "type TEXT": insert TEXT (all after the first space, maybe empty) at the cursor, which
      moves behind it.
    - "erase N": remove the N characters before the cursor, or as many as there are (N >= 1).
    - "move N": move the cursor N characters to the right, or to the left if N is negative;
      it stops at either end of the text. This is never a step.
    - "undo": go back to the text and cursor as they were just before the latest step.
    - "redo": go back to the text and cursor as they were just before the latest undo that
      was not redone yet.

    A "type" or "erase" that leaves the text as it is has no effect at all. Every other one is
    a step, empties the list of what can be redone, and can be undone. But a "type" belongs
    to the same step as the command just before it (commands without effect not counted) if
    that was a "type" whose TEXT does not end with a space.

    "undo" and "redo" with nothing to undo or redo change nothing, but like every "move" they
    end the step. Only the latest `limit` steps (at least 1) can be undone.

    >>> replay_edits(["type Hel", "type lo ", "type you", "undo"], 10)
    ('Hello ', 6, 1, 1)
    >>> replay_edits(["type ac", "move -1", "type b", "move 5", "erase 2", "undo"], 10)
    ('abc', 3, 2, 1)
    >>> replay_edits(["type a ", "type b ", "type c ", "undo", "undo", "undo", "type x"], 2)
    ('a x', 3, 1, 0)
    """
    text, cursor = "", 0
    undoable: list[tuple[str, int]] = []
    redoable: list[tuple[str, int]] = []
    in_word = False
    for command in commands:
        action, _, argument = command.partition(" ")
        if action in ("type", "erase"):
            typed = argument if action == "type" else ""
            start = cursor if action == "type" else max(cursor - int(argument), 0)
            edited = text[:start] + typed + text[cursor:]
            if edited == text:
                continue
            if not (in_word and typed):
                undoable = [*undoable, (text, cursor)][-limit:]
            redoable = []
            text, cursor = edited, start + len(typed)
            in_word = typed != "" and not typed.endswith(" ")
            continue
        in_word = False
        if action == "move":
            cursor = min(max(cursor + int(argument), 0), len(text))
        elif action == "undo" and undoable:
            redoable.append((text, cursor))
            text, cursor = undoable.pop()
        elif action == "redo" and redoable:
            undoable.append((text, cursor))
            text, cursor = redoable.pop()
    return text, cursor, len(undoable), len(redoable)


BASE_INPUTS = [
    ([], 3),
    (["type Hel", "type lo ", "type you", "undo"], 10),
    (["type ac", "move -1", "type b", "move 5", "erase 2", "undo"], 10),
    (["type a ", "type b ", "type c ", "undo", "undo", "undo", "type x"], 2),
    (["undo", "redo", "type one", "undo", "redo", "redo", "type  two"], 5),
    (["type ab", "undo", "type ", "erase 4", "redo", "type c", "undo"], 5),
    (["type abcd", "move -2", "erase 9", "type x", "type y", "move -1"], 5),
    (["type ab", "move -9", "erase 1", "type x", "move 1", "erase 1", "undo", "undo"], 5),
    (["type a", "redo", "type b", "undo", "type c", "type d", "undo"], 5),
    (["type a", "erase 1", "type b", "type c", "undo", "undo"], 5),
    (["type abc", "move -3", "move 2", "undo", "redo", "type x"], 1),
    (["type a ", "type b", "move -1", "undo", "redo", "undo", "undo", "redo", "type z"], 1),
    (["type a", "move 0", "type b", "undo", "type ", "erase 1", "redo", "redo"], 4),
]


def extra_inputs(random: Random) -> Iterator[tuple]:
    yield (["type é ü", "erase 2", "undo", "undo", "undo"], 3)
    yield (["type  ", "type  ", "type x", "undo", "undo", "undo"], 3)
    yield (["type undo", "type redo x", "erase 1", "type type ", "undo"], 3)
    yield (["type a", "type ", "type b", "undo", "redo"], 3)
    yield (["type a", "type b ", "type c", "type ", "type d", "undo"], 3)
    yield (["move 3", "move -3", "erase 1", "undo"], 1)
    yield (["type x "] * 40 + ["undo"] * 30, 25)
    yield (["type x "] * 10 + ["undo"] * 10 + ["redo"] * 12, 10)
    yield (["type aa", "move -1", "type a", "undo", "redo", "undo"], 3)
    yield (["type ab", "move -1", "undo", "redo", "undo", "type c", "redo"], 3)
    words = ["a", "b ", " c", "de", "f g", " ", ""]
    for size in range(110):
        commands = []
        for _ in range(random.randint(size // 10 + 1, size // 5 + 4)):
            action = random.choice(
                ["type", "type", "type", "erase", "move", "undo", "undo", "redo"]
            )
            if action == "type":
                action += " " + random.choice(words)
            elif action == "erase":
                action += f" {random.choice([1, 1, 2, 5])}"
            elif action == "move":
                action += f" {random.randint(-3, 2)}"
            commands.append(action)
        yield (commands, random.choice([1, 2, 3, 20]))
