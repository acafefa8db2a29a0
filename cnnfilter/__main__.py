"""The program: ``cnnfilter``, or ``python -m cnnfilter``; it imports little before it can be interrupted."""

import os
import signal
from typing import NoReturn


def main() -> NoReturn:
    """Run the command line; an interruption while its modules are still being imported ends it quietly."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, lambda *_: os._exit(130))
    from cnnfilter.cli.main import main

    main()


if __name__ == "__main__":
    main()
