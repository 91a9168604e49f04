#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks the preload library's names: it exports what its sources mark TNI_STAND_IN and its symbol map lists, nothing
less and nothing else, without versions; libc has each of them; and what the library within it calls under one of
these names is renamed (src/preload/own.c, memory.c), so that it does not come back to what stands in.

    check_preload.py ROOT PRELOAD-LIBRARY STATIC-LIBRARY
"""

import ctypes
import re
import subprocess
import sys

import source_tree

FOLDER = 'src/preload'
MAP = f'{FOLDER}/tenon-preload.map'
BUILD = f'{FOLDER}/meson.build'
STAND_IN = re.compile(r'^(?:extern )?TNI_STAND_IN [^;{(]*?\b(\w+)\(|'
                     r'^TNI_STAND_IN_AS\((\w+),|^TNI_STAND_IN_REFUSED\(\w*, \w+, (\w+),',
                      re.MULTILINE)
# What makes descriptors, which own.c has to know of.
MAKERS = {'open', 'open64', 'openat', 'openat64', 'memfd_create', 'eventfd', 'epoll_create',
          'epoll_create1', 'timerfd_create', 'inotify_init', 'inotify_init1', 'pipe', 'pipe2',
          'socket', 'socketpair', 'accept', 'accept4', 'creat', 'creat64', 'signalfd', 'mkostemp64'}
# What touches shared memory, which a sanitizer's runtime must not see: memory.c.
TOUCHERS = {'memcpy', 'memmove', 'memset', 'memcmp', 'bcmp', 'bzero', '__memcpy_chk', '__memmove_chk', '__memset_chk'}


def nm(*arguments):
    done = subprocess.run(['nm', *arguments], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          text=True, check=True)
    return [line.split() for line in done.stdout.splitlines() if line.split()]


def marked(root):
    """Name to the path of its source."""
    found = {}
    for path in source_tree.files(root, ('.c',), (FOLDER,)):
        code = source_tree.code_of(source_tree.read(root, path))
        for match in STAND_IN.finditer(code):
            found[next(filter(None, match.groups()))] = path
    return found


def main():
    root, library, static = sys.argv[1:4]
    sources = marked(root)
    listed = set(re.findall(r'^\t\t(\w+);', source_tree.read(root, MAP), re.MULTILINE))
    wrapped = set(re.findall(r"^  '(\w+)',$", source_tree.read(root, BUILD).split('preload_wrapped')[1],
                             re.MULTILINE))
    exported = {row[-1] for row in nm('-D', '--defined-only', library)}
    undefined = {row[-1] for row in nm('-u', static) if len(row) == 2 and row[0] == 'U'}
    libc = ctypes.CDLL(None)
    faults = [(path, 1, f'{name} stands in, and is not in {MAP}')
              for name, path in sources.items() if name not in listed]
    # A source whose face is not there is not built.
    absent = {name for name, path in sources.items()
              if exported.isdisjoint(other for other, at in sources.items() if at == path)}
    faults += [(MAP, 1, f'{name} stands in nowhere') for name in listed - sources.keys()]
    faults += [(library, 1, f'exports {name}, which {MAP} does not have')
               for name in exported - listed]
    faults += [(library, 1, f'does not export {name}') for name in listed - exported - absent]
    faults += [(MAP, 1, f'libc does not have {name}')
               for name in sorted(listed) if not hasattr(libc, name)]
    faults += [(BUILD, 1, f'the library calls {name}, which is not renamed')
               for name in sorted((listed | MAKERS | TOUCHERS) & undefined - wrapped)]
    source_tree.report('preload', faults, f'{len(exported)} symbols')


main()
