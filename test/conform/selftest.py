#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Shows that requirements can fail: the kernel's queues with one thing wrong each (TAP).

    selftest.py PROGRAM MUTANT_LIBRARY MUTANTS_FILE

A line of the file is a mutant of mq_mutant.c and the requirements that have to see it.
"""

import os
import re
import subprocess
import sys

# Many mutants are seen by what never ends.  What is slow fails, too: that hides nothing that passes here.
WATCHDOG_S = '1'
# What a mutant does wrong may depend on who is faster: so often it may be looked for.
ATTEMPTS = 8


def run(program, library, mutant, names):
    """The names that failed, and all that was said."""
    done = subprocess.run(
        [program, '--implementation', 'mutant', '--watchdog', WATCHDOG_S, *names],
        env={**os.environ, 'LD_PRELOAD': library, 'TENON_MUTANT': mutant},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding='utf-8', errors='replace',
        check=False)
    return set(re.findall(r'^not ok \d+ - (\w+):', done.stdout, re.MULTILINE)), done.stdout


def main():
    program, library, path = sys.argv[1:]
    if os.geteuid() != 0:
        print('1..0 # SKIP only root is not limited by the queues of others')
        return 0
    with open(path, encoding='utf-8') as stream:
        mutants = [line.split() for line in stream if line.strip() and line[0] != '#']
    # The first is none at all, of which nothing may be wrong.
    failed, said = run(program, library, 'none', ['send_order'])
    if '# SKIP' in said.split('ok ', 1)[0]:
        print('1..0 # SKIP the kernel opens no message queues')
        return 0
    good = not failed
    print(f'TAP version 13\n1..{len(mutants) + 1}')
    print(f'{"not ok" if failed else "ok"} 1 - none')
    for number, (mutant, *names) in enumerate(mutants, 2):
        unseen = names
        for _ in range(ATTEMPTS):
            failed, said = run(program, library, mutant, unseen)
            skipped = set(re.findall(r'^ok \d+ - (\w+):.*# SKIP', said, re.MULTILINE))
            unseen = [name for name in unseen if name not in failed | skipped]
            if not unseen:
                break
        for name in unseen:
            print(f'# {name} does not see the mutant {mutant}')
        print(f'{"not ok" if unseen else "ok"} {number} - {mutant}', flush=True)
        good &= not unseen
    return 0 if good else 1


sys.exit(main())
