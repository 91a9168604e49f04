#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tenon event and tenon barrier: who passes when, and what becomes of it when somebody dies."""

import os
import signal
import sys

import harness
from harness import contains, equal, finish


def waiters(namespace, kind, count):
    """So many that wait, asleep."""
    started = [namespace.start(kind, 'wait', 'x') for _ in range(count)]
    harness.until(namespace, kind, 'x', lambda seen: seen['waiting'] == count)
    return started


def test_manual(namespace):
    """All pass while it is set."""
    namespace.run('create', 'event', 'x', '--manual')
    children = waiters(namespace, 'event', 3)
    namespace.run('event', 'set', 'x')
    for child in children:
        equal(finish(child), (b'', ''))
    namespace.run('event', 'wait', '-n', 'x')
    namespace.run('event', 'set', 'x')
    seen = harness.status(namespace, 'event', 'x')
    equal([seen[key] for key in ('is_set', 'manual', 'waiting')], [True, True, 0])
    contains(namespace.run('ls', '-l').decode(), ' set ')
    contains(namespace.run('stat', 'x').decode(), 'manual reset\n')
    namespace.run('event', 'reset', 'x')
    namespace.run('event', 'wait', '-n', 'x', status=1, error="event '/x': it is not set")
    namespace.run('event', 'wait', '-w', '10ms', '-E', '7', 'x', status=7,
                  error='it was not set within 10 ms')
    equal(namespace.run('event', 'wait', '-nqE0', 'x'), b'')


def test_auto(namespace):
    """One passes each time."""
    namespace.run('create', 'event', 'x', '--set')
    namespace.run('event', 'wait', 'x')
    namespace.run('event', 'wait', '-n', 'x', status=1, error='it is not set')
    children = waiters(namespace, 'event', 3)
    for left in (2, 1, 0):
        namespace.run('event', 'set', 'x')
        harness.until(namespace, 'event', 'x', lambda seen: seen['waiting'] == left and
                      not seen['is_set'])
    for child in children:
        finish(child)
    equal(harness.status(namespace, 'event', 'x')['passed'], 4)


def test_pulse(namespace):
    """Who waits passes, and it stays reset."""
    namespace.run('create', 'event', 'x', '--manual')
    children = waiters(namespace, 'event', 2)
    namespace.run('event', 'pulse', 'x')
    for child in children:
        finish(child)
    seen = harness.status(namespace, 'event', 'x')
    equal([seen[key] for key in ('is_set', 'pulses')], [False, 1])


def test_users(namespace):
    """Which processes wait, and not those that have died."""
    for words, key, text in ((('event', 'x'), 'waiting', 'waits'),
                             (('barrier', 'x', '--count', '3'), 'arrived', 'has arrived')):
        kind = words[0]
        namespace.run('create', *words)
        equal(harness.status(namespace, kind, 'x')['processes'], [])
        children = waiters(namespace, kind, 2)
        equal(sorted(harness.status(namespace, kind, 'x')['processes'],
                     key=lambda user: user['pid']),
              [{'pid': pid, key: 1} for pid in sorted(child.pid for child in children)])
        for child in children:
            contains(namespace.run('stat', '--kind', kind, 'x').decode(),
                     f'    process {child.pid:<8} {text}\n')
        children[0].kill()
        finish(children[0], status=-signal.SIGKILL)
        equal([user['pid'] for user in harness.status(namespace, kind, 'x')['processes']],
              [children[1].pid])
        children[1].kill()
        finish(children[1], status=-signal.SIGKILL)
        equal(harness.status(namespace, kind, 'x')['processes'], [])


def test_event_waiter_dies(namespace):
    """One that was woken, but is stopped and so cannot pass, leaves it to another by its death."""
    namespace.run('create', 'event', 'x')
    for _ in range(10):
        victim, survivor = waiters(namespace, 'event', 2)
        victim.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, victim.pid, os.WSTOPPED)
        namespace.run('event', 'set', 'x')
        victim.kill()
        finish(victim, status=-signal.SIGKILL)
        finish(survivor)
        namespace.run('event', 'wait', '-n', 'x', status=1, error='it is not set')


def test_stopped_and_continued(namespace):
    """That does not end the wait."""
    for words in (('create', 'event', 'x'), ('create', 'barrier', 'x', '--count', '2')):
        kind = words[1]
        namespace.run(*words)
        (child,) = waiters(namespace, kind, 1)
        harness.stop_and_continue(child)
        namespace.run(kind, 'set' if kind == 'event' else 'wait', 'x')
        finish(child)


def test_barrier(namespace):
    """Round after round."""
    namespace.run('create', 'barrier', 'x', '--count', '3')
    for rounds in range(1, 4):
        children = waiters(namespace, 'barrier', 2)
        equal(harness.status(namespace, 'barrier', 'x')['arrived'], 2)
        row = namespace.run('ls', '-l').decode().split()
        equal([row[0], *row[3:6]], ['barrier', '2/3', '2', str(rounds - 1)])
        contains(namespace.run('doctor').decode(), '2 of 3 have arrived; 2 processes wait')
        equal(namespace.run('barrier', 'wait', 'x'), b'')
        for child in children:
            equal(finish(child), (b'', ''))
        equal(harness.status(namespace, 'barrier', 'x')['rounds'], rounds)


def test_barrier_waiter_leaves(namespace):
    """Who dies, or gives up, has not arrived."""
    namespace.run('create', 'barrier', 'x', '--count', '3')
    namespace.run('barrier', 'wait', '-n', 'x', status=1,
                  error='not all have arrived: without this one, 0 of 3 have arrived')
    (stays,) = waiters(namespace, 'barrier', 1)
    namespace.run('barrier', 'wait', '-w', '10ms', '-E', '9', 'x', status=9,
                  error='not all arrived within 10 ms: without this one, 1 of 3 have arrived')
    for number in (signal.SIGKILL, signal.SIGINT):
        victim = namespace.start('barrier', 'wait', 'x')
        harness.until(namespace, 'barrier', 'x', lambda seen: seen['waiting'] == 2)
        victim.send_signal(number)
        finish(victim, status=-number)
    namespace.run('barrier', 'wait', '-q', '-w', '10ms', 'x', status=1)
    late = namespace.start('barrier', 'wait', 'x')
    harness.until(namespace, 'barrier', 'x', lambda seen: seen['waiting'] == 2)
    namespace.run('barrier', 'wait', 'x')
    finish(stays)
    finish(late)


def test_barrier_at_any_moment(namespace):
    """Whenever somebody who had come is killed, it takes as many others as before."""
    namespace.run('create', 'barrier', 'x', '--count', '2')
    namespace.run('create', 'event', 'set', '--set', '--manual')
    rounds = harness.kill_at_any_moment(namespace, 40, ('barrier', 'wait', 'x'),
                                        ('event', 'wait', 'set'))
    for _, other in rounds:
        finish(other)
        (one,) = waiters(namespace, 'barrier', 1)
        equal(harness.status(namespace, 'barrier', 'x')['arrived'], 1)
        namespace.run('barrier', 'wait', 'x')
        finish(one)
    seen = harness.status(namespace, 'barrier', 'x')
    equal([seen[key] for key in ('arrived', 'waiting', 'rounds')], [0, 0, 40])


if __name__ == '__main__':
    sys.exit(harness.main())
