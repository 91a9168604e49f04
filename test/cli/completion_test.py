#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The completion of bash: commands, options, values and the names of queues."""

import os
import shutil
import subprocess
import sys

import harness
from harness import equal

SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), '../../completion/tenon.bash')

KINDS = ['barrier', 'condition', 'event', 'lock', 'once', 'queue', 'region', 'segment', 'semaphore',
         'semaphore-set', 'shm']

# Does what bash does when somebody presses the tabulator behind the last word.
DRIVER = r'''
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
_tenon
printf '%s\n' "${COMPREPLY[@]}"
'''


def complete(namespace, *words):
    if not shutil.which('bash'):
        raise harness.Skip('no bash')
    folder = os.path.dirname(namespace.command)
    done = subprocess.run(
        ['bash', '--norc', '-c', DRIVER, 'bash', SCRIPT, 'tenon', *words], check=True,
        capture_output=True, text=True, timeout=harness.WATCHDOG_S,
        env={**namespace.environment, 'PATH': f'{folder}:{os.environ["PATH"]}'})
    equal(done.stderr, '')
    return sorted(word.rstrip() for word in done.stdout.split('\n') if word.strip())


def test_commands(namespace):
    equal(complete(namespace, 'st'), ['stat'])
    equal(complete(namespace, 's'), ['sem', 'send', 'shm', 'stat'])
    equal(complete(namespace, '--namespace', '/dev/shm', 're'), ['recv', 'region'])
    equal(complete(namespace, 'help', 'pe'), ['peek'])


def test_every_command_completes_its_options(namespace):
    """What the command's help names is completed, and what is completed exists."""
    for command in complete(namespace, ''):
        if command.startswith('-'):
            continue
        text = namespace.run('help', command).decode()
        named = {word.strip(',') for line in text.splitlines() if line.startswith('  ')
                 for word in line.split() if word.startswith('--')
                 and line.strip().startswith('-')
                 and line.split('  ')[1 if line[2] == '-' else 3].find(word.strip(',')) >= 0}
        completed = set(complete(namespace, command, '--')) - {'--help', '--namespace', '--'}
        equal(completed, named, command)


def test_run(namespace):
    """The kinds of calls, one after the other; the program, by its name or its path; and then files."""
    equal(complete(namespace, 'run', '--only', ''), ['mq', 'msg', 'sem', 'shm'])
    equal(complete(namespace, 'run', '--only', 's'), ['sem', 'shm'])
    equal(complete(namespace, 'run', '--only', 'mq,'), ['mq,msg', 'mq,sem', 'mq,shm'])
    equal(complete(namespace, 'run', '--only', 'shm,mq,s'), ['shm,mq,sem'])
    equal(complete(namespace, 'run', '--only', 'sem,mq,msg,shm,'), [])
    # As bash takes it apart.
    equal(complete(namespace, 'run', '--only', '=', 'mq,s'), ['mq,sem', 'mq,shm'])
    equal(complete(namespace, 'run', '--only', '='), ['mq', 'msg', 'sem', 'shm'])
    equal(complete(namespace, 'run', '--limits', '=', 'k'), ['kernel'])
    equal('printf' in complete(namespace, 'run', '--only', '=', 'mq', 'print'), True)
    equal('printf' in complete(namespace, 'run', 'print'), True)
    equal('printf' in complete(namespace, 'run', '--only', 'mq', '-q', '--', 'print'), True)
    program = os.path.join(namespace.scratch, 'program')
    with open(program, 'w', encoding='ascii'):
        os.chmod(program, 0o700)
    with open(program + '.txt', 'w', encoding='ascii'):
        pass
    equal(complete(namespace, 'run', program[:-3]), [program])
    equal(complete(namespace, 'run', 'cat', program + '.'), [program + '.txt'])


def test_names(namespace):
    for name in ('jobs', 'journal', 'other'):
        namespace.run('create', 'queue', name)
    equal(complete(namespace, 'recv', 'jo'), ['jobs', 'journal'])
    equal(complete(namespace, 'recv', '/jo'), ['/jobs', '/journal'])
    equal(complete(namespace, 'work', 'jobs', '--dead', 'o'), ['other'])
    equal(complete(namespace, 'recv', '--count', '1', 'jobs', ''), [])
    equal(complete(namespace, 'rm', 'jobs', 'o'), ['other'])


def test_names_of_kinds(namespace):
    """Where a queue is wanted no lock is offered, and the other way round."""
    for kind, name in (('queue', 'box'), ('lock', 'bolt'), ('lock', 'both'), ('queue', 'both')):
        namespace.run('create', kind, name)
    equal(complete(namespace, 'send', 'b'), ['both', 'box'])
    equal(complete(namespace, 'lock', 'b'), ['bolt', 'both'])
    equal(complete(namespace, 'create', 'lock', 'b'), ['bolt', 'both'])
    equal(complete(namespace, 'stat', 'b'), ['bolt', 'both', 'box'])
    equal(complete(namespace, 'stat', '--kind', 'lock', 'b'), ['bolt', 'both'])
    equal(complete(namespace, 'rm', '--kind=queue', 'b'), ['both', 'box'])
    equal(complete(namespace, 'rm', '--kind', '=', 'lock', 'b'), ['bolt', 'both'])
    equal('printf' in complete(namespace, 'lock', '-n', 'bolt', 'print'), True)
    equal(complete(namespace, 'stat', '-w', 'bo'), ['bolt', 'both', 'box'])
    equal(complete(namespace, 'lock', '-w', '3', 'bo'), ['bolt', 'both'])


