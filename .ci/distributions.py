"""Check an sdist and a Linux wheel: `python .ci/distributions.py FOLDER`.

The source distribution holds what git holds, the wheel the package with one native module and the
licences: nothing is missing, and no data set, cache or stray build comes along.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def tracked(folder: str = ".") -> set[str]:
    names = subprocess.run(
        ["git", "ls-files", folder], cwd=ROOT, check=True, capture_output=True, text=True
    )
    return set(names.stdout.split())


def packed(path: Path) -> set[str]:
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as wheel:
            return {name for name in wheel.namelist() if not name.endswith("/")}
    with tarfile.open(path) as sdist:
        return {member.name.split("/", 1)[1] for member in sdist if member.isfile()}


def compare(path: Path, found: set[str], expected: set[str]) -> None:
    print(f"{path.name}: {len(found)} files, {path.stat().st_size / 1e6:.2f} MB")
    if found != expected:
        sys.exit(f"missing: {sorted(expected - found)}\ntoo many: {sorted(found - expected)}")


def main(folder: Path) -> None:
    (sdist,) = folder.glob("*.tar.gz")
    compare(sdist, packed(sdist), tracked() | {"PKG-INFO"})

    (wheel,) = folder.glob("*.whl")
    info = "-".join(wheel.name.split("-")[:2]) + ".dist-info"
    package = {name.removeprefix("python/") for name in tracked("python")}
    licences = {f"licenses/{name}" for name in ("LICENSE", "LICENSE-THIRD-PARTY.txt")}
    around = {f"{info}/{name}" for name in {"METADATA", "RECORD", "WHEEL", *licences}}
    # Whatever Python it is for; and what auditwheel adds: the OpenMP runtime and a note about it.
    names = {re.sub(r"_core\.(cpython|cp)\S*\.so$", "_core.so", name) for name in packed(wheel)}
    additions = re.compile(r"convkit\.libs/libgomp-\w+\.so[\d.]+|.*\.dist-info/sboms/.*")
    added = {name for name in names if additions.fullmatch(name)}
    compare(wheel, names - added, package | around | {"convkit/_core.so"})
    if not any("libgomp" in name for name in added):
        sys.exit("the OpenMP runtime is not in the wheel: auditwheel repair puts it there")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
