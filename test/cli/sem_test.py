#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tenon sem: how many run at once, and that what was taken comes back, whoever dies; what is taken
without a command does not."""

import json
import os
import signal
import sys

import harness
from harness import ALONE, COUNTER, WAIT, contains, equal, finish, has_ended, watched


def value(namespace):
    return int(namespace.run('sem', 'get', 's'))


def until(namespace, condition):
    return harness.until(namespace, 'semaphore', 's', condition)


def started(namespace, *words, **options):
    """One whose command has said its process."""
    holder = namespace.start('sem', 'acquire', *words, 's', '--', *WAIT, **{'stdin': None, **options})
    return holder, int(holder.stdout.readline())


def end(holder, command):
    os.kill(command, signal.SIGTERM)
    finish(holder, status=128 + signal.SIGTERM)


def test_create(namespace):
    """In one line; the maximum is as the value, so that it is told if another number is meant."""
    words = ('sem', 'acquire', '--create', '--value', '4', 's')
    equal(namespace.run(*words, '--', 'echo', 'ran'), b'ran\n')
    seen = harness.status(namespace, 'semaphore', 's')
    equal([seen[key] for key in ('value', 'maximum', 'mode', 'acquired', 'released')],
          [4, 4, '0600', 1, 1])
    equal(namespace.run(*words, 'echo', 'again'), b'again\n')
    namespace.run('sem', 'acquire', '--create', '--value', '5', 's', 'true', status=7,
                  error="with the maximum 4, not 5; use it as it is without --create, or remove it "
                        "first with 'tenon rm --kind semaphore /s'")
    equal(namespace.run('sem', 'acquire', '--create', '--value', '2', '--maximum', '4', 's', 'echo',
                        'ran'), b'ran\n')
    # One without a maximum says nothing of how many it is for.
    namespace.run('create', 'semaphore', 'free', '--value', '1')
    namespace.run('sem', 'acquire', '--create', '--value', '3', 'free', 'true')
    namespace.run('sem', 'acquire', '--create', '--value', '3', '--maximum', '3', 'free', status=7,
                  error='with the maximum 2147483647, not 3')
    equal(namespace.run('sem', 'get', 'free'), b'1\n')


def test_status_of_the_command(namespace):
    namespace.run('create', 'semaphore', 's', '--value', '2')
    for number in (0, 1, 7, 255):
        namespace.run('sem', 'acquire', 's', '--', 'sh', '-c', f'exit {number}', status=number)
    namespace.run('sem', 'acquire', 's', '2', 'sh', '-c', 'kill -9 $$', status=137)
    # A number is the count, unless it stands behind "--".
    path = os.path.join(namespace.scratch, '2')
    os.symlink('/bin/echo', path)
    environment = {'PATH': f'{namespace.scratch}:{os.environ["PATH"]}'}
    equal(namespace.run('sem', 'acquire', 's', '--', '2', '3', environment=environment), b'3\n')
    equal(namespace.run('sem', 'acquire', 's', '1', '2', '-x', environment=environment), b'-x\n')
    equal(value(namespace), 2)


def test_limit(namespace):
    """So many run at once, and never more."""
    paths = [os.path.join(namespace.scratch, str(i)) for i in range(3)]
    words = ('sem', 'acquire', '--create', '--value', '3', 's', '--', sys.executable, '-ISc', ALONE)
    holders = [namespace.start(*words, 'wait', *paths) for _ in range(3)]
    commands = [int(holder.stdout.readline()) for holder in holders]
    equal(value(namespace), 0)
    waiters = [namespace.start(*words, 'end', *paths) for _ in range(9)]
    until(namespace, lambda seen: seen['waiting'] == 9)
    for command in commands:
        os.kill(command, signal.SIGTERM)
    for waiter in waiters:
        finish(waiter)
    for holder in holders:
        finish(holder, status=128 + signal.SIGTERM)
    equal(value(namespace), 3)


def test_conflict(namespace):
    namespace.run('create', 'semaphore', 's', '--value', '2')
    holder = started(namespace)
    for options in (('-n',), ('-w', '0')):
        for command in ((), ('--', 'true')):
            namespace.run('sem', 'acquire', *options, 's', '2', *command, status=1,
                          error="semaphore '/s': 2 cannot be had: its value is 1")
    namespace.run('sem', 'acquire', '-w', '10ms', '-E', '44', 's', '2', 'true', status=44,
                  error='2 could not be had within 10 ms: its value is 1')
    equal(namespace.run('sem', 'acquire', '-q', '-n', '-E', '0', 's', '2', 'echo', 'ran'), b'')
    equal(namespace.run('sem', 'acquire', '-n', 's', 'echo', 'ran'), b'ran\n')
    end(*holder)


def test_without_a_command(namespace):
    """It is gone, until somebody gives it back."""
    namespace.run('create', 'semaphore', 's', '--value', '3', '--maximum', '4')
    namespace.run('sem', 'acquire', 's')
    namespace.run('sem', 'acquire', '-n', 's', '2')
    equal(value(namespace), 0)
    equal(harness.status(namespace, 'semaphore', 's')['processes'], [])
    waiter = namespace.start('sem', 'acquire', 's', '2')
    until(namespace, lambda seen: seen['waiting'] == 1)
    # What stops it and lets it go on does not end the wait.
    harness.stop_and_continue(waiter)
    namespace.run('sem', 'release', 's')
    namespace.run('sem', 'release', 's')
    finish(waiter)
    namespace.run('sem', 'release', 's', '4')
    equal(json.loads(namespace.run('sem', 'get', '--json', 's')),
          {'kind': 'semaphore', 'name': '/s', 'value': 4})
    namespace.run('sem', 'release', 's', status=1,
                  error='its value is 4, and with 1 more it would be above its maximum, 4; nothing')
    namespace.run('sem', 'release', 's', '5', status=1, error='above its maximum, 4')
    namespace.run('sem', 'acquire', 's', '5', status=2, error='5 are wanted, and more than 4 it never')
    namespace.run('sem', 'acquire', 's', '5', 'true', status=2, error='more than 4 it never has')
    equal(value(namespace), 4)


def test_users(namespace):
    """stat shows who has taken, and who waits for how many."""
    namespace.run('create', 'semaphore', 's', '--value', '2', '--maximum', '3')
    holder, command = started(namespace)
    waiter = namespace.start('sem', 'acquire', 's', '3')
    seen = until(namespace, lambda seen: any(user['wanted'] for user in seen['processes']))
    owner = harness.parent_of(command)
    equal(sorted(seen['processes'], key=lambda user: user['wanted']),
          [{'pid': owner, 'waiting': 0, 'wanted': 0, 'undo': 1},
           {'pid': waiter.pid, 'waiting': 1, 'wanted': 3, 'undo': 0}])
    text = namespace.run('stat', 's').decode()
    contains(text, f'process {owner:<8} undo count 1\n')
    contains(text, f'process {waiter.pid:<8} waits for 3\n')
    contains(text, 'made as      at most 3\n')
    row = namespace.run('ls', '-l').decode().split()
    equal([row[0], *row[3:6], row[-1]], ['semaphore', '1', '1', '3', '/s'])
    equal('nothing comes back by itself' in namespace.run('doctor').decode(), False)
    end(holder, command)
    waiter.kill()
    waiter.communicate(timeout=harness.WATCHDOG_S)
    until(namespace, lambda seen: not seen['processes'])
    namespace.run('sem', 'acquire', 's', '2')
    waiter = namespace.start('sem', 'acquire', 's')
    until(namespace, lambda seen: any(user['wanted'] for user in seen['processes']))
    text = namespace.run('doctor').decode()
    contains(text, '1 process waits, and nobody there has an undo count: nothing comes back by itself')
    contains(text, "'tenon sem release'")
    namespace.run('sem', 'release', 's')
    finish(waiter)


def test_one_is_killed(namespace):
    """Whoever of its processes it is: another gets what it had, and not before the command is dead
    if it is the one that was called."""
    namespace.run('create', 'semaphore', 's', '--value', '3', '--maximum', '3')
    for victim in ('front', 'holder', 'command'):
        holder, command = started(namespace)
        waiter = namespace.start('sem', 'acquire', 's', '3', '--', 'sh', '-c',
                                 f'kill -0 {command} 2>/dev/null; echo $?')
        until(namespace, lambda seen: seen['waiting'] == 1)
        with watched(command) as ended:
            os.kill({'front': holder.pid, 'holder': harness.parent_of(command),
                     'command': command}[victim], signal.SIGKILL)
            output, error = finish(waiter)
            equal(error, '', victim)
            if victim != 'holder':
                equal(output, b'1\n', victim)
            equal(has_ended(ended), True)
        holder.communicate(timeout=harness.WATCHDOG_S)
        until(namespace, lambda seen: not seen['processes'])
        equal(value(namespace), 3, victim)


def test_waiting_one_is_killed(namespace):
    namespace.run('create', 'semaphore', 's')
    for words in (('s',), ('s', '--', 'echo', 'ran')):
        for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT):
            waiter = namespace.start('sem', 'acquire', *words)
            until(namespace, lambda seen: seen['waiting'] == 1)
            waiter.send_signal(number)
            equal(finish(waiter, status=-number)[0], b'')
            until(namespace, lambda seen: seen['waiting'] == 0)
    equal(value(namespace), 0)


def test_killed_at_any_moment(namespace):
    """With somebody who waits: he gets it, both commands never run at once, and nothing is lost."""
    path = os.path.join(namespace.scratch, 'alone')
    words = ('sem', 'acquire', '--create', '--value', '1', 's', '--', sys.executable, '-ISc', ALONE)
    for line, waiter in harness.kill_at_any_moment(namespace, 60, (*words, 'wait', path),
                                                   (*words, 'end', path)):
        finish(waiter)
        if line and os.path.exists(f'/proc/{int(line)}/exe'):
            raise AssertionError('the command still runs')
    seen = until(namespace, lambda seen: not seen['processes'])
    equal([seen[key] for key in ('value', 'waiting', 'participants')], [1, 0, 1])


def test_holder_is_killed_at_any_moment(namespace):
    """The process between: the kernel gives back what it had."""
    namespace.run('create', 'semaphore', 's', '--value', '1', '--maximum', '1')
    for _ in range(20):
        holder, command = started(namespace)
        with watched(command) as ended:
            os.kill(harness.parent_of(command), signal.SIGKILL)
            namespace.run('sem', 'acquire', 's', '--', 'true')
            equal(has_ended(ended), True)
        finish(holder, status=137)
    equal(value(namespace), 1)


def test_signals_are_passed_on(namespace):
    namespace.run('create', 'semaphore', 's', '--value', '1')
    holder = namespace.start('sem', 'acquire', 's', '--', *COUNTER)
    equal(holder.stdout.readline(), b'ready\n')
    for number in (signal.SIGUSR1, signal.SIGHUP):
        holder.send_signal(number)
        contains(holder.stdout.readline(), number.name.encode())
    equal(value(namespace), 0)
    holder.terminate()
    equal(finish(holder, status=3)[0], b'SIGUSR1 SIGHUP SIGTERM\n')
    equal(value(namespace), 1)


def test_more_was_given_than_taken(namespace):
    """What has no room does not come back; the command's status is what counts."""
    namespace.run('create', 'semaphore', 's', '--value', '2', '--maximum', '2')
    namespace.run('sem', 'acquire', 's', '2', '--', namespace.command, 'sem', 'release', 's')
    equal(value(namespace), 2)


if __name__ == '__main__':
    sys.exit(harness.main())
