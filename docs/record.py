#!/usr/bin/env python3
"""Records the terminal session of the README and renders it as SVG.

python3 docs/record.py run DIR     run COMMANDS in the workspace DIR, write docs/session.txt
python3 docs/record.py render      write docs/session.svg from docs/session.txt

`cargo-longshore` has to be on PATH, and DIR to be the clone of a program. Rendering is deterministic.
"""

import html
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

# The commands as shown, and the arguments that are added to see colours in a pipe.
COMMANDS = [
    ("cargo longshore dist", ["--color", "always"]),
    ("target/dist/linux/amd64/bin/hexyl --version", []),
    ("cargo longshore size --top 3", ["--color", "always"]),
]
DOCS = Path(__file__).resolve().parent
SESSION = DOCS / "session.txt"
PICTURE = DOCS / "session.svg"

COLUMNS = 131
WIDTH, HEIGHT, MARGIN = 8.4, 18, 16  # of a character, of a line, around all, in pixels
COLOURS = {"31": "#ff7b72", "32": "#7ee787", "33": "#e3b341", "34": "#79c0ff", "36": "#76e3ea"}
PLAIN, BACK, DIM = "#d0d7de", "#161b22", "#8b949e"
ESCAPE = re.compile(r"\x1b\[([0-9;]*)m")


def run(workspace):
    """Runs the commands in `workspace` and writes what they printed."""
    shutil.rmtree(Path(workspace) / "target", ignore_errors=True)
    lines = []
    for shown, colours in COMMANDS:
        environment = dict(os.environ, LONGSHORE_HEARTBEAT="0")
        words = shown.split()
        done = subprocess.run(words[:2] + colours + words[2:], cwd=workspace, env=environment, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=True)
        lines += [f"$ {shown}", *fold(done.stdout.strip("\n").split("\n")), ""]
    SESSION.write_text("\n".join(lines))


def fold(lines):
    """Returns `lines` with one line for a sequence that cargo writes of crates."""
    folded, crates = [], 0
    for line in lines:
        if re.match(r"\s+(Compiling|Downloaded|Downloading) ", ESCAPE.sub("", line)):
            crates += 1
            continue
        if crates:
            folded.append(f"   Compiling … {crates} lines of cargo")
            crates = 0
        folded.append(line.replace(str(Path.home()), "~"))
    return folded


def spans(line):
    """Yields the parts of `line` with their style: a colour, and whether it is bold."""
    colour, bold, at = PLAIN, False, 0
    for escape in ESCAPE.finditer(line):
        if text := line[at:escape.start()]:
            yield text, colour, bold
        for code in (escape[1] or "0").split(";"):
            if code == "0":
                colour, bold = PLAIN, False
            elif code == "1":
                bold = True
            colour = COLOURS.get(code, colour)
        at = escape.end()
    if text := line[at:]:
        yield text, colour, bold


def rows(line):
    """Yields the rows of `line`, each a list of parts, broken as a terminal of COLUMNS does."""
    row, free = [], COLUMNS
    for text, colour, bold in spans(line):
        while text:
            row.append((text[:free], colour, bold))
            text, free = text[free:], free - len(text[:free])
            if free == 0:
                yield row
                row, free = [], COLUMNS
    if row or free == COLUMNS:
        yield row


def render():
    """Returns the picture of the session."""
    texts, y = [], MARGIN
    for line in SESSION.read_text().rstrip("\n").split("\n"):
        for row in rows(line):
            y += HEIGHT
            parts = []
            if line.startswith("$ "):
                row = [("$ ", DIM, False), (line[2:], PLAIN, True)]
            for text, colour, bold in row:
                weight = ' font-weight="bold"' if bold else ""
                parts.append(f'<tspan fill="{colour}"{weight}>{html.escape(text)}</tspan>')
            if parts:
                texts.append(f'<text x="{MARGIN}" y="{y - 5}" xml:space="preserve">{"".join(parts)}</text>')
    width, height = round(COLUMNS * WIDTH + 2 * MARGIN), y + MARGIN
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}"'
        f' viewBox="0 0 {width} {height}" font-family="ui-monospace, Menlo, Consolas, \'DejaVu Sans Mono\', monospace"'
        ' font-size="14" role="img" aria-label="A terminal session, recorded in docs/session.txt">',
        f'<rect width="100%" height="100%" rx="8" fill="{BACK}"/>',
        *texts,
        "</svg>",
        "",
    ])


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[1] == "run":
        run(sys.argv[2])
    elif sys.argv[1:] != ["render"]:
        sys.exit(__doc__)
    PICTURE.write_text(render())
