"""Pure decoders: raw exits to events, and the structure layouts in BTF and DWARF."""
