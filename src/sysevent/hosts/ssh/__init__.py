"""Lab machines over SSH. They need sshd, a POSIX shell and access to /dev/kvm.

config   ~/.ssh/config with its includes
route    the machines on the way to a target, from its row and ~/.ssh/config
known    the check of a machine's key against known_hosts
connect  a connection through those machines, each of them verified
remote   the shell scripts that run there: copy the VMM into a new directory, run it, clean up
host     the Host that uses all of these
visit    `sysevent targets --check`: log in, check, log out
"""
