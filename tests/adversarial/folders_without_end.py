# Makes folders that nobody may look into, and files in them without end.
import os


def answer(values):
    os.mkdir("hidden", 0o300)
    for number in range(1_000_001):
        os.close(os.open(f"hidden/{number}", os.O_CREAT | os.O_WRONLY))
    raise ValueError("a-secret-that-nobody-may-see: a million files")
