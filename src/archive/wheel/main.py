"""Starts the program `{binary}`, which is installed with this module."""

import os
import sys
import sysconfig


def find_program():
    """Returns the path of the program."""
    above = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    directories = [
        # Environments, `--prefix` and `--user`: <prefix>/lib/python3.x/site-packages
        os.path.normpath(os.path.join(above, "..", "..", "..", "bin")),
        # `pip install --target`
        os.path.join(above, "bin"),
        sysconfig.get_path("scripts"),
    ]
    for directory in directories:
        path = os.path.join(directory, "{binary}")
        if os.path.isfile(path):
            return path
    sys.exit("`{binary}` is not installed in any of: " + ", ".join(directories))


if __name__ == "__main__":
    program = find_program()
    os.execv(program, [program] + sys.argv[1:])
