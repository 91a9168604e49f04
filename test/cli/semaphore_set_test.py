#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Sets of semaphores: what create, ls, stat, rm and doctor show of them, also of one that is destroyed."""

import json
import os
import sys

import harness
from harness import contains, equal, helper


def until(namespace, condition):
    return harness.until(namespace, 'semaphore-set', 's', condition)


def values(seen):
    return [member['value'] for member in seen['semaphores']]


def test_create(namespace):
    made = json.loads(namespace.run('create', 'semaphore-set', 's', '--count', '3', '--value', '2',
                                    '--maximum', '9', '--mode', '0640', '--participants', '7',
                                    '--json'))
    wanted = {'kind': 'semaphore-set', 'name': '/s', 'count': 3, 'maximum': 9, 'mode': '0640',
              'max_participants': 7, 'participants': 1, 'waiting': 0, 'operations': 0, 'waited': 0,
              'undone': 0, 'operated_ns': 0, 'damaged': False}
    equal({key: made[key] for key in wanted}, wanted)
    equal('semaphores' in made, False)
    again = ('create', 'semaphore-set', 's', '--count', '3')
    # The values are others at every moment.
    equal(json.loads(namespace.run(*again, '--value', '1', '--json'))['id'], made['id'])
    namespace.run(*again, '--exclusive', status=7, error='it exists already')
    namespace.run(*again, '--maximum', '8', status=7, error='another --maximum')
    namespace.run('create', 'semaphore-set', 's', '--count', '4', status=7,
                  error="another --count; look at it with 'tenon stat --kind semaphore-set /s'")
    seen = harness.status(namespace, 'semaphore-set', 's')
    equal(seen['semaphores'], [{'value': 2, 'pid': 0, 'waiting': 0, 'waiting_for_zero': 0}] * 3)
    equal(seen['processes'], [])
    namespace.run('create', 'semaphore-set', 'usual', '--count', '1')
    seen = harness.status(namespace, 'semaphore-set', 'usual')
    equal([seen['maximum'], values(seen)], [32767, [0]])


def test_bad_input(namespace):
    for words, error in (
            ('x', "'tenon create semaphore-set /x --count N'"),
            ('x --count 0', "--count '0': not a number from 1"),
            ('x --count 32001', '--count 32001 is above 32000'),
            ('x --count 2 --value 32768', '--value 32768 is above the usual maximum, 32767'),
            ('x --count 2 --value 5 --maximum 4', '--value 5 is above --maximum 4'),
            ('x --count 2 --size 4', 'a semaphore-set has no --size'),
            ('x --count 2 --mode 0', "--mode '0': nobody could use such a semaphore-set"),
            ('x --count -1', "--count '-1'"),
            ('', 'the name of a semaphore-set is missing')):
        namespace.run('create', 'semaphore-set', *words.split(), status=2, error=error)
    equal(os.listdir(namespace.path), [])
    namespace.run('stat', '--kind', 'semaphore-set', 'x', status=3,
                  error="'tenon create semaphore-set /x --count N'")
    namespace.run('create', 'semaphore-set', 'x', '--count', '1')
    # They are for programs.
    namespace.run('sem', 'get', 'x', status=3, error='but a semaphore-set of that name')


def test_waiters(namespace):
    """stat shows each value, who waits for what, and who has undo counts."""
    namespace.run('create', 'semaphore-set', 's', '--count', '2', '--value', '3')
    user = helper(namespace, 'operate', 's', '0', '-2')
    equal(user.stdout.readline(), b'ready\n')
    growing = helper(namespace, 'operate', 's', '0', '-2')
    zero = helper(namespace, 'operate', 's', '1', '0')
    seen = until(namespace, lambda seen: seen['waiting'] == 2)
    equal(values(seen), [1, 3])
    equal([[member[key] for key in ('pid', 'waiting', 'waiting_for_zero')]
           for member in seen['semaphores']], [[user.pid, 1, 0], [0, 0, 1]])
    equal(sorted(seen['processes'], key=lambda entry: entry.get('number', 9)),
          [{'pid': growing.pid, 'waiting': 1, 'number': 0, 'change': -2},
           {'pid': zero.pid, 'waiting': 1, 'number': 1, 'change': 0},
           {'pid': user.pid, 'waiting': 0, 'undos': 1}])
    text = namespace.run('stat', 's').decode()
    for part in ('value     0: 1 3\n', f'process {growing.pid:<8} waits for 2 of semaphore 0\n',
                 f'process {zero.pid:<8} waits for semaphore 1 to be 0\n',
                 f'process {user.pid:<8} undo counts of 1 semaphore\n',
                 'made as      2 semaphores, of at most 32767\n'):
        contains(text, part)
    row = namespace.run('ls', '-l').decode().split()
    equal([row[0], *row[3:6], row[-1]], ['semaphore-set', '2', '2', '32767', '/s'])
    text = namespace.run('doctor').decode()
    contains(text, 'semaphore-set /s: sound, 2 semaphores; 2 processes wait')
    equal('nothing comes back' in text, False)
    # What the dead had taken has come back.
    user.kill()
    user.wait()
    equal(growing.stdout.readline(), b'ready\n')
    growing.kill()
    growing.wait()
    # stat waits for nobody, and so not for who gives it back.
    until(namespace, lambda seen: values(seen) == [3, 3] and
          not any('undos' in entry for entry in seen['processes']))
    helper(namespace, 'operate', 's', '0', '-4')
    until(namespace, lambda seen: seen['semaphores'][0]['waiting'])
    contains(namespace.run('doctor').decode(),
             '1 thread waits for more, and nobody has an undo count: nothing comes back by itself')


def test_many_values(namespace):
    """Lines that are alike are left out; in JSON there are all."""
    namespace.run('create', 'semaphore-set', 's', '--count', '32000', '--value', '7')
    lines = namespace.run('stat', 's').decode().splitlines()
    rows = [line.split() for line in lines if line.startswith('    ')]
    equal(rows, [['value', '0:', *['7'] * 16], ['*']])
    equal(values(harness.status(namespace, 'semaphore-set', 's')), [7] * 32000)
    helper(namespace, 'operate', 's', '31999', '1').stdout.readline()
    lines = namespace.run('stat', 's').decode().splitlines()
    equal([line.split() for line in lines if line.startswith('    ') and 'process' not in line][2:],
          [['value', '31984:', *['7'] * 15, '8']])


def test_destroyed(namespace):
    """Only its name is there, and everybody is told how to get rid of that."""
    namespace.run('create', 'semaphore-set', 's', '--count', '1')
    helper(namespace, 'destroy', 's')
    error = "it has been destroyed, and only its name is left; remove that with 'tenon rm --kind " \
            "semaphore-set /s'"
    namespace.run('stat', 's', status=3, error=error)
    namespace.run('create', 'semaphore-set', 's', '--count', '1', status=3, error=error)
    equal(namespace.run('ls'), b'/s\n')
    contains(namespace.run('ls', '-l', error=error).decode(), '?')
    contains(json.loads(namespace.run('ls', '--json'))[0]['error'], 'it has been destroyed')
    contains(namespace.run('doctor', status=1).decode(),
             'warning  semaphore-set /s: it has been destroyed, and its name is still there')
    namespace.run('rm', 's')
    namespace.run('doctor')
    equal(os.listdir(namespace.path), [])


if __name__ == '__main__':
    sys.exit(harness.main())
