"""What the Linux kernel can be asked to refuse: a system call filter and folders.

Both are small and come on top of the other walls. The system call filter (seccomp) is what
keeps a program from starting processes, from signalling or reading others, from opening
sockets and from changing the rights of files, also where bubblewrap is not to be had. The rule
set for folders (Landlock) keeps a program under `isolation=process` to the folders that it
needs; it says nothing on rights, which is why the filter does. Neither exists outside Linux,
and the filter knows two processors; elsewhere they are left out, and `abilities` says so.
"""

import ctypes
import errno
import os
import platform
import struct
import sys
from dataclasses import dataclass
from pathlib import Path

_NUMBERS = {
    # name: (x86_64, aarch64); -1 where a processor does not have the call
    "accept": (43, 202),
    "accept4": (288, 242),
    "add_key": (248, 217),
    "bind": (49, 200),
    "bpf": (321, 280),
    "chmod": (90, -1),
    "chown": (92, -1),
    "chroot": (161, 51),
    "clock_adjtime": (305, 266),
    "clock_settime": (227, 112),
    "connect": (42, 203),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "fchmodat2": (452, 452),
    "fchown": (93, 55),
    "fchownat": (260, 54),
    "file_setattr": (469, 469),
    "finit_module": (313, 273),
    "fremovexattr": (199, 16),
    "fsconfig": (431, 431),
    "fsetxattr": (190, 7),
    "fsmount": (432, 432),
    "fsopen": (430, 430),
    "fspick": (433, 433),
    "futimesat": (261, -1),
    "init_module": (175, 105),
    "io_setup": (206, 0),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "io_uring_setup": (425, 425),
    "ioprio_set": (251, 30),
    "kcmp": (312, 272),
    "kexec_file_load": (320, 294),
    "kexec_load": (246, 104),
    "keyctl": (250, 219),
    "lchown": (94, -1),
    "listen": (50, 201),
    "lremovexattr": (198, 15),
    "lsetxattr": (189, 6),
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "migrate_pages": (256, 238),
    "mount": (165, 40),
    "mount_setattr": (442, 442),
    "move_mount": (429, 429),
    "move_pages": (279, 239),
    "mq_open": (240, 180),
    "mq_unlink": (241, 181),
    "msgctl": (71, 187),
    "msgget": (68, 186),
    "msgrcv": (70, 188),
    "msgsnd": (69, 189),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "open_tree": (428, 428),
    "perf_event_open": (298, 241),
    "personality": (135, 92),
    "pidfd_getfd": (438, 438),
    "pidfd_open": (434, 434),
    "pidfd_send_signal": (424, 424),
    "pivot_root": (155, 41),
    "process_madvise": (440, 440),
    "process_mrelease": (448, 448),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "ptrace": (101, 117),
    "reboot": (169, 142),
    "removexattr": (197, 14),
    "removexattrat": (466, 466),
    "request_key": (249, 218),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "sched_setaffinity": (203, 122),
    "sched_setattr": (314, 274),
    "sched_setparam": (142, 118),
    "sched_setscheduler": (144, 119),
    "semctl": (66, 191),
    "semget": (64, 190),
    "semop": (65, 193),
    "semtimedop": (220, 192),
    "setns": (308, 268),
    "setpriority": (141, 140),
    "setrlimit": (160, 164),
    "setxattr": (188, 5),
    "setxattrat": (463, 463),
    "shmat": (30, 196),
    "shmctl": (31, 195),
    "shmget": (29, 194),
    "socket": (41, 198),
    "swapoff": (168, 225),
    "swapon": (167, 224),
    "syslog": (103, 116),
    "umount2": (166, 39),
    "unshare": (272, 97),
    "userfaultfd": (323, 282),
    "utime": (132, -1),
    "utimensat": (280, 88),
    "utimes": (235, -1),
}
_NUMBERS_OF_PROCESSES = {
    "execve": (59, 221),
    "execveat": (322, 281),
    "fork": (57, -1),
    "setpgid": (109, 154),
    "setsid": (112, 157),
    "vfork": (58, -1),
}
_CLONE, _CLONE3 = (56, 220), (435, 435)
_SIGNALS = ((62, 129), (200, 130), (234, 131))  # kill, tkill, tgkill
_PRLIMIT = (302, 261)
_FCNTL, _IOCTL = (72, 25), (16, 29)
_SIGNAL_OTHERS = (8, 10, 15)  # F_SETOWN, F_SETSIG, F_SETOWN_EX: who is sent which signal on input
_SIGNAL_OTHERS_BY_IOCTL = (0x8901, 0x8902, 0x5412)  # FIOSETOWN, SIOCSPGRP; TIOCSTI: types for one
_CAPSET = (126, 91)
_ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
_CLONE_THREAD = 0x00010000

_LOAD, _JUMP_EQUAL, _JUMP_SET, _JUMP_GREATER_EQUAL, _RETURN = 0x20, 0x15, 0x45, 0x35, 0x06
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_OFFSET_NUMBER, _OFFSET_ARCHITECTURE, _OFFSET_ARGUMENTS = 0, 4, 16


