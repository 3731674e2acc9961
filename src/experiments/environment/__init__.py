"""What surrounds a run: the machine, the versions of what it uses, the terminal."""
