#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks that a shared library exports what its public headers declare TENON_PUBLIC, nothing less
and nothing else, and all of it under the name tenon_.

    check_symbols.py ROOT LIBRARY
"""

import subprocess
import sys

import source_tree

def exported(library):
    done = subprocess.run(['nm', '-D', '--defined-only', library],
                          stdout=subprocess.PIPE, text=True, check=True)
    rows = [line.split()[-2:] for line in done.stdout.splitlines()]
    # Type A is the name of a version, not of a symbol.
    return {name.split('@')[0] for kind, name in rows if kind != 'A'}


def main():
    root, library = sys.argv[1:3]
    headers, symbols = source_tree.public_names(root), exported(library)
    faults = [(path, 1, f'{name} is declared but {library} does not export it')
              for name, path in headers.items() if name not in symbols]
    faults += [(library, 1, f'exports {name}, which no public header declares')
               for name in symbols - headers.keys()]
    faults += [(library, 1, f'exports {name}, which does not begin with tenon_')
               for name in symbols if not name.startswith('tenon_')]
    source_tree.report('symbols', faults, f'{len(symbols)} symbols')


main()
