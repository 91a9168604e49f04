#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The limits of the kernel's message queues are the same under `tenon run --limits kernel`, for a user who has none yet.

    limits_test.py TENON PROGRAM
"""

import os
import subprocess
import sys
import tempfile

# Whom nobody else runs queues as: the kernel counts a user's.
USER = 54321


def run(*command, **environment):
    def become():
        os.setgroups([])
        os.setresgid(USER, USER, USER)
        os.setresuid(USER, USER, USER)
    done = subprocess.run(command, preexec_fn=become, env=dict(os.environ, **environment), text=True,
                          capture_output=True, check=False)
    return f'{done.stdout}{done.stderr}status {done.returncode}\n'


def main():
    tenon, program = sys.argv[1:]
    if os.geteuid() != 0:
        print('1..0 # SKIP it takes root to be a user who has no queues')
        return
    with tempfile.TemporaryDirectory(prefix='tenon-test-limits.', dir='/dev/shm') as folder:
        os.chmod(folder, 0o1777)
        kernel = run(program)
        if 'yes' not in kernel:
            print('1..0 # SKIP the kernel has no message queues')
            return
        ours = run(tenon, 'run', '--limits', 'kernel', '--', program, TENON_NAMESPACE=folder)
        free = run(tenon, 'run', '--', program, TENON_NAMESPACE=folder)
    print('1..2')
    print(f'{"ok" if ours == kernel else "not ok"} 1 - the limits are the kernel\'s')
    if ours != kernel:
        print('\n'.join(f'# {line}' for line in f'{kernel}{ours}'.splitlines()))
    unlimited = '65537 of 1 bytes: yes' in free and free.count('300 queues, then: more') == 2
    print(f'{"ok" if unlimited else "not ok"} 2 - without being asked for there are none')
    sys.exit(ours != kernel or not unlimited)


main()
