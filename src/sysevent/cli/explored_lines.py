"""What `sysevent explore --coverage` does before a kernel is asked, and with what was reached at the end."""

from __future__ import annotations

from pathlib import Path

import msgspec

from sysevent.cli import show
from sysevent.engine.asker import Asker
from sysevent.errors import UsageError
from sysevent.explore import coverage_table, tracefile
from sysevent.explore.coverage import Coverage, FileCoverage
from sysevent.explore.covered_kernel import CoveredKernel, require_kcov, require_vmlinux
from sysevent.explore.kernels import Kernel
from sysevent.model import Facts
from sysevent.qemu.gdb import symbol_file
from sysevent.report import records, run_log
from sysevent.settings import Settings
from sysevent.targets.spec import TargetSpec


def with_debugfs(target: TargetSpec) -> TargetSpec:
    """Return a target whose kernel has debugfs, which guests boot without (qemu/argv.py). The last word counts."""
    return msgspec.structs.replace(target, append=f"{target.append} debugfs=on".strip())


class Lines:
    """The lines of one target's kernel."""

    def __init__(self, kernel: Kernel, facts: Facts, target: TargetSpec, settings: Settings) -> None:
        """UsageError if the kernel has no KCOV, or if its vmlinux is not there."""
        image = kernel.kernel if isinstance(kernel, Asker) else None
        require_kcov(kernel, facts, target.id)
        self._vmlinux = require_vmlinux(symbol_file(image) if image else None, facts, target.id)
        if facts.identity is None:
            raise UsageError(f"--coverage: {target.id} does not say which kernel it runs")
        self._build_id, self._target = facts.identity.build_id, target
        self.known = CoveredKernel(settings, target.arch, self._build_id)
        self.coverage: Coverage = self.known.coverage(self._vmlinux)

    def finish(self, results: Path, *, guided: bool) -> records.Coverage:
        """Keep what was reached, write the list of lines, print the table, and return the record."""
        self.known.keep(self.coverage)
        files = tuple(self.coverage.files())
        path = results / f"{run_log.logs_in(results, self._target.id).name}.info"
        path.write_text(tracefile.render(self.coverage, _source(self._vmlinux)), encoding="utf-8")
        show("\n".join(coverage_table.render(files)))
        show(f"lines: {path}")
        return records.Coverage(
            target=self._target.id,
            build_id=self._build_id,
            guided=guided,
            files={one.path: _covered(one) for one in files},
            cut=self.coverage.cut,
            tracefile=str(path),
        )


def _covered(one: FileCoverage) -> records.Covered:
    return records.Covered(lines=one.lines, reached=one.reached, new=one.new, unreached=one.unreached)


def _source(vmlinux: Path) -> Path:
    """Return the source tree of a vmlinux, which may be that of its output directory."""
    link = vmlinux.parent / "source"
    return link.resolve() if link.is_symlink() else vmlinux.parent
