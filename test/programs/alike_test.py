#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Programs that print what they see of the system print the same with the preload library and without.

    alike_test.py TENON PROGRAM…
"""

import difflib
import os
import shutil
import subprocess
import sys
import tempfile

# Nothing that passes comes near it.
WATCHDOG_S = 100

# The kernel has no message queues, or gives this user none.
ABSENT = ('Function not implemented', 'Too many open files', 'No space left on device')


def run(command, environment):
    return subprocess.run(command, env=environment, text=True, capture_output=True,
                          timeout=WATCHDOG_S, check=False)


def main():
    tenon, *programs = sys.argv[1:]
    namespace = tempfile.mkdtemp(prefix='tenon-test-alike.', dir='/dev/shm')
    environment = {**os.environ, 'TENON_NAMESPACE': namespace}
    environment.pop('LD_PRELOAD', None)
    print(f'1..{len(programs)}')
    failures = 0
    try:
        for number, program in enumerate(programs, 1):
            words = [program, f'/alike-{os.getpid()}']
            bare = run(words, environment)
            name = os.path.basename(program)
            if bare.returncode and any(text in bare.stderr for text in ABSENT):
                print(f'ok {number} - {name} # SKIP the kernel: {bare.stderr.strip()}')
                continue
            ours = run([tenon, 'run', '--', *words], environment)
            same = bare.returncode == 0 and (ours.returncode, ours.stdout, ours.stderr) == (
                bare.returncode, bare.stdout, bare.stderr)
            print(f'{"ok" if same else "not ok"} {number} - {name}')
            failures += not same
            if not same:
                print(f'# status {bare.returncode} and {ours.returncode} {ours.stderr!r}')
                for line in difflib.unified_diff(bare.stdout.split('\n'), ours.stdout.split('\n'),
                                                 'kernel', 'tenon', n=1, lineterm=''):
                    print(f'# {line}')
    finally:
        shutil.rmtree(namespace)
    sys.exit(failures > 0)


main()
