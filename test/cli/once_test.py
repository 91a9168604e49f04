#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tenon once: the command runs once, whoever comes when, fails or dies."""

import os
import signal
import sys

import harness
from harness import COUNTER, WAIT, contains, equal, finish, has_ended, watched

WARNING = 'who did it before died in the middle'


def status(namespace):
    return harness.status(namespace, 'once', 'o')


def until(namespace, condition):
    return harness.until(namespace, 'once', 'o', condition)


def started(namespace):
    """Somebody who is at it, and the process of the command."""
    doer = namespace.start('once', 'o', *WAIT, stdin=None)
    return doer, int(doer.stdout.readline())


def test_once(namespace):
    """Who comes later ends with 0, and runs nothing."""
    equal(namespace.run('once', 'o', '--', 'echo', 'ran'), b'ran\n')
    for _ in range(2):
        equal(namespace.run('once', 'o', '--', 'sh', '-c', 'echo ran; exit 3'), b'')
    seen = status(namespace)
    equal([seen[key] for key in ('is_done', 'owner_pid', 'owner_deaths', 'mode')],
          [True, 0, 0, '0600'])
    contains(namespace.run('ls', '-l').decode(), ' done ')
    contains(namespace.run('stat', 'o').decode(), 'state        done\n')
    namespace.run('rm', 'o')
    equal(namespace.run('once', 'o', 'echo', 'anew'), b'anew\n')


def test_all_at_once(namespace):
    """One of them does it, and nobody has ended before."""
    path = os.path.join(namespace.scratch, 'done')
    script = f'[ -e {path} ] && exit 9; : > {path}; echo ran'
    children = [namespace.start('once', 'o', '--', 'sh', '-c', script) for _ in range(8)]
    for child in children:
        child.wait(harness.WATCHDOG_S)
        equal(os.path.exists(path), True)
    equal(sorted(finish(child) for child in children), [(b'', '')] * 7 + [(b'ran\n', '')])


def test_failure(namespace):
    """It is not done then: who waits does it."""
    namespace.run('once', 'o', 'sh', '-c', 'exit 7', status=7)
    equal([status(namespace)[key] for key in ('is_done', 'owner_deaths')], [False, 0])
    fifo = os.path.join(namespace.scratch, 'go')
    os.mkfifo(fifo)
    doer = namespace.start('once', 'o', 'sh', '-c', f'echo started; read word < {fifo}; exit 5')
    doer.stdout.readline()
    waiter = namespace.start('once', 'o', 'echo', 'ran')
    seen = until(namespace, lambda seen: seen['waiting'] == 1)
    text = namespace.run('stat', 'o').decode()
    contains(text, f"state        begun by process {seen['owner_pid']}\n")
    contains(text, f"    process {seen['owner_pid']:<8} does it\n")
    equal(sorted((user['is_doing'], user['waiting']) for user in seen['processes']),
          [(False, 1), (True, 0)])
    (other,) = [user['pid'] for user in seen['processes'] if user['waiting']]
    contains(text, f'    process {other:<8} waits\n')
    row = namespace.run('ls', '-l').decode().split()
    equal([row[0], *row[3:6]], ['once', 'begun', '1', str(seen['owner_pid'])])
    with open(fifo, 'w') as go:
        go.write('go\n')
    finish(doer, status=5)
    equal(finish(waiter), (b'ran\n', ''))
    equal(status(namespace)['is_done'], True)
    equal(status(namespace)['processes'], [])


def test_command_that_cannot_start(namespace):
    path = os.path.join(namespace.scratch, 'script')
    with open(path, 'w') as script:
        script.write('#!/nonexistent/interpreter\n')
    os.chmod(path, 0o700)
    namespace.run('once', 'o', path, status=127, error='cannot run')
    equal(namespace.run('once', 'o', 'echo', 'ran'), b'ran\n')


def test_conflict(namespace):
    doer, command = started(namespace)
    owner = harness.parent_of(command)
    equal(status(namespace)['owner_pid'], owner)
    namespace.run('once', '-n', 'o', 'true', status=1,
                  error=f"once '/o': it is not done: process {owner} is at it")
    namespace.run('once', '-w', '10ms', '-E', '4', 'o', 'true', status=4,
                  error=f'it was not done within 10 ms: process {owner} is at it')
    equal(namespace.run('once', '-nqE', '0', 'o', 'echo', 'ran'), b'')
    doer.kill()
    doer.communicate(timeout=harness.WATCHDOG_S)


