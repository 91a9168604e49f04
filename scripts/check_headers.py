#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compiles each header alone: the public ones as C99 and as C++17, both pedantic; the internal ones
as the sources are.

    check_headers.py [ROOT]
"""

import os
import shutil
import subprocess
import sys

import source_tree

WARNINGS = ['-Wall', '-Wextra', '-Werror', '-fsyntax-only']
PUBLIC = (
    ('gcc', ['-x', 'c', '-std=c99', '-pedantic', '-Wstrict-prototypes']),
    ('clang', ['-x', 'c', '-std=c99', '-pedantic', '-Wstrict-prototypes']),
    ('clang', ['-x', 'c++', '-std=c++17', '-pedantic']),
)
INTERNAL = (('gcc', ['-x', 'c', '-std=gnu11', '-D_GNU_SOURCE', '-Isrc']),)


def compile_alone(root, path, compiler, options):
    """What the compiler says of a file that includes nothing but this header, twice."""
    name = os.path.basename(path)
    program = f'#include "{path}"\n#include "{path}"\ntypedef int check_headers_needs_a_unit;\n'
    done = subprocess.run(
        [compiler, *options, *WARNINGS, '-I.', '-Iinclude', '-'],
        cwd=root, input=program, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return []
    first = next((line for line in done.stderr.splitlines() if 'error' in line), done.stderr)
    return [(path, 1, f'{name} alone, with {compiler} {" ".join(options)}: {first}')]


def main():
    root = source_tree.root_argument()
    lacking = [compiler for compiler in ('gcc', 'clang') if not shutil.which(compiler)]
    if lacking:
        print(f'SKIP: no {" and no ".join(lacking)}')
        sys.exit(77)
    public = source_tree.files(root, ('.h',), ('include',))
    internal = source_tree.files(root, ('.h',), ('src',))
    faults = []
    for paths, ways in ((public, PUBLIC), (internal, INTERNAL)):
        for path in paths:
            for compiler, options in ways:
                faults += compile_alone(root, path, compiler, options)
    source_tree.report('headers', faults, f'{len(public) + len(internal)} headers')


main()
