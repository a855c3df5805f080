"""Errno numbers of a guest's kernel: include/uapi/asm-generic/errno-base.h and errno.h, used by all architectures.

Not those of Python's module errno, which are this machine's.
"""

from __future__ import annotations

import enum


class Errno(enum.IntEnum):
    """What a system call failed with."""

    EPERM = 1
    ENOENT = 2
    EINTR = 4
    EIO = 5
    ENXIO = 6
    E2BIG = 7
    ENOEXEC = 8
    ECHILD = 10
    EAGAIN = 11
    ENOMEM = 12
    EACCES = 13
    EFAULT = 14
    EBUSY = 16
    EEXIST = 17
    ENODEV = 19
    EINVAL = 22
    ENFILE = 23
    EMFILE = 24
    ENOTTY = 25
    ENOSYS = 38
    EOPNOTSUPP = 95
    ETIMEDOUT = 110
    ENOKEY = 126
    EKEYREJECTED = 129
