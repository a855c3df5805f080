"""A terminal that knows what is sent to it while a run goes on, and nothing else."""

import re

_PART = re.compile(r"\x1b\[([0-9]*)([A-Za-z])|(\r)|(\n)|([^\x1b\r\n]+)")


class Terminal:
    """Lines of text, of which none is wrapped; an escape sequence that it does not know is an error."""

    def __init__(self):
        self.lines, self.row, self.column = [""], 0, 0

    def feed(self, text):
        """Act on text; AssertionError if the cursor would leave the first line."""
        for number, letter, cr, lf, plain in _PART.findall(text):
            if letter == "A":
                self.row -= int(number)
                assert self.row >= 0
            elif letter == "J":
                self.lines[self.row] = self.lines[self.row][: self.column]
                del self.lines[self.row + 1 :]
            elif cr:
                self.column = 0
            elif lf:
                self.row, self.column = self.row + 1, 0
                if self.row == len(self.lines):
                    self.lines.append("")
            elif plain:
                line = self.lines[self.row].ljust(self.column)
                end = self.column + len(plain)
                self.lines[self.row] = line[: self.column] + plain + line[end:]
                self.column = end
            else:
                # Colours.
                assert letter == "m", letter
