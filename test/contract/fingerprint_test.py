#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Shows what docs/ABI.md promises of the layout: "two builds that disagree about a single offset refuse
each other's objects".  For each structure of src/abi, two neighbouring fields of one size change places
in a private copy, with the assertions as such a build would have them; its fingerprint must be another.

    fingerprint_test.py SOURCE_ROOT COMPILER
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile

HEADERS = ('object.h', 'gate.h', 'queue.h', 'region.h')
STRUCT = re.compile(r'^struct (tni_\w+) \{\n(.*?)^\};', re.MULTILINE | re.DOTALL)
# One field in one line, perhaps with a comment behind it.
FIELD = re.compile(r'^\t((?:struct \w+|u?int\d+_t) )(\w+)(\[\w+\])?;[ \t]*(?:/\*.*)?$', re.MULTILINE)
PROGRAM = """#include <stdio.h>
#include "core/object.c"
int main(void) { printf("%016llx\\n", (unsigned long long)fingerprint()); return 0; }
"""


def fingerprint(compiler, folder):
    with open(os.path.join(folder, 'main.c'), 'w', encoding='utf-8') as source:
        source.write(PROGRAM)
    program = os.path.join(folder, 'main')
    # What the rest of the file calls is not there, and not needed.
    subprocess.run([*compiler, '-D_GNU_SOURCE', '-std=gnu11', '-w', '-O1', f'-I{folder}/src',
                    f'-I{folder}/include', '-o', program, os.path.join(folder, 'main.c'),
                    '-ffunction-sections', '-Wl,--gc-sections,--unresolved-symbols=ignore-all', '-pthread'], check=True)
    return subprocess.run([program], check=True, capture_output=True, text=True).stdout


def exchanged(body):
    """The body with two neighbours exchanged, and their names; or None if there are none such."""
    fields = list(FIELD.finditer(body))
    for one, other in zip(fields, fields[1:]):
        same = one[1] == other[1] and (one[3] or '') == (other[3] or '')
        if same and not one[2].startswith('reserved') and not other[2].startswith('reserved'):
            changed = (body[:one.start(2)] + other[2] + body[one.end(2):other.start(2)] + one[2] +
                       body[other.end(2):])
            return changed, one[2], other[2]
    return None


def without_assertions(text):
    return re.sub(r'^_Static_assert\(.*?\);$', '', text, flags=re.MULTILINE | re.DOTALL)


def cases(root):
    for header in HEADERS:
        with open(os.path.join(root, 'src/abi', header), encoding='utf-8') as source:
            text = without_assertions(source.read())
        for found in STRUCT.finditer(text):
            change = exchanged(found[2])
            if change:
                changed = text[:found.start(2)] + change[0] + text[found.end(2):]
                yield header, changed, f'{found[1]}: {change[1]} and {change[2]}'


def main():
    root, compiler = sys.argv[1], sys.argv[2:]
    all_cases = list(cases(root))
    print(f'TAP version 13\n1..{len(all_cases)}')
    failed = not all_cases
    with tempfile.TemporaryDirectory(prefix='tenon-fingerprint.') as folder:
        for name in ('src', 'include'):
            shutil.copytree(os.path.join(root, name), os.path.join(folder, name))
        own = fingerprint(compiler, folder)
        for number, (header, changed, name) in enumerate(all_cases, 1):
            path = os.path.join(folder, 'src/abi', header)
            shutil.copy(path, path + '.own')
            with open(path, 'w', encoding='utf-8') as copy:
                copy.write(changed)
            different = fingerprint(compiler, folder) != own
            shutil.move(path + '.own', path)
            print(f'{"ok" if different else "not ok"} {number} - {name}', flush=True)
            failed |= not different
    sys.exit(1 if failed else 0)


main()
