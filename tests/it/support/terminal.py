"""Runs a command with a terminal on stdin, and answers its questions: terminal.py ANSWERS COMMAND…

ANSWERS are separated by commas. Each is typed when a line ends with `: `. What the command prints is printed."""

import os
import pty
import sys

answers = sys.argv[1].split(",")
pid, terminal = pty.fork()
if pid == 0:
    os.execvp(sys.argv[2], sys.argv[2:])
line = b""
while True:
    try:
        chunk = os.read(terminal, 1024)
    except OSError:
        break
    if not chunk:
        break
    sys.stdout.buffer.write(chunk)
    line = (line + chunk).split(b"\n")[-1]
    if line.endswith(b": ") and answers:
        os.write(terminal, answers.pop(0).encode() + b"\n")
        line = b""
sys.stdout.flush()
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
