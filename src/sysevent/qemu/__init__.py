"""QEMU itself: its command line, process, monitor (QMP) and console. Nothing here depends on a claim."""
