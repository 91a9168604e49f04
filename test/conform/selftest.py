#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Shows that requirements can fail: the kernel's objects with one thing wrong each (TAP).

    selftest.py PROGRAM MUTANT_LIBRARY MUTANTS_FILE REQUIREMENT WATCHDOG_S

A line of the file is a mutant of the library and the requirements that have to see it.  The requirement is one to
show that nothing is wrong without a mutant; the watchdog is for each requirement with one.  Many mutants are seen by
what never ends, so it is short: what is slow fails, too, and that hides nothing that passes here.
"""

import os
import re
import subprocess
import sys

# Of what has to pass.
PATIENCE_S = '60'
# What a mutant does wrong may depend on who is faster: so often it may be looked for.
ATTEMPTS = 8


def run(program, library, mutant, names, watchdog_s):
    """The names that failed, and all that was said."""
    done = subprocess.run(
        [program, '--implementation', 'mutant', '--watchdog', watchdog_s, *names],
        env={**os.environ, 'LD_PRELOAD': library, 'TENON_MUTANT': mutant},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding='utf-8', errors='replace',
        check=False)
    return set(re.findall(r'^not ok \d+ - (\w+):', done.stdout, re.MULTILINE)), done.stdout


def main():
    program, library, path, harmless, watchdog_s = sys.argv[1:]
    if os.geteuid() != 0:
        print('1..0 # SKIP only root is not limited by the objects of others')
        return 0
    with open(path, encoding='utf-8') as stream:
        mutants = [line.split() for line in stream if line.strip() and line[0] != '#']
    # The first is none at all, of which nothing may be wrong.
    failed, said = run(program, library, 'none', [harmless], PATIENCE_S)
    if '# SKIP' in said.split('ok ', 1)[0]:
        print('1..0 # SKIP the kernel makes no such objects')
        return 0
    good = not failed
    print(f'TAP version 13\n1..{len(mutants) + 1}')
    print(f'{"not ok" if failed else "ok"} 1 - none')
    for number, (mutant, *names) in enumerate(mutants, 2):
        unseen = names
        for _ in range(ATTEMPTS):
            failed, said = run(program, library, mutant, unseen, watchdog_s)
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
