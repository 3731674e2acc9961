# Looks for other processes: by /proc, by questions about their numbers, by their clocks.
import ctypes
import os
import platform
import resource
import time


def answer(values):
    libc = ctypes.CDLL(None, use_errno=True)
    own, had = os.getpid(), []
    try:
        listed = [name for name in os.listdir("/proc") if name.isdigit()]
        if len(listed) > 4:
            had.append(f"/proc: {listed}")
    except OSError:
        pass
    for other in {1, os.getppid(), own - 1, own + 1} - {0, own}:
        for name, ask in {
            "kill": lambda: os.kill(other, 0),
            "group": lambda: os.getpgid(other),
            "session": lambda: os.getsid(other),
            "processors": lambda: os.sched_getaffinity(other),
            "scheduler": lambda: os.sched_getscheduler(other),
            "priority": lambda: os.getpriority(os.PRIO_PROCESS, other),
            "limits": lambda: resource.prlimit(other, resource.RLIMIT_CPU),
            "clock": lambda: time.clock_gettime((~other << 3) | 2),
            "handle": lambda: os.pidfd_open(other),
        }.items():
            try:
                ask()
                had.append(f"{name} of {other}")
            except OSError as error:
                if error.errno != 1:
                    had.append(f"{name} of {other}: {error}")
    if platform.machine() == "x86_64":
        for number in (253, 294, 300):  # inotify, fanotify
            if libc.syscall(number, 0, 0) >= 0:
                had.append(number)
    if had:
        raise ValueError(f"a-secret-that-nobody-may-see: {had}")
    return values
