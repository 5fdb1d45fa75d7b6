"""Entry point of `sanityd` and `python -m sanityd`."""

from sanityd.cli import main

if __name__ == "__main__":
    main()
