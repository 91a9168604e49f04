#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Lints the manual pages.

    check_manuals.py [ROOT]
"""

import re
import shutil
import subprocess
import sys

import source_tree

MESSAGE = re.compile(r'^mandoc: (.+?):(\d+):\d+: (.*)')


def main():
    root = source_tree.root_argument()
    if not shutil.which('mandoc'):
        print('SKIP: no mandoc')
        sys.exit(77)
    suffixes = tuple(f'.{section}' for section in range(1, 9))
    pages = source_tree.files(root, suffixes, ('man',))
    faults = []
    for page in pages:
        done = subprocess.run(['mandoc', '-T', 'lint', '-W', 'warning', page], cwd=root,
                              capture_output=True, text=True, check=False)
        found = [MESSAGE.match(line) for line in (done.stdout + done.stderr).splitlines()]
        here = [(match[1], int(match[2]), match[3]) for match in found if match]
        if done.returncode != 0 and not here:
            here = [(page, 1, done.stdout + done.stderr)]
        faults += here
    if not pages:
        faults = [('man', 1, 'holds no manual page')]
    source_tree.report('manuals', faults, f'{len(pages)} pages')


main()
