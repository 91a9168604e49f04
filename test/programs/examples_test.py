#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the textbook programs of examples/, with kills where there are some, and reads what they say.

    examples_test.py FOLDER
"""

import os
import re
import subprocess
import sys
import tempfile

# Nothing that passes comes near it.
WATCHDOG_S = 60

BUFFER = r'{} producers, {} consumers, {} places, {}\n' \
         r'items {}, of which 0 did not come out exactly once\n' \
         r'\d+ items a second\n\d+\.\d\d CPU seconds in \d+\.\d\d seconds\n'
PAGES = r'{} readers, {} writers\npages read [1-9]\d*, written [1-9]\d*, seen half written 0\n' \
        r'processes killed {}, pages mended {}, of which half written {}\n'
MEALS = r'meals( [1-9]\d*){{{}}}\nphilosophers killed {}, forks taken over {}, forks in two hands 0\n'
SOME = r'[1-9]\d*'
HELLO = r'the child hears "there is a fire" \(priority 9\)\nthe child hears "hello, child" \(priority 1\)\n' \
        r'the child hears "how are you\?" \(priority 1\)\nthe parent hears "hello, parent"\n'

# The command, its exit status, and what it prints.
CASES = (
    ('bounded_buffer --items 20000', 0, BUFFER.format(2, 2, 16, 'semaphores', 20000)),
    # Without the lock, two producers soon use the same place.
    ('bounded_buffer --items 300000 --places 64 --producers 4 --consumers 1', 0,
     BUFFER.format(4, 1, 64, 'semaphores', 300000)),
    ('bounded_buffer --items 5000 --producers 3 --consumers 5 --places 1', 0,
     BUFFER.format(3, 5, 1, 'semaphores', 5000)),
    ('bounded_buffer --items 100 --pause-us 200', 0,
     BUFFER.format(2, 2, 16, 'semaphores', 100)),
    ('bounded_buffer --items 2000 --busy', 0, BUFFER.format(1, 1, 16, 'busy loop', 2000)),
    ('readers_writers --seconds 1', 0, PAGES.format(4, 2, 0, 0, 0)),
    ('readers_writers --seconds 2 --kill --readers 3 --writers 3', 0,
     PAGES.format(3, 3, SOME, SOME, SOME)),
    ('philosophers --seconds 1', 0, MEALS.format(5, 0, 0)),
    ('philosophers --seconds 2 --kill', 0, MEALS.format(5, SOME, SOME)),
    ('philosophers --seconds 2 --kill --semaphores --seats 6', 0, MEALS.format(6, SOME, SOME)),
    ('philosophers --seconds 1 --seats 2', 0, MEALS.format(2, 0, 0)),
    ('posix/hello_queue_compat', 0, HELLO),
    ('posix/shared_buffer_compat', 0, '10000 items, their sum is 50005000\n'),
    *((f'{name} --help', 0, f'usage: {name} ') for name in
      ('bounded_buffer', 'philosophers', 'readers_writers')),
    *((f'{name} {bad}', 2, '') for name, bad in
      (('bounded_buffer', '--items 0'), ('bounded_buffer', '--places 2x'), ('philosophers', 'x'),
       ('philosophers', '--seats 1'), ('readers_writers', '--readers 101'),
       ('readers_writers', '--readers -1'), ('readers_writers', '--nothing'))),
)


def patiently(words, pattern, namespace):
    """Once more, and for longer, where all is well but that nobody was killed yet amid what he did: a machine that has
    no time for it kills few."""
    for more in ((), ('--seconds', '8'), ('--seconds', '30')):
        done = subprocess.run([*words, *more], text=True, check=False, capture_output=True, timeout=WATCHDOG_S,
                              env=dict(os.environ, TENON_NAMESPACE=namespace))
        if '--kill' not in words or re.fullmatch(pattern, done.stdout) or not re.fullmatch(
                pattern.replace(SOME, r'\d+'), done.stdout):
            break
    return done


def run(folder, namespace, case):
    """A sentence if something is wrong."""
    command, status, pattern = case
    program, *options = command.split()
    try:
        done = patiently([os.path.join(folder, program), *options], pattern, namespace)
    except subprocess.TimeoutExpired:
        return f'it was not done after {WATCHDOG_S} s, and was killed'
    matches = re.match if command.endswith('--help') else re.fullmatch
    left = os.listdir(namespace)
    if done.returncode != status or not matches(pattern, done.stdout):
        return f'status {done.returncode}, it says {done.stdout!r} {done.stderr!r}'
    if (status == 0) != (done.stderr == ''):
        return f'its complaint is {done.stderr!r}'
    return f'it leaves {left} behind' if left else None


def main():
    failed = False
    print(f'1..{len(CASES)}', flush=True)
    with tempfile.TemporaryDirectory(prefix='tenon-test-examples.', dir='/dev/shm') as namespace:
        for number, case in enumerate(CASES, 1):
            fault = run(sys.argv[1], namespace, case)
            failed = failed or bool(fault)
            if fault:
                print(f'# {fault}')
            print(f'{"not ok" if fault else "ok"} {number} - {case[0]}', flush=True)
    sys.exit(failed)


main()
