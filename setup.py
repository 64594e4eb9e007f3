"""Compile the wire kernel where a C compiler is there; install without it where not.

The kernel's modules are those of `rivet.wire` that have a `.pxd` beside them. `-march` stays the
compiler's default, so that a wheel runs on every processor of its platform.
"""

from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

KERNEL = sorted(path.with_suffix(".py") for path in Path("src/rivet/wire").glob("*.pxd"))

setup(
    ext_modules=cythonize(
        [
            Extension(
                f"rivet.wire.{path.stem}", [str(path)], optional=True, extra_compile_args=["-O3"]
            )
            for path in KERNEL
            if path.exists()
        ],
        include_path=["src"],
        compiler_directives={
            "language_level": "3",
            "annotation_typing": True,
            "boundscheck": False,
            "wraparound": False,
            "cdivision": True,
            "initializedcheck": False,
        },
    )
)