def test_one_is_killed(namespace):
    """Whoever of its processes: who waits does it, is warned, and the command is dead before if the
    one was killed that was called."""
    for victim in ('front', 'holder', 'command'):
        doer, command = started(namespace)
        waiter = namespace.start('once', 'o', 'sh', '-c',
                                 f'kill -0 {command} 2>/dev/null; echo $?')
        until(namespace, lambda seen: seen['waiting'] == 1)
        with watched(command) as ended:
            os.kill({'front': doer.pid, 'holder': harness.parent_of(command),
                     'command': command}[victim], signal.SIGKILL)
            output, error = finish(waiter)
            contains(error, WARNING)
            if victim != 'holder':
                equal(output, b'1\n', victim)
            equal(has_ended(ended), True)
        doer.communicate(timeout=harness.WATCHDOG_S)
        equal(status(namespace)['is_done'], True)
        namespace.run('rm', 'o')


def test_warning_until_it_succeeds(namespace):
    namespace.run('once', 'o', 'sh', '-c', 'kill -9 $$', status=137)
    equal(namespace.run('once', '--if-dead', 'fail', 'o', 'echo', 'ran', status=6,
                        error="'tenon once /o -- true' says that it is done"), b'')
    namespace.run('once', 'o', 'false', status=1, error=WARNING)
    equal(namespace.run('once', '--if-dead', 'fail', 'o', 'echo', 'ran', status=6, error=WARNING),
          b'')
    contains(namespace.run('doctor', status=1).decode(),
             'warning  once /o: who did it died amid it: it may be half done')
    equal(namespace.run('once', '--if-dead', 'run', 'o', 'echo', 'ran', error=WARNING), b'ran\n')
    equal(namespace.run('once', '--if-dead', 'fail', 'o', 'echo', 'ran'), b'')


def test_a_death_is_seen(namespace):
    """Before anybody begins anew, and while somebody does; then it is done."""
    namespace.run('create', 'once', 'o')
    contains(namespace.run('doctor').decode(), 'sound, to-do;')
    equal(status(namespace)['owner_died'], False)
    namespace.run('once', 'o', 'sh', '-c', 'kill -9 $$', status=137)
    equal([status(namespace)[key] for key in ('is_done', 'owner_pid', 'owner_died')],
          [False, 0, True])
    contains(namespace.run('stat', 'o').decode(),
             'state        who did it died amid it: it may be half done\n')
    equal(namespace.run('ls', '-l').decode().split()[3:6], ['owner-died', '0', '-'])
    contains(namespace.run('doctor', status=1).decode(), "'tenon once NAME -- true' says")
    doer, command = started(namespace)
    contains(namespace.run('stat', 'o').decode(),
             f'state        begun by process {harness.parent_of(command)}; before, who did it died')
    os.kill(command, signal.SIGTERM)
    doer.communicate(timeout=harness.WATCHDOG_S)
    namespace.run('once', 'o', 'true', error=WARNING)
    equal([status(namespace)[key] for key in ('is_done', 'owner_died')], [True, False])
    equal(namespace.run('ls', '-l').decode().split()[3], 'done')
    contains(namespace.run('doctor').decode(), 'sound, done;')


def test_killed_at_any_moment(namespace):
    """Done or not done: it is done once, and by who waits if the other one was killed before."""
    path = os.path.join(namespace.scratch, 'log')
    words = ('once', 'o', '--', 'sh', '-c')
    # Adds to a file in one write, which is done or not.
    rounds = harness.kill_at_any_moment(namespace, 60, (*words, f'echo one >> {path}'),
                                        (*words, f'echo other >> {path}'))
    for _, other in rounds:
        _, error = finish(other)
        equal(status(namespace)['is_done'], True)
        with open(path) as file:
            lines = file.read().split()
        # Twice only if it is told that it may be half done.
        equal(len(lines) == 1 or (len(lines) == 2 and WARNING in error), True,
              (lines, error))
        namespace.run('rm', 'o')
        os.truncate(path, 0)


def test_waiting_one_is_killed(namespace):
    doer, command = started(namespace)
    for number in (signal.SIGKILL, signal.SIGTERM):
        waiter = namespace.start('once', 'o', 'echo', 'ran')
        until(namespace, lambda seen: seen['waiting'] == 1)
        waiter.send_signal(number)
        equal(finish(waiter, status=-number)[0], b'')
        until(namespace, lambda seen: seen['waiting'] == 0)
    os.kill(command, signal.SIGTERM)
    finish(doer, status=128 + signal.SIGTERM)


def test_signals_are_passed_on(namespace):
    doer = namespace.start('once', 'o', *COUNTER)
    equal(doer.stdout.readline(), b'ready\n')
    doer.send_signal(signal.SIGUSR1)
    equal(doer.stdout.readline(), b'SIGUSR1\n')
    doer.terminate()
    equal(finish(doer, status=3)[0], b'SIGUSR1 SIGTERM\n')
    equal([status(namespace)[key] for key in ('is_done', 'owner_deaths')], [False, 0])


def test_command_that_waits_for_itself(namespace):
    namespace.run('once', 'o', namespace.command, 'once', '-w', '10ms', 'o', 'true', status=1,
                  error='waits for this command to end: this is to wait for oneself')


if __name__ == '__main__':
    sys.exit(harness.main())
