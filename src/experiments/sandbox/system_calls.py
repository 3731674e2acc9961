"""A filter of system calls: what a program under test may ask of the Linux kernel.

The filter names what is allowed and refuses all else, so that a call that the next kernel
brings is refused as well. Most calls are allowed as they are. Some are allowed with certain
arguments only, since the same call also starts processes, signals others, sends descriptors or
leaves something behind on the machine. The numbers are known for two processors; elsewhere
there is no filter, and `abilities` says so.

A second, smaller filter asks the worker before each new thread or process, which counts them:
the kernel's own limit (RLIMIT_NPROC) counts all processes of a user.
"""

import errno
import os
import platform
import struct
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path

_ALLOWED = """
access 21 -            dup2 33 -              arch_prctl 158 -       brk 12 214
capget 125 90          chdir 80 49            clock_getres 229 114   clock_nanosleep 230 115
close 3 57             close_range 436 436    copy_file_range 326 285  creat 85 -
dup 32 23              dup3 292 24            epoll_create 213 -     epoll_create1 291 20
epoll_ctl 233 21       epoll_pwait 281 22     epoll_pwait2 441 441   epoll_wait 232 -
eventfd 284 -          eventfd2 290 19        exit 60 93             exit_group 231 94
faccessat 269 48       faccessat2 439 439     fadvise64 221 223      fallocate 285 47
fchdir 81 50           fdatasync 75 83        flock 73 32            fstat 5 80
fstatfs 138 44         fsync 74 82            ftruncate 77 46        futex 202 98
futex_waitv 449 449    get_robust_list 274 100  getcpu 309 168       getcwd 79 17
getdents 78 -          getdents64 217 61      getegid 108 177        geteuid 107 175
getgid 104 176         getgroups 115 158      getitimer 36 102       getpeername 52 205
getpgrp 111 -          getpid 39 172          getppid 110 173        getrandom 318 278
getresgid 120 150      getresuid 118 148      getrlimit 97 163       getrusage 98 165
getsockname 51 204     getsockopt 55 209      gettid 186 178         gettimeofday 96 169
getuid 102 174         link 86 -              linkat 265 37          lseek 8 62
lstat 6 -              madvise 28 233         membarrier 324 283     mincore 27 232
mkdir 83 -             mkdirat 258 34         mmap 9 222             mprotect 10 226
mremap 25 216          msync 26 227           munmap 11 215          nanosleep 35 101
newfstatat 262 79      pause 34 -             pipe 22 -              pipe2 293 59
poll 7 -               ppoll 271 73           pread64 17 67          preadv 295 69
preadv2 327 286        pselect6 270 72        pwrite64 18 68         pwritev 296 70
pwritev2 328 287       read 0 63              readlink 89 -          readlinkat 267 78
readv 19 65            recvfrom 45 207        recvmsg 47 212         rename 82 -
renameat 264 38        renameat2 316 276      restart_syscall 219 128  rmdir 84 -
rseq 334 293           rt_sigaction 13 134    rt_sigpending 127 136  rt_sigprocmask 14 135
rt_sigreturn 15 139    rt_sigsuspend 130 133  rt_sigtimedwait 128 137
sched_get_priority_max 146 125
sched_get_priority_min 147 126  sched_yield 24 124  select 23 -     sendfile 40 71
set_robust_list 273 99  set_tid_address 218 96  setitimer 38 103    alarm 37 -
shutdown 48 210        sigaltstack 131 132    stat 4 -               statfs 137 43
statx 332 291          symlink 88 -           symlinkat 266 36       sysinfo 99 179
time 201 -             times 100 153          umask 95 166           uname 63 160
unlink 87 -            unlinkat 263 35        wait4 61 260           waitid 247 95
write 1 64             writev 20 66
"""
"""Names with their numbers on x86_64 and aarch64; a dash where a processor lacks the call."""

