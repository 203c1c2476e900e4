"""Writes a directory of wheels that depend on each other, as input of a resolver: `wheels.py DIRECTORY`."""

import pathlib
import random
import sys
import zipfile

PACKAGES = 400
VERSIONS = 6

place = pathlib.Path(sys.argv[1])
place.mkdir(parents=True)
chance = random.Random(1)
for number in range(PACKAGES):
    # Later packages only, so that no circle forms.
    later = range(number + 1, min(number + 40, PACKAGES))
    needed = chance.sample(later, min(4, len(later)))
    for version in range(1, VERSIONS + 1):
        # The newest version of every ninth package wants an old one of the others: the resolver has to go back.
        newest = version == VERSIONS and number % 9 == 0
        bound = "<3" if newest else f">={max(1, version - 3)}"
        requires = "".join(f"Requires-Dist: package-{n}{bound}.0\n" for n in needed)
        name = f"package_{number}-{version}.0"
        text = f"Metadata-Version: 2.1\nName: package-{number}\nVersion: {version}.0\n{requires}"
        with zipfile.ZipFile(place / f"{name}-py3-none-any.whl", "w") as wheel:
            wheel.writestr(f"{name}.dist-info/METADATA", text)
            wheel.writestr(f"{name}.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
            wheel.writestr(f"{name}.dist-info/RECORD", "")
