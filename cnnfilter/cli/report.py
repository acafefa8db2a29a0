"""What the user hears about many files: a bar, a line for each, a sum, an exit status."""

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, TextIO

from cnnfilter.batch.files import status_of
from cnnfilter.batch.jobs import STREAM, Job
from cnnfilter.batch.process import Outcome, OutputExists
from cnnfilter.cli.main import DONE, NOTHING_DONE, SOME_FAILED, Interrupted, complain, note, reason, say
from cnnfilter.errors import DtypeError, ImageFileError, ParameterError

if TYPE_CHECKING:
    from tqdm import tqdm


class Report:
    """Tell of each file as it ends, and of all of them at the end.

    Parameters
    ----------
    total : int
        How many files there are.
    quiet, verbose, as_json : bool
        Nothing but errors; a line for each file; a JSON object for each file.
    progress : bool or None
        Whether to draw a bar; None draws it for several files on a terminal.
    unreadable : int
        How many folders of the inputs could not be searched.
    stream : TextIO
        Where JSON goes.
    resumable : bool
        Whether an interrupted run can go on with --skip-existing.
    record : dict, optional
        What each JSON object holds beside: see `cnnfilter.cli.record`.
    """

    def __init__(
        self,
        total: int,
        *,
        quiet: bool = False,
        verbose: bool = False,
        as_json: bool = False,
        progress: bool | None = None,
        unreadable: int = 0,
        stream: TextIO | None = None,
        resumable: bool = False,
        record: dict[str, Any] | None = None,
    ) -> None:
        self.record = record or {}
        self.total, self.quiet, self.verbose, self.as_json = total, quiet, verbose, as_json
        self.stream = stream or sys.stdout
        self.counts = {"done": 0, "skipped": 0, "failed": 0}
        self.losses: dict[str, list[str]] = {}
        self.existing: list[tuple[str, OutputExists]] = []
        self.refused: dict[str, list[str]] = {}
        self.unreadable = unreadable
        self.resumable = resumable
        self.started = time.perf_counter()
        self.bar = None
        if progress or (progress is None and total > 1 and not quiet and sys.stderr.isatty()):
            self.bar = _bar(total)

    def __enter__(self) -> "Report":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> Literal[False]:
        if self.bar is not None:
            self.bar.close()
        interrupted = isinstance(error, Interrupted)
        if self.existing:
            self._tell_existing()
        for words, files in self.refused.items():
            if files:
                say(f"{files[0] if len(files) == 1 else f'{len(files)} more files ({files[0]}, …)'}: {words}")
        if (error is None or interrupted) and not self.quiet:
            self._tell_losses()
            if self.total > 1:
                self._sum_up(interrupted)
        return False

    def add(self, job: Job, outcome: Outcome | Exception | None) -> None:
        """Count and tell one file's end: what was done, what failed, or None if it was left alone."""
        status = status_of(outcome)
        self.counts[status] += 1
        if self.bar is not None and (status == "failed" or self.verbose or self.as_json):
            self.bar.clear()
        if isinstance(outcome, OutputExists):
            self.existing.append((_called(job.source), outcome))
        elif isinstance(outcome, Exception):
            self._complain(job, outcome)
        elif self.verbose:
            say(_line(job, outcome))
        elif outcome is not None:
            for loss in outcome.losses:
                self.losses.setdefault(loss, []).append(_called(job.source))
        if self.as_json:
            self._write_json(job, status, outcome)
        if self.bar is not None:
            self.bar.update()

    @property
    def status(self) -> int:
        """The exit status: 0 all done, 1 nothing was done, 3 some files failed."""
        if not self.counts["failed"] and not self.unreadable:
            return DONE
        return SOME_FAILED if self.counts["done"] + self.counts["skipped"] else NOTHING_DONE

    def _write_json(self, job: Job, status: str, outcome: Outcome | Exception | None) -> None:
        import json

        entry: dict[str, Any] = {"input": job.source, "output": job.target, "status": status, **self.record}
        if isinstance(outcome, Exception):
            entry["error"] = reason(outcome)
        elif outcome is not None:
            entry |= outcome._asdict() | {"seconds": round(outcome.seconds, 4)}
            del entry["losses"]  # the notes hold them too
        # ensure_ascii: names that are not UTF-8 come out as escapes, and survive the way back.
        print(json.dumps(entry), file=self.stream, flush=True)

    def _complain(self, job: Job, error: Exception) -> None:
        """Complain of a file; of those that the options or the place of the output fail alike, once.

        What is wrong with a file itself is told of each, for its name is what one needs to know.
        """
        words = reason(error)
        alike = words.removeprefix(f"cannot write {job.target}: ")
        if (alike != words or isinstance(error, (ParameterError, DtypeError))) and not self.verbose:
            if alike in self.refused:
                self.refused[alike].append(_called(job.source))
                return
            self.refused[alike] = []
        complain(error, about=_called(job.source))

    def _tell_existing(self) -> None:
        """Complain of the outputs that are there already: of hundreds in one line."""
        (source, first), count = self.existing[0], len(self.existing)
        if count == 1:
            complain(first, about=source)
        else:
            complain(ImageFileError(f"{first.path} and {count - 1} more outputs exist already; {first.WAYS}"))

    def _tell_losses(self) -> None:
        """Say what did not get from the inputs into the outputs: each loss once, however many had it."""
        for loss, files in self.losses.items():
            note(f"{files[0]}: {loss}" if len(files) == 1 else f"{len(files)} files ({files[0]}, …): {loss}")

    def _sum_up(self, interrupted: bool) -> None:
        done, skipped, failed = self.counts.values()
        words = [f"{done} of {self.total} files done"]
        words += [f"{skipped} skipped"] if skipped else []
        words += [f"{failed} failed"] if failed else []
        words += ["interrupted"] if interrupted else []
        way_on = "; --skip-existing does the rest" if interrupted and self.resumable else ""
        say(f"{', '.join(words)} in {time.perf_counter() - self.started:.1f} s{way_on}")


def _bar(total: int) -> "tqdm[None]":
    from tqdm import tqdm

    return tqdm(total=total, unit="file", file=sys.stderr, leave=False, dynamic_ncols=True)


def _called(path: str) -> str:
    return "standard input" if path == STREAM else path


def _line(job: Job, outcome: Outcome | None) -> str:
    target = "standard output" if job.target == STREAM else job.target
    if outcome is None:
        return f"{_called(job.source)}: skipped, {target} is there"
    words = [f"{_size(outcome.input_shape)} to {_size(outcome.shape)}", f"{outcome.depth} {outcome.form}"]
    words += [f"{outcome.frames} frames"] if outcome.frames > 1 else []
    words += [f"{outcome.clipped} values clipped"] if outcome.clipped else []
    words += [*outcome.notes, f"{outcome.seconds:.3f} s"]
    return f"{_called(job.source)} -> {target}: {', '.join(words)}"


def _size(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
