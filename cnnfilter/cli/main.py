"""The entry point: signals, and the one translation of errors to words and exit statuses."""

import errno
import gc
import io
import os
import signal
import sys
import warnings
from contextlib import suppress
from types import FrameType
from typing import Any, NoReturn

DONE, NOTHING_DONE, USAGE, SOME_FAILED = 0, 1, 2, 3
INTERRUPTED = 128  # and the signal's number, as shells count it: 130 for Ctrl-C
SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


class Interrupted(BaseException):
    """A signal asked the process to end. Not an Exception: nothing but `main` may catch it."""


def main() -> NoReturn:
    """Run the command line and end the process with its exit status."""
    try:
        for number in SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, _interrupt)
        gc.disable()  # nothing that is imported at the start is garbage; looking for it takes 12 ms
        _open_closed_streams()
        status = run(sys.argv[1:])
    except Interrupted as interruption:
        status = INTERRUPTED + interruption.args[0]
    _leave(status)


def run(arguments: list[str]) -> int:
    """Run one command line and return its exit status; complain on standard error in one line."""
    warnings.showwarning = _show_warning
    try:
        from cnnfilter.cli.group import cnnfilter

        status = cnnfilter.main(arguments, prog_name="cnnfilter", standalone_mode=False)
        sys.stdout.flush()
    except BrokenPipeError:
        return NOTHING_DONE  # whoever read our output has gone, and has no use for a message either
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else DONE  # click's own way out, as for a closed pipe
    except Exception as error:
        if _is_help(error):
            return USAGE
        complain(error)
        return _status(error)
    return status if isinstance(status, int) else DONE


def complain(error: Exception, about: str = "") -> None:
    """Say on standard error what is wrong, in one line; with CNNFILTER_DEBUG=1, where as well."""
    if os.environ.get("CNNFILTER_DEBUG") == "1":
        import traceback

        traceback.print_exception(error)
    message = reason(error)
    if not about and isinstance(error, OSError) and error.filename:
        about = str(error.filename)
    if about and not message.startswith(about):
        message = f"{about}: {message}"
    say(message)


def printable(line: str) -> str:
    r"""Escape what a terminal would take for commands: names of files, labels and kernels may hold anything.

    Examples
    --------
    >>> print(printable("red: \x1b[31m"))
    red: \x1b[31m
    """
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in line)


def show_lines(text: str) -> None:
    """Print lines on standard output; what a terminal would take for commands is escaped."""
    print("\n".join(map(printable, text.split("\n"))), flush=True)


def shows_colours() -> bool:
    """Whether standard output is a terminal with colours, and its user wants them (no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM", "dumb") != "dumb"


def say(words: str) -> None:
    """Say something on standard error, in one line.

    Where standard error cannot be written, the work goes on: there is no place to complain.
    """
    with suppress(OSError):
        print(f"cnnfilter: {printable(words)}", file=sys.stderr)


def reason(error: Exception) -> str:
    """Say in words what an exception means, in one line.

    Examples
    --------
    >>> reason(FileNotFoundError(2, "No such file or directory", "a.png"))
    'no such file or directory'
    >>> reason(ZeroDivisionError("division by zero"))
    'unexpected ZeroDivisionError: division by zero (CNNFILTER_DEBUG=1 shows where)'
    """
    import click

    from cnnfilter.errors import CnnFilterError

    if isinstance(error, click.UsageError):
        command = error.ctx.command_path if error.ctx else "cnnfilter"
        words = f"{error.format_message().rstrip('.')}; see '{command} --help'"
    elif isinstance(error, click.ClickException):
        words = error.format_message()
    elif isinstance(error, CnnFilterError):
        words = str(error)
    elif isinstance(error, OSError) and error.errno == errno.EBADF:
        words = "standard output is closed"
    elif isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
        words = "too many open files; fewer --jobs need less, ulimit -n allows more"
    elif isinstance(error, OSError) and error.strerror:
        words = error.strerror[:1].lower() + error.strerror[1:]
    elif isinstance(error, MemoryError):
        words = "not enough memory; fewer --jobs need less"
    else:
        words = f"unexpected {type(error).__name__}: {error} (CNNFILTER_DEBUG=1 shows where)"
    return " ".join(words.split())


def note(message: str) -> None:
    """Say on standard error, in one line, what may surprise; --quiet silences it."""
    say(f"note: {' '.join(message.split())}")


def _show_warning(message: Warning | str, *where: Any, **more: Any) -> None:
    note(str(message))


def _is_help(error: Exception) -> bool:
    """Show the help of a group that was given no command, which is no line of complaint."""
    from click.exceptions import NoArgsIsHelpError

    if not isinstance(error, NoArgsIsHelpError):
        return False
    error.show()
    return True


def _status(error: Exception) -> int:
    import click

    from cnnfilter.errors import DtypeError, ParameterError

    usage = (click.UsageError, ParameterError, DtypeError)
    return USAGE if isinstance(error, usage) else NOTHING_DONE


def _open_closed_streams() -> None:
    """Give a standard stream that was closed (``2>&-``) a place, lest its number fall to an image file."""
    for name in ("stdin", "stdout", "stderr"):  # in this order, each gets its own number back
        stream = getattr(sys, name)
        if stream is None and name == "stdout":
            sys.stdout = open(
                os.open(os.devnull, os.O_RDONLY), "w"
            )  # writing to it is an error, told as such
        elif stream is None:
            setattr(sys, name, open(os.devnull, "r" if name == "stdin" else "w"))
        elif name == "stdout" and isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal of few letters is no reason to fail


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    _ignore_signals()  # once is enough: cleaning up is not to be interrupted
    raise Interrupted(number)


def _ignore_signals() -> None:
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _leave(status: int) -> NoReturn:
    """End the process at once: a worker may be in the middle of a file, which shall not be waited for."""
    _ignore_signals()
    if "cnnfilter.wholefile" in sys.modules:
        from cnnfilter.wholefile import abandon

        abandon()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):  # closed: what was to be said of that has been said
            stream.flush()
    # Not sys.exit: the interpreter's own end flushes a closed pipe with a complaint, and takes 10 ms.
    os._exit(status)
