#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Refuses an #include that runs up or sideways between the floors of the architecture, and a memory
order that is named anywhere but in src/abi/atomic.h.  Programs, which are no part of the library, may
have atomics of their own through the compiler's __atomic built-ins; the library may not.

    programs   src/cli  src/preload  examples  bench  test
    faces      src/posix  src/sysv  src/win32  src/alpc  src/mach  src/rpc
    objects    src/object
    core       src/core
    layout     src/abi
    public     include/tenon        includable from everywhere; includes nothing but itself

A file may include its own folder and the floors below.  The unit test beside a source stands on the
floor of its folder, and may use test/ as well.

    check_layering.py [ROOT]
"""

import os
import re

import source_tree

FLOORS = (
    ('include',),
    ('src/abi',),
    ('src/core',),
    ('src/object',),
    ('src/posix', 'src/sysv', 'src/win32', 'src/alpc', 'src/mach', 'src/rpc'),
    ('src/cli', 'src/preload', 'examples', 'bench', 'test'),
)
PROGRAMS = len(FLOORS) - 1
ATOMICS = 'src/abi/atomic.h'

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(["<])([^">\n]+)[">]', re.MULTILINE)
ORDER = re.compile(r'\bmemory_order\w*')
ORDER_IN_LIBRARY = re.compile(r'\b(?:memory_order\w*|__ATOMIC_\w+|__sync_\w+)')


def place(path):
    """The floor's number and the folder of a file; None for a file that stands on no floor."""
    for number, folders in enumerate(FLOORS):
        for folder in folders:
            if path.startswith(folder + '/'):
                return number, folder
    return None


def resolve(root, path, quote, name):
    """The file of this tree that an include names, or None if it is not of this tree."""
    folders = ['include']
    if quote == '"':
        folders = [os.path.dirname(path), 'src', 'include', '.'] + [
            folder for floor in FLOORS for folder in floor]
    for folder in folders:
        candidate = os.path.normpath(os.path.join(folder, name))
        if os.path.exists(os.path.join(root, candidate)):
            return candidate
    return None


def judge(path, target):
    """A sentence if `path` must not include `target`."""
    (floor, folder), (target_floor, target_folder) = place(path), place(target)
    if target_folder == folder or target_floor < floor:
        return None
    if path.endswith('_test.c') and target_folder == 'test':
        return None
    way = 'sideways' if target_floor == floor else 'up'
    return f'include of {target} runs {way}, from {folder} to {target_folder}'


def check_file(root, path):
    if place(path) is None:
        return [(path, 1, 'stands on no floor: name its folder in scripts/check_layering.py')]
    text = source_tree.read(root, path)
    faults = []
    for match in INCLUDE.finditer(source_tree.code_of(text, keep_strings=True)):
        line = source_tree.line_of(text, match.start())
        target = resolve(root, path, match.group(1), match.group(2))
        if target is not None and place(target) is not None:
            sentence = judge(path, target)
        elif match.group(1) == '"':
            sentence = f'include of "{match.group(2)}" is not found in this tree'
        else:
            sentence = None
        if sentence:
            faults.append((path, line, sentence))
    if path != ATOMICS:
        pattern = ORDER_IN_LIBRARY if place(path)[0] < PROGRAMS else ORDER
        for match in pattern.finditer(source_tree.code_of(text)):
            faults.append((path, source_tree.line_of(text, match.start()),
                           f'{match.group()} is named; only {ATOMICS} may'))
    return faults


def main():
    root = source_tree.root_argument()
    paths = source_tree.c_files(root)
    faults = [fault for path in paths for fault in check_file(root, path)]
    source_tree.report('layering', faults, f'{len(paths)} files')


main()
