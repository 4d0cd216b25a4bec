"""How a child process of the stack is started: the few lines that run in the child before the real program.

Run by file name with a bare interpreter (`python -I -S launch.py <parent pid> <signal> <user|-> -- argv…`), because
what it does must happen in the child and Python's own hook for that (preexec_fn) is unsafe beside threads:

- ask the kernel to signal the child when its parent dies, so that a SIGKILLed supervisor leaves nothing behind;
- become another user, for PostgreSQL, which refuses to run as root. The user may have no way into the folder the
  environment lives in (a clone under root's home), so the child keeps one capability, to pass closed folders.

It then executes the program in its own place: the pid stays.
"""

import ctypes
import os
import pwd
import sys

PR_SET_PDEATHSIG, PR_SET_KEEPCAPS, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE = 1, 8, 47, 2
CAP_DAC_OVERRIDE = 1
CAPABILITY_VERSION_3 = 0x20080522
SYS_CAPSET = {"x86_64": 126, "aarch64": 91}


def main() -> None:
    parent, death_signal, user = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    argv = sys.argv[5:]
    if user != "-":
        become(pwd.getpwnam(user))
    if sys.platform == "linux":
        # After the change of user: the kernel forgets the request when credentials change.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(0)  # the parent died before the request was made; nobody is left to serve
    os.execv(argv[0], argv)  # noqa: S606  # no shell is wanted here


def become(user: pwd.struct_passwd) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgroups([])
    os.setresgid(user.pw_gid, user.pw_gid, user.pw_gid)
    os.setresuid(user.pw_uid, user.pw_uid, user.pw_uid)
    keep_folder_access(libc)


def keep_folder_access(libc: ctypes.CDLL) -> None:
    """Keep CAP_DAC_OVERRIDE across exec. Where that is not allowed, folders open to everybody still work."""
    number = SYS_CAPSET.get(os.uname().machine)
    if number is None:
        return
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    bit = 1 << CAP_DAC_OVERRIDE
    sets = (ctypes.c_uint32 * 6)(bit, bit, bit, 0, 0, 0)  # effective, permitted, inheritable; low word, high word
    if libc.syscall(number, ctypes.byref(header), ctypes.byref(sets)) == 0:
        libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_OVERRIDE, 0, 0)


if __name__ == "__main__":
    main()
