"""Run clang-tidy over the native code: `python .ci/tidy.py FOLDER`, which it configures a build in.

Everything outside the kernels, and the kernels of one instruction set: the others are the same
sources with other vectors. What is looked for, and what not, is in `.clang-tidy`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pybind11

ROOT = Path(__file__).resolve().parents[1]
ONE_ISA = ("avx2", "neon")


def commands(build: Path) -> list[dict[str, Any]]:
    """The compiler's calls, of the kernels those for one instruction set."""
    subprocess.run(
        [
            "cmake",
            *("-S", ROOT, "-B", build, "-G", "Ninja"),
            "-DCMAKE_EXPORT_COMPILE_COMMANDS=ON",
            f"-Dpybind11_DIR={pybind11.get_cmake_dir()}",
            f"-DPython_EXECUTABLE={sys.executable}",
        ],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    database = build / "compile_commands.json"
    # An option that GCC alone has.
    database.write_text(database.read_text().replace(" -fvect-cost-model=dynamic", ""))
    every = json.loads(database.read_text())
    kernels = [each for each in every if "CONVKIT_ISA=" in each["command"]]
    chosen = [
        each for each in kernels if any(f"CONVKIT_ISA={isa}" in each["command"] for isa in ONE_ISA)
    ]
    assert chosen, f"no kernels for any of {ONE_ISA}"
    return chosen + [each for each in every if each not in kernels]


def tidy(build: Path, source: str) -> tuple[str, int, str]:
    # The OpenMP header is the compiler's own, which is not clang.
    compiler = os.environ.get("CXX", "c++")
    own = subprocess.run(
        [compiler, "-print-file-name=include"], check=True, capture_output=True, text=True
    )
    done = subprocess.run(
        [
            "clang-tidy",
            "-p",
            build,
            "--quiet",
            # Bindings that are compiled as one are so in a file of the build's folder.
            f"--config-file={ROOT / '.clang-tidy'}",
            f"--extra-arg=-idirafter{own.stdout.strip()}",
            source,
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    return (
        source,
        done.returncode,
        done.stdout if done.returncode == 0 else done.stdout + done.stderr,
    )


def main(build: Path) -> None:
    chosen = commands(build)
    (build / "compile_commands.json").write_text(json.dumps(chosen))
    sources = sorted({each["file"] for each in chosen})
    failed = 0
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for source, status, text in pool.map(lambda each: tidy(build, each), sources):
            if status:
                failed += 1
                print(f"{source}\n{text}")
    print(f"clang-tidy: {len(sources)} files, {failed} with findings")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
