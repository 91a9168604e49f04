#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks that no C file is longer than 600 lines and no function longer than 100, that each begins
with the licence, and that no comment of a header is wider than 100 columns, but for tables, and
for what stands behind code.

    check_limits.py [ROOT]
"""

import re

import source_tree

FILE_LINES = 600
FUNCTION_LINES = 100
COLUMNS = 100
TAB = 8
PROSE = re.compile(r'\t*( \*|/\*) \S[^\t]*')
LICENCE = 'SPDX-License-Identifier: Apache-2.0'


def functions(code):
    """Pairs of first and last line of each body.  Braces of a function stand alone in column 0."""
    begin = None
    for number, line in enumerate(code.splitlines(), 1):
        if line.rstrip() == '{':
            begin = number
        elif line.rstrip() == '}' and begin is not None:
            yield begin, number
            begin = None


def check_file(root, path):
    text = source_tree.read(root, path)
    lines = text.count('\n')
    faults = []
    if LICENCE not in text.split('\n', 1)[0]:
        faults.append((path, 1, f'does not begin with {LICENCE}'))
    if lines > FILE_LINES:
        faults.append((path, lines, f'has {lines} lines, more than {FILE_LINES}'))
    if path.endswith('.h'):
        for number, line in enumerate(text.splitlines(), 1):
            columns = len(line.expandtabs(TAB))
            if columns > COLUMNS and PROSE.fullmatch(line):
                faults.append((path, number, f'comment of {columns} columns, more than {COLUMNS}'))
    for begin, end in functions(source_tree.code_of(text)):
        if end - begin - 1 > FUNCTION_LINES:
            faults.append((path, begin, f'function of {end - begin - 1} lines, '
                                        f'more than {FUNCTION_LINES}'))
    return faults


def main():
    root = source_tree.root_argument()
    paths = source_tree.c_files(root)
    faults = [fault for path in paths for fault in check_file(root, path)]
    source_tree.report('limits', faults, f'{len(paths)} files')


main()
