"""Prints the entries of each tar archive named on standard input, one JSON value a line."""
import hashlib
import json
import sys
import tarfile

KINDS = {
    tarfile.REGTYPE: "f", tarfile.AREGTYPE: "f", tarfile.DIRTYPE: "d", tarfile.SYMTYPE: "l",
    tarfile.LNKTYPE: "h", tarfile.CHRTYPE: "s", tarfile.BLKTYPE: "s", tarfile.FIFOTYPE: "s",
}


def text(name):
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


for line in sys.stdin:
    entries = []
    try:
        with tarfile.open(line.rstrip("\n"), "r:", encoding="utf-8") as archive:
            for entry in archive:
                content = archive.extractfile(entry).read() if entry.isreg() else b""
                target = entry.linkname if entry.islnk() or entry.issym() else ""
                entries.append({
                    "path": text(entry.name),
                    "kind": KINDS.get(entry.type, "?"),
                    "target": text(target),
                    "sha256": hashlib.sha256(content).hexdigest(),
                })
        print(json.dumps(entries))
    except Exception as error:
        print(json.dumps(repr(error)))