_PROCESSES = "execve 59 221  execveat 322 281  fork 57 -  vfork 58 -"
"""Allowed only if the program may start processes, as signals to others are."""

_OF_ITSELF = "getpgid 121 155  kill 62 129  prlimit64 302 261  sched_getaffinity 204 123"
_OF_ITSELF += "  tgkill 234 131  tkill 200 130"
"""The first argument has to be 0 or the program's own process number."""

_SIGNALS = ("kill", "tgkill", "tkill")
_UNKNOWN = "clone3 435 435  openat2 437 437"
"""Told as calls that this kernel lacks: what they do is out of a filter's sight, and libraries
then take `clone` and `openat`."""

_LAST = 469
"""From the next number on, a call is told as one that this kernel lacks."""

_FCNTL = (0, 1, 2, 3, 4, 5, 6, 7, 1030, 1032)  # duplicates, flags, locks, the size of a pipe
_IOCTL = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451, 0x802C542A)  # as Python's files use it
_PRCTL = (15, 16, 23, 39)  # a thread's name; questions
_O_TRUNC, _O_ACCMODE = 0o1000, 3
_AF_UNIX = 1
_CLONE_THREAD = 0x00010000

_OUTWARD = """
socket 41 198          io_uring_setup 425 425  ptrace 101 117         process_vm_readv 310 270
process_vm_writev 311 271  pidfd_getfd 438 438  pidfd_send_signal 424 424  tkill 200 130
rt_sigqueueinfo 129 138  rt_tgsigqueueinfo 297 240  truncate 76 45     open_by_handle_at 304 265
chmod 90 -             fchmod 91 52           fchmodat 268 53        fchmodat2 452 452
chown 92 -             lchown 94 -            fchown 93 55           fchownat 260 54
utime 132 -            utimes 235 -           futimesat 261 -        utimensat 280 88
setxattr 188 5         lsetxattr 189 6        fsetxattr 190 7        setxattrat 463 463
removexattr 197 14     lremovexattr 198 15    fremovexattr 199 16    removexattrat 466 466
mq_open 240 180        mq_unlink 241 181      msgget 68 186          semget 64 190
shmget 29 194          add_key 248 217        request_key 249 218    keyctl 250 219
unshare 272 97         setns 308 268          bpf 321 280            perf_event_open 298 241
userfaultfd 323 282    file_setattr 469 469
"""
"""What a process that only computes, from files to files, does not need: ways to the network,
to other processes, and to what of files Landlock does not hold."""

_OUTWARD_IOCTL = (0x5412, 0x541C, 0x40086602, 0x401C5820)  # typing into terminals, flags of files
_OUTWARD_FCNTL = (8, 10, 15, 1024, 1026)  # signals for input, leases, notices

_ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
_CAPSET = (126, 91)
_SECCOMP = (317, 277)

_LOAD, _AND, _RETURN = 0x20, 0x54, 0x06
_EQUAL, _GREATER, _AT_LEAST, _ANY_BIT = 0x15, 0x25, 0x35, 0x45
_ALLOW, _KILL, _ERRNO, _ASK = 0x7FFF0000, 0x80000000, 0x00050000, 0x7FC00000
_NUMBER, _ARCHITECTURE = 0, 4
_X32 = 0x40000000  # a second set of numbers, on x86-64

_Line = tuple[int, int, int, int]
_PERMIT: _Line = (_RETURN, 0, 0, _ALLOW)
_REFUSE: _Line = (_RETURN, 0, 0, _ERRNO | errno.EPERM)
_LACK: _Line = (_RETURN, 0, 0, _ERRNO | errno.ENOSYS)
_OWN_PID = -1
"""Stands for the number of the process that the filter is for."""


def filter_works() -> bool:
    """Whether this kernel and processor can have the filter."""
    if sys.platform != "linux" or platform.machine() not in _ARCHITECTURES:
        return False
    return struct.calcsize("P") == 8 and Path("/proc/sys/kernel/seccomp").exists()