def test_verbs(namespace):
    """What is to be done comes first, then an object of that kind."""
    for kind, *options in (('semaphore',), ('event',), ('barrier', '--count', '1'), ('once',),
                           ('region', '--size', '1'), ('shm', '--size', '1')):
        namespace.run('create', kind, kind[:3] + '1', *options)
    equal(complete(namespace, 'sem', ''), ['acquire', 'get', 'release'])
    equal(complete(namespace, 'sem', 'acquire', ''), ['sem1'])
    equal('printf' in complete(namespace, 'sem', 'acquire', '-n', 'sem1', 'print'), True)
    equal(complete(namespace, 'sem', '--value', '3', 'acq'), ['acquire'])
    equal(complete(namespace, 'region', ''), ['dump', 'grow', 'load', 'seal'])
    equal(complete(namespace, 'region', 'dump', '-n', '3', '--offset', '1', ''), ['reg1'])
    equal(complete(namespace, 'shm', ''), ['dump', 'load'])
    equal(complete(namespace, 'shm', 'load', '--offset', '1', ''), ['shm1'])
    image = os.path.join(namespace.scratch, 'image')
    with open(image, 'wb'):
        pass
    equal(complete(namespace, 'shm', 'load', 'shm1', image[:-2]), [image])
    equal(complete(namespace, 'event', ''), ['pulse', 'reset', 'set', 'wait'])
    equal(complete(namespace, 'event', 'wait', '-n', 'e'), ['eve1'])
    equal(complete(namespace, 'barrier', 'w'), ['wait'])
    equal(complete(namespace, 'barrier', 'wait', '-w', '3', ''), ['bar1'])
    equal(complete(namespace, 'once', ''), ['onc1'])
    equal('printf' in complete(namespace, 'once', 'onc1', 'print'), True)


def test_options_of_what_is_done(namespace):
    """A kind's own, or those of the verb: no others, and all of them are some kind's or verb's."""
    common = ['--exclusive', '--help', '--json', '--mode', '--namespace', '--participants']
    patience = ['--conflict-exit-code', '--nonblock', '--quiet', '--timeout']
    table = {
        'create': (common, {
            'queue': ['--capacity', '--full', '--max-bytes', '--message-size', '--order'],
            'lock': ['--inherit', '--recursive'], 'semaphore': ['--maximum', '--value'],
            'semaphore-set': ['--count', '--maximum', '--value'], 'event': ['--manual', '--set'],
            'condition': [], 'barrier': ['--count'], 'once': [],
            'region': ['--max-size', '--size'], 'shm': ['--size']}),
        'sem': (['--help', '--namespace'], {
            'acquire': ['--create', '--maximum', '--value', *patience], 'release': [],
            'get': ['--json']}),
        'event': (['--help', '--namespace'],
                  {'wait': patience, 'set': [], 'reset': [], 'pulse': []}),
        'region': (['--help', '--namespace'], {
            'dump': ['--hex', '--length', '--offset', '--output', '--raw'],
            'load': ['--create', '--grow', '--max-size', '--offset', '--timeout'],
            'grow': ['--timeout'], 'seal': ['--grow', '--timeout', '--write']}),
        'shm': (['--help', '--namespace'], {
            'dump': ['--hex', '--length', '--offset', '--output', '--raw'],
            'load': ['--create', '--grow', '--offset']}),
    }
    for command, (usual, rows) in table.items():
        equal(sorted(rows), complete(namespace, command, ''))
        for what, options in rows.items():
            equal(complete(namespace, command, what, 'x', '--'), sorted(usual + options),
                  f'{command} {what}')
        equal({option for options in rows.values() for option in options} | set(usual),
              set(complete(namespace, command, '--')), command)


def test_values(namespace):
    equal(complete(namespace, 'create', ''), [kind for kind in KINDS if kind != 'segment'])
    equal(complete(namespace, 'ls', '--kind', ''), KINDS)
    equal(complete(namespace, 'lock', '--if-dead', ''), ['fail', 'run'])
    equal(complete(namespace, 'create', 'queue', '--order', ''), ['fifo', 'priority', 'typed'])
    equal(complete(namespace, 'create', 'queue', '--full', 'drop'),
          ['drop-newest', 'drop-oldest'])
    equal(complete(namespace, 'create', 'queue', '--capacity', 'r'), ['rendezvous'])


if __name__ == '__main__':
    sys.exit(harness.main())
