#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What people see on a terminal and programs do not: colours, escaped messages, progress."""

import os
import subprocess
import sys
import time

import harness
from harness import contains, equal


def on_terminal(namespace, *words, environment=(), status=0, streams=('stdout', 'stderr'), **options):
    """Runs the command with some of its streams on a terminal; gives what that showed."""
    master, slave = os.openpty()
    child_environment = {**namespace.environment, **dict(environment)}
    saved, namespace.environment = namespace.environment, child_environment
    try:
        child = namespace.start(*words, **{stream: slave for stream in streams}, **options)
    finally:
        namespace.environment = saved
        os.close(slave)
    shown = b''
    while True:
        try:
            more = os.read(master, 65536)
        except OSError:
            break
        if not more:
            break
        shown += more
    os.close(master)
    child.wait(harness.WATCHDOG_S)
    equal(child.returncode, status, shown)
    return shown


def test_messages_cannot_steer_the_terminal(namespace):
    namespace.run('create', 'queue', 'q')
    message = b'\033]0;title\007\x9bA\xc2\x9b gr\xc3\xbcn\ttab\r'
    for _ in range(3):
        namespace.run('send', 'q', '--file', '-', stdin=message)
    escaped = b'\\x1b]0;title\\x07\\x9bA\\xc2\\x9b gr\xc3\xbcn\\ttab\\x0d\r\n'
    equal(on_terminal(namespace, 'peek', 'q', stdin=None), escaped)
    equal(on_terminal(namespace, 'recv', 'q', stdin=None), escaped)
    contains(on_terminal(namespace, 'recv', 'q', '--raw', stdin=None), b'\033]0;title')
    equal(namespace.run('recv', 'q'), message + b'\n')


def test_names_cannot_steer_the_terminal(namespace):
    namespace.run('create', 'queue', 'a\033[2Jb')
    equal(on_terminal(namespace, 'ls', stdin=None), b'/a\\x1b[2Jb\r\n')
    equal(namespace.run('ls'), b'/a\033[2Jb\n')


def test_colours(namespace):
    namespace.run('create', 'queue', 'q')
    for words in (('help',), ('stat', 'q'), ('doctor',), ('ls', '--long')):
        contains(on_terminal(namespace, *words, stdin=None), b'\033[')
        for environment in ({'NO_COLOR': '1'}, {'TERM': 'dumb'}):
            plain = on_terminal(namespace, *words, stdin=None, environment=environment)
            equal(b'\033' in plain, False, plain)
        equal(b'\033' in namespace.run(*words), False)
    contains(on_terminal(namespace, 'recv', 'missing', stdin=None, status=3), b'\033[31mtenon:')


def test_progress(namespace):
    """Work of more than a second shows how far it is, and nothing of it in a pipe."""
    namespace.run('create', 'queue', 'q', '--capacity', '1')
    receiver = namespace.start('work', 'q', '--', 'sleep', '0.1')
    name = os.path.join(namespace.scratch, 'lines')
    with open(name, 'wb') as file:
        file.write(b'line\n' * 30)
    with open(name, 'rb') as file:
        shown = on_terminal(namespace, 'send', 'q', stdin=file, streams=('stderr',))
    for part in (b'messages sent', b'/s, ', b' %, ', b'left', b'30 messages sent, 120 B in '):
        contains(shown, part)
    receiver.terminate()


def test_progress_beside_nothing_else(namespace):
    """Files need no terminal to be read and written: there is room for figures on it."""
    namespace.run('create', 'queue', 'q', '--capacity', '1')
    receiver = namespace.start('work', 'q', '--', 'sleep', '0.1')
    name = os.path.join(namespace.scratch, 'file')
    with open(name, 'wb') as file:
        file.write(b'x')
    shown = on_terminal(namespace, 'send', 'q', *['-f', name] * 25,
                        streams=('stdin', 'stdout', 'stderr'))
    receiver.terminate()
    for part in (b' messages sent', b'left', b'25 messages sent, 25 B in '):
        contains(shown, part)


def trickle(namespace, messages):
    """Sends for longer than it takes until somebody who receives tells how far it is, from when he waits on: of what
    was sent before that he would tell nothing."""
    script = ('until "$0" stat --json q | grep -Eq \'"receivers_waiting": *1\'; do sleep 0.01; done; i=0; '
              'while [ $i -lt $1 ]; do sleep 0.05; echo line; i=$((i + 1)); done | "$0" send q')
    sender = subprocess.Popen(['sh', '-c', script, namespace.command, str(messages)],
                              env=namespace.environment)
    namespace.children.append(sender)
    return sender


def test_progress_of_recv(namespace):
    namespace.run('create', 'queue', 'q')
    trickle(namespace, 30)
    shown = on_terminal(namespace, 'recv', 'q', '--count', '30', stdin=None, streams=('stderr',))
    for part in (b' messages received, ', b'/s, ', b' %, ', b' left',
                 b'30 messages received, 120 B in '):
        contains(shown, part)


def test_progress_of_recv_beside_messages(namespace):
    """Where the messages are shown there is no room for figures; where they go into files there is."""
    namespace.run('create', 'queue', 'q')
    folder = os.path.join(namespace.scratch, 'folder')
    for options, expected in (((), False), (('--output-dir', folder), True)):
        trickle(namespace, 25)
        shown = on_terminal(namespace, 'recv', 'q', '--count', '25', *options, stdin=None)
        equal(b'25 messages received' in shown, expected, shown)
        equal(b'%' in shown, expected, shown)
    equal(len(os.listdir(folder)), 25)


def test_progress_of_work(namespace):
    """Where its commands write to the same terminal it shows nothing, unless it is asked to."""
    namespace.run('create', 'queue', 'q')
    for options, expected in (((), False), (('--progress',), True)):
        namespace.run('send', 'q', stdin='x\n' * 25)
        shown = on_terminal(namespace, 'work', 'q', '--exit-when-empty', *options, '--', 'sleep',
                            '0.05', streams=('stdin', 'stdout', 'stderr'))
        equal(b'25 messages done' in shown, expected, shown)


def test_progress_at_the_end(namespace):
    """It ended with "1 messages done, 1 B, 1/s, 1 B/s, 100 %, 0 ns left"."""
    namespace.run('create', 'queue', 'q')
    namespace.run('send', 'q', '-m', 'x')
    shown = on_terminal(namespace, 'work', 'q', '--exit-when-empty', '--progress', '--', 'sleep',
                        '1.1')
    contains(shown, b'1 message done, ')
    contains(shown, b', 100 %')
    equal(b'left' in shown, False, shown)


def test_short_work_shows_no_progress(namespace):
    namespace.run('create', 'queue', 'q')
    while True:
        begin = time.monotonic()
        shown = on_terminal(namespace, 'send', 'q', '-m', 'x', stdin=None, streams=('stderr',))
        # Where it had no processor for a second, it was no short work.
        if time.monotonic() - begin < 1:
            break
    equal(shown, b'')


if __name__ == '__main__':
    sys.exit(harness.main())
