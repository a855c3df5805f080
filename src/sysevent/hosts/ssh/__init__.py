"""Lab machines over SSH: nothing is needed there but sshd, a POSIX shell, and access to /dev/kvm.

route    which machines lie on the way, from a target's row and ~/.ssh/config
known    whether a machine is who it should be
connect  from here to there, verified hop by hop
remote   what we run there: short scripts, the VMM in a directory of its own, and its end
host     all of it as a Host
"""
