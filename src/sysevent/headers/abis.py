"""The table of ABIs by its former names, for plugin/layout.py until that imports sysevent.arches."""

from __future__ import annotations

from sysevent.arches import ABIS as USERSPACES
from sysevent.arches import Abi as Userspace
from sysevent.arches import native

__all__ = ["USERSPACES", "Userspace", "native"]
