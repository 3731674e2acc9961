# Leaves the process while it is being loaded.
import os

os._exit(0)
