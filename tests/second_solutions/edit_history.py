"""By a list of all states and the place in it, instead of two stacks."""


def replay_edits(commands: list[str], limit: int) -> tuple[str, int, int, int]:
    steps: list[dict[str, list[str | int]]] = []  # each with the states around it
    done = 0
    letters: list[str] = []
    cursor = 0
    previous = "start"
    for command in commands:
        if command.startswith("move "):
            for _ in range(abs(int(command[5:]))):
                if command[5] == "-":
                    cursor -= cursor > 0
                else:
                    cursor += cursor < len(letters)
            previous = "other"
        elif command == "undo":
            previous = "other"
            if done:
                done -= 1
                steps[done]["after"] = [*letters, cursor]
                *letters, cursor = steps[done]["before"]
        elif command == "redo":
            previous = "other"
            if done < len(steps):
                steps[done]["before"] = [*letters, cursor]
                *letters, cursor = steps[done]["after"]
                done += 1
        else:
            before = [*letters, cursor]
            if command.startswith("type "):
                for letter in command[5:]:
                    letters.insert(cursor, letter)
                    cursor += 1
            else:
                for _ in range(int(command[6:])):
                    if cursor:
                        cursor -= 1
                        del letters[cursor]
            if len(letters) == len(before) - 1:
                continue
            del steps[done:]
            if not (command[0] == "t" and previous == "word"):
                steps.append({"before": before})
            if len(steps) > limit:
                del steps[0]
            done = len(steps)
            previous = "word" if command[0] == "t" and command[-1] != " " else "other"
    return "".join(letters), cursor, done, len(steps) - done
