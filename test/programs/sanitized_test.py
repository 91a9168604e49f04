#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A program that is compiled with a sanitizer runs under `tenon run`: its runtime, which asks for signal handlers and
memory before any constructor has run, starts, and finds no fault in the library.

    sanitized_test.py TENON NAME=PROGRAM…

A program that the compiler could not make is empty.
"""

import os
import shutil
import subprocess
import sys
import tempfile

# Nothing that passes comes near it.
WATCHDOG_S = 100

SUM = '44850\n'


def main():
    tenon, *programs = sys.argv[1:]
    namespace = tempfile.mkdtemp(prefix='tenon-test-sanitized.', dir='/dev/shm')
    environment = {**os.environ, 'TENON_NAMESPACE': namespace}
    environment.pop('LD_PRELOAD', None)

    def run(*words):
        return subprocess.run(words, env=environment, text=True, capture_output=True,
                              timeout=WATCHDOG_S, check=False)

    print(f'1..{len(programs)}')
    failures = 0
    try:
        for number, (name, program) in enumerate((words.split('=', 1) for words in programs), 1):
            if not program:
                print(f'ok {number} - {name} # SKIP the compiler does not make such a program')
                continue
            if run(program, '-').returncode:
                print(f'ok {number} - {name} # SKIP its runtime does not start here')
                continue
            done = run(tenon, 'run', '--', program, '/sanitized')
            passed = (done.returncode, done.stdout, done.stderr) == (0, SUM, '')
            print(f'{"ok" if passed else "not ok"} {number} - {name}')
            failures += not passed
            if not passed:
                for line in f'status {done.returncode}: {done.stdout}{done.stderr}'.splitlines()[:40]:
                    print(f'# {line}')
    finally:
        shutil.rmtree(namespace)
    sys.exit(failures > 0)


main()
