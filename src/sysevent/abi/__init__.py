"""The numbers of the KVM ABI and of the firmware interfaces of its guests, each once, each with its source.

They are frozen: programs have them compiled in. None is taken from a header at run time, since headers are
part of what is tested. Nothing here does I/O.
"""
