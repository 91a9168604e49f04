#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks that the C sources are formatted as .clang-format says, or formats them.

    check_format.py [--fix] [ROOT]
"""

import os
import re
import shutil
import subprocess
import sys

import source_tree

STYLE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), '.clang-format')


def main():
    fix = '--fix' in sys.argv
    if fix:
        sys.argv.remove('--fix')
    root = source_tree.root_argument()
    if not shutil.which('clang-format'):
        print('SKIP: no clang-format')
        sys.exit(77)
    paths = source_tree.c_files(root)
    mode = ['-i'] if fix else ['--dry-run', '-Werror', '--ferror-limit=1']
    done = subprocess.run(['clang-format', f'--style=file:{STYLE}', *mode, *paths], cwd=root,
                          capture_output=True, text=True, check=False)
    found = re.findall(r'^(.+?):(\d+):\d+: error: (.*)', done.stderr, re.MULTILINE)
    faults = [(path, int(line), 'is not formatted (make format)') for path, line, _ in found]
    if done.returncode != 0 and not faults:
        faults = [('clang-format', 1, done.stderr.strip())]
    source_tree.report('format', faults, f'{len(paths)} files')


main()
