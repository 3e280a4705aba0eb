"""`python -m relatask`: the same command as `relatask`."""

from relatask.cli.main import main

if __name__ == "__main__":
    main()
