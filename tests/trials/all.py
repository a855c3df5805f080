"""All faults: importing this module fills the catalogue."""

from trials import of_kernels, of_labs, of_processes, of_programs, of_resources, of_the_cache, of_vmms
from trials.catalogue import FAULTS

__all__ = [
    "FAULTS",
    "of_kernels",
    "of_labs",
    "of_processes",
    "of_programs",
    "of_resources",
    "of_the_cache",
    "of_vmms",
]