def counting_works() -> bool:
    """Whether this kernel can ask the worker before each new thread."""
    try:
        known = Path("/proc/sys/kernel/seccomp/actions_avail").read_text()
    except OSError:
        return False
    return filter_works() and "user_notif" in known.split()


@cache
def numbers() -> dict[str, int]:
    """Return the numbers of the calls that a worker makes itself; 0 where there are none."""
    machine = _ARCHITECTURES.get(platform.machine()) if sys.platform == "linux" else None
    if machine is None:
        return {"capset": 0, "seccomp": 0}
    # only root has capabilities to drop
    capset = _CAPSET[machine[0]] if os.geteuid() == 0 else 0
    return {"capset": capset, "seccomp": _SECCOMP[machine[0]]}


@cache
def filter_code(processes: bool) -> tuple[bytes, tuple[int, ...]]:
    """Return the filter in the kernel's form; empty where there is none.

    Args:
        processes: whether the program may start processes of its own.

    Returns:
        Instructions of classic BPF, and the places in them, in bytes, where the program's own
        process number is to be put.
    """
    if not filter_works():
        return b"", ()
    column, architecture = _ARCHITECTURES[platform.machine()]
    rules: dict[int, list[_Line]] = {}

    def add(table: str, block: list[_Line]) -> None:
        for name, number in _numbers(table, column):
            rules[number] = [_PERMIT] if processes and name in _SIGNALS else block

    add(_ALLOWED, [_PERMIT])
    add(_OF_ITSELF, [_argument(0), *_one_of([0, _OWN_PID])])
    add("clone 56 220", [_PERMIT])
    if processes:
        add(_PROCESSES, [_PERMIT])
    else:
        thread = [_argument(0), (_ANY_BIT, 0, 1, _CLONE_THREAD), _PERMIT, _REFUSE]
        add("clone 56 220", thread)
    add(_UNKNOWN, [_LACK])
    add("fcntl 72 25", [_argument(1), *_one_of(_FCNTL)])
    add("ioctl 16 29", [_argument(1), *_one_of(_IOCTL)])
    add("prctl 157 167", [_argument(0), *_one_of(_PRCTL)])
    add("socketpair 53 199", [_argument(0), *_one_of([_AF_UNIX])])
    add("sendto 44 206", [*_is_null(4), _PERMIT])  # no address: only to the other end
    own_clocks = [_argument(0), (_ANY_BIT, 0, 1, 1 << 31), _REFUSE, _PERMIT]
    add("clock_gettime 228 113", own_clocks)
    limits = rules[dict(_numbers(_OF_ITSELF, column))["prlimit64"]]
    add("prlimit64 302 261", [*_is_null(2), *limits])  # no new limits
    add("open 2 -", _opening(1))
    add("openat 257 56", _opening(2))
    lines = [*_head(architecture), (_GREATER, 0, 1, _LAST), _LACK]
    for first, last, block in _stretches(rules):
        lines += [(_AT_LEAST, 1, 0, first), _REFUSE, (_GREATER, len(block), 0, last), *block]
    return _packed([*lines, _REFUSE])


