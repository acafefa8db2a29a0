"""``python -m cnnfilter``."""

from cnnfilter.cli.main import main

if __name__ == "__main__":
    main()
