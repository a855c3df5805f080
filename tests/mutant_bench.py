"""A measurement of mutants with a fake builder and recorded answers, for the tests of it."""

from sysevent.build.kernel import BuiltKernel
from sysevent.errors import KernelNotBuilt
from sysevent.model import Status
from sysevent.sensitivity import drive, mutants
from sysevent.sensitivity.drive import Workshop
from sysevent.sensitivity.places import Place
from sysevent.sensitivity.state import State
from sysevent.sensitivity.tree import TreeCopy
from sysevent.sensitivity.verdicts import Verdicts

FILE = "kvm.c"
TEXT = b"void f(void)\n{\n\tg(0);\n\th();\n}\n"
# The mutants of TEXT, by the line that they make of it.
DELETED, CONSTANT, SECOND = "g deleted", "g(1);", "h deleted"
PASSED = {"a": Status.PASS, "b": Status.PASS}


class Bench:
    """Builds the text of the file, and answers as `answers` says, by what was built."""

    def __init__(self, folder):
        self.folder, self.source = folder, folder / "source"
        self.source.mkdir()
        (self.source / FILE).write_bytes(TEXT)
        self.answers = {}
        self.build_ids = {}
        self.built, self.asked, self.said = [], [], []
        self.fails = set()
        self.beside = ()

    def build(self, tree, log, *, configured=False):
        text = (tree / FILE).read_bytes()
        name = self._name(text)
        assert configured is (name != "original")
        self.built.append(name)
        if name in self.fails:
            raise KernelNotBuilt("building failed: error: no\n  more")
        output = self.folder / "output"
        output.mkdir(exist_ok=True)
        (output / "vmlinux").write_text(self.build_ids.get(name, name))
        (output / "Image").write_text(name)
        return BuiltKernel(f"tree:{output}", {}, (), "gcc")

    def asks(self, image, logs, deadline):
        name = image.read_text()
        self.asked.append(name)
        found = self.answers.get(name, PASSED)
        return found if isinstance(found, Verdicts) else Verdicts(found, image.name, "", 1.0)

    def measure(self, known=(), killed_before=False, asking="asking"):
        found = mutants.find(self.source, [Place((FILE,), "f")])
        workshop = Workshop(
            lambda: TreeCopy.make(self.source, self.folder / "copy", found.files),
            self,
            self.asks,
            "Image",
            self.folder / "images",
            self.folder / "logs",
            asking,
            read_build_id=lambda path: path.read_text(),
            beside=self.beside,
        )
        results = self.folder / "results"
        results.mkdir(exist_ok=True)
        measured = drive.measure(
            found, State(results), workshop, self.said.append, known=known, killed_before=killed_before
        )
        return {self._name(one.mutant.edit.apply(TEXT)): one.result.fate for one in measured.judged}, measured

    def _name(self, text):
        if text == TEXT:
            return "original"
        return DELETED if b"g" not in text else CONSTANT if b"g(1)" in text else SECOND