@cache
def outward_code() -> tuple[bytes, tuple[int, ...]]:
    """Return a filter, as `filter_code` does, that refuses what leads out of a process.

    It names what is refused, not what is allowed: it is for processes of ours that read files
    of strangers, with whatever libraries.
    """
    if not filter_works():
        return b"", ()
    column, architecture = _ARCHITECTURES[platform.machine()]
    refused = [number for _, number in _numbers(_OUTWARD, column)]
    rest: list[_Line] = [(_AT_LEAST, 0, 1, _X32), _REFUSE]
    for name, argument, values, found, other in (
        ("ioctl 16 29", 1, _OUTWARD_IOCTL, _REFUSE, _PERMIT),
        ("fcntl 72 25", 1, _OUTWARD_FCNTL, _REFUSE, _PERMIT),
        ("kill 62 129  tgkill 234 131", 0, (_OWN_PID,), _PERMIT, _REFUSE),
        ("prlimit64 302 261", 0, (0, _OWN_PID), _PERMIT, _REFUSE),
    ):
        tests = [line for value in values for line in ((_EQUAL, 0, 1, value), found)]
        block = [_argument(argument), *tests, other]
        for _, number in _numbers(name, column):
            rest += [(_EQUAL, 0, len(block), number), *block]
    rest.append(_PERMIT)
    far = len(rest) + len(refused) - 1
    to_the_end = [(_EQUAL, far - place, 0, number) for place, number in enumerate(refused)]
    return _packed([*_head(architecture), *to_the_end, *rest, _REFUSE])


@cache
def counting_code() -> bytes:
    """Return the filter that asks the worker before each new thread or process."""
    if not counting_works():
        return b""
    column, _ = _ARCHITECTURES[platform.machine()]
    asked = [number for _, number in _numbers("clone 56 220  fork 57 -  vfork 58 -", column)]
    lines: list[_Line] = [(_LOAD, 0, 0, _NUMBER)]
    for number in asked:
        lines += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, _ASK)]
    return _packed([*lines, _PERMIT])[0]


def _head(architecture: int) -> list[_Line]:
    """End a process that makes calls of another processor; then load the call's number."""
    return [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
    ]


def _numbers(table: str, column: int) -> Iterable[tuple[str, int]]:
    words = table.split()
    for name, *both in zip(words[::3], words[1::3], words[2::3], strict=True):
        if both[column] != "-":
            yield name, int(both[column])


def _stretches(rules: dict[int, list[_Line]]) -> list[tuple[int, int, list[_Line]]]:
    """Return numbers that follow each other and have one rule as one stretch, in order."""
    found: list[tuple[int, int, list[_Line]]] = []
    for number, block in sorted(rules.items()):
        if found and found[-1][1] == number - 1 and found[-1][2] == block:
            found[-1] = (found[-1][0], number, block)
        else:
            found.append((number, number, block))
    return found


def _argument(place: int, high: bool = False) -> _Line:
    """Load the lower half of an argument (of which these calls use no more), or the higher."""
    return (_LOAD, 0, 0, 16 + 8 * place + 4 * high)


def _one_of(values: Iterable[int]) -> list[_Line]:
    tests: list[_Line] = []
    for value in values:
        tests += [(_EQUAL, 0, 1, value), _PERMIT]
    return [*tests, _REFUSE]


def _is_null(place: int) -> list[_Line]:
    """Refuse unless an argument is 0 in both halves."""
    low = [_argument(place), (_EQUAL, 1, 0, 0), _REFUSE]
    return [*low, _argument(place, high=True), (_EQUAL, 1, 0, 0), _REFUSE]


def _opening(flags: int) -> list[_Line]:
    """Refuse to empty a file without opening it for writing, which Landlock 1 and 2 let pass."""
    writing = [(_EQUAL, 0, 1, value | _O_TRUNC) for value in (1, 2)]
    return [
        _argument(flags),
        (_ANY_BIT, 1, 0, _O_TRUNC),
        _PERMIT,
        (_AND, 0, 0, _O_TRUNC | _O_ACCMODE),
        *(line for test in writing for line in (test, _PERMIT)),
        _REFUSE,
    ]


def _packed(lines: list[_Line]) -> tuple[bytes, tuple[int, ...]]:
    """Return the kernel's form, and the bytes at which the process's own number is to be put."""
    pids = tuple(8 * place + 4 for place, line in enumerate(lines) if line[3] == _OWN_PID)
    packed = (struct.pack("=HBBI", code, yes, no, max(0, value)) for code, yes, no, value in lines)
    return b"".join(packed), pids