@dataclass(frozen=True)
class Filter:
    """A system call filter in the kernel's form.

    Attributes:
        code: instructions of classic BPF.
        pid_offsets: where the program's own process number is to be put, in bytes.
    """

    code: bytes = b""
    pid_offsets: tuple[int, ...] = ()


def system_call_filter(processes: bool) -> Filter:
    """Return the filter for this machine; empty where there is none.

    Args:
        processes: whether the program may start processes of its own.
    """
    if not filter_works():
        return Filter()
    column, architecture = _ARCHITECTURES[platform.machine()]
    lines: list[tuple[int, int, int, int]] = [
        (_LOAD, 0, 0, _OFFSET_ARCHITECTURE),
        (_JUMP_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _OFFSET_NUMBER),
    ]
    pids: list[int] = []
    refuse = (_RETURN, 0, 0, _ERRNO | errno.EPERM)
    allow = (_RETURN, 0, 0, _ALLOW)

    def when(number: int, *block: tuple[int, int, int, int]) -> None:
        if number >= 0:
            lines.append((_JUMP_EQUAL, 0, len(block), number))
            lines.extend(block)

    if architecture == _ARCHITECTURES["x86_64"][1]:  # the calls of the x32 ABI
        lines += [(_JUMP_GREATER_EQUAL, 0, 1, 0x40000000), refuse]
    if not processes:
        first = (_LOAD, 0, 0, _OFFSET_ARGUMENTS)
        when(_CLONE[column], first, (_JUMP_SET, 0, 1, _CLONE_THREAD), allow, refuse)
        when(_CLONE3[column], (_RETURN, 0, 0, _ERRNO | errno.ENOSYS))  # then clone is used
        for numbers in _SIGNALS:  # only to oneself
            pids.append(len(lines) + 2)
            when(numbers[column], first, (_JUMP_EQUAL, 0, 1, 0), allow, refuse)
        for numbers in _NUMBERS_OF_PROCESSES.values():
            when(numbers[column], refuse)
    low, high = _OFFSET_ARGUMENTS + 16, _OFFSET_ARGUMENTS + 20  # the third: new limits
    when(
        _PRLIMIT[column],
        (_LOAD, 0, 0, low),
        (_JUMP_EQUAL, 0, 3, 0),
        (_LOAD, 0, 0, high),
        (_JUMP_EQUAL, 0, 1, 0),
        allow,
        refuse,
    )
    second = (_LOAD, 0, 0, _OFFSET_ARGUMENTS + 8)
    for numbers, refused in ((_FCNTL, _SIGNAL_OTHERS), (_IOCTL, _SIGNAL_OTHERS_BY_IOCTL)):
        tests = [
            (_JUMP_EQUAL, len(refused) - place, 0, value) for place, value in enumerate(refused)
        ]
        when(numbers[column], second, *tests, allow, refuse)
    for numbers in _NUMBERS.values():
        when(numbers[column], refuse)
    lines.append(allow)
    code = b"".join(struct.pack("=HBBI", *line) for line in lines)
    return Filter(code, tuple(8 * line + 4 for line in pids))


def filter_works() -> bool:
    """Whether this kernel and processor can have the system call filter."""
    if sys.platform != "linux" or platform.machine() not in _ARCHITECTURES:
        return False
    if struct.calcsize("P") != 8:
        return False
    return Path("/proc/sys/kernel/seccomp").exists() or "Seccomp" in _own_status()


def capset_number() -> int:
    """Number of the system call that drops capabilities; 0 where it is not needed or known."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return 0
    machine = _ARCHITECTURES.get(platform.machine())
    return _CAPSET[machine[0]] if machine else 0


def landlock_version() -> int:
    """Version of Landlock in this kernel; 0 if there is none."""
    if sys.platform != "linux" or platform.machine() not in _ARCHITECTURES:
        return 0
    libc = ctypes.CDLL(None, use_errno=True)
    return max(0, int(libc.syscall(444, None, ctypes.c_size_t(0), 1)))


def landlock_rules(readable: list[str], writable: list[str]) -> dict[str, object]:
    """Return rules that the guest puts on itself; empty where Landlock is missing."""
    version = landlock_version()
    if version == 0:
        return {}
    handled = (1 << 13) - 1
    if version >= 2:
        handled |= 1 << 13  # moving between folders
    if version >= 3:
        handled |= 1 << 14  # truncating
    if version >= 5:
        handled |= 1 << 15  # talking to devices
    read = 0b1101  # execute (to map libraries), read files, list folders
    device = 0b0110 | (handled & 1 << 14)
    allowed = [(path, read) for path in readable]
    allowed += [(path, handled) for path in writable]
    allowed += [("/dev/null", device), ("/dev/zero", device)]
    allowed += [("/dev/urandom", 0b0100), ("/dev/random", 0b0100)]
    attributes = [handled]
    if version >= 4:
        attributes.append(0b11)  # no TCP
    if version >= 6:
        attributes.append(0b11)  # no abstract sockets and no signals beyond
    return {
        "attributes": struct.pack(f"={len(attributes)}Q", *attributes),
        "of_files": 0b0111 | (handled & 1 << 14),
        "allowed": allowed,
    }


def _own_status() -> str:
    try:
        return Path("/proc/self/status").read_text()
    except OSError:
        return ""
