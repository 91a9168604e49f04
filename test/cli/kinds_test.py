#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tenon create, rm, ls, stat and doctor where objects of several kinds are: what they show of a
lock, and which object a name means."""

import json
import os
import re
import signal
import subprocess
import sys

import harness
from harness import as_nobody, contains, equal, finish

INCLUDE = os.path.join(os.path.dirname(os.path.abspath(__file__)), '../../include/tenon')


def status(namespace, name, *options):
    return json.loads(namespace.run('stat', '--json', *options, name))


def held(namespace, name):
    """A holder of the lock, and its command."""
    holder = namespace.start('lock', name, 'sh', '-c', 'echo $$; exec sleep 1000')
    return holder, int(holder.stdout.readline())


def die(namespace, name):
    namespace.run('lock', name, 'sh', '-c', 'kill -9 $$', status=137)


def test_names_are_per_kind(namespace):
    """The first operand of create is the kind, whatever the name is."""
    for kind in ('queue', 'lock'):
        for name in ('queue', 'lock', 'x'):
            namespace.run('create', kind, name)
    equal([(entry['kind'], entry['name']) for entry in json.loads(namespace.run('ls', '--json'))],
          [(kind, name) for name in ('/lock', '/queue', '/x') for kind in ('queue', 'lock')])
    namespace.run('send', 'lock', '-m', 'x')
    equal(namespace.run('recv', 'lock'), b'x\n')


def test_create_lock(namespace):
    made = json.loads(namespace.run('create', 'lock', 'l', '--recursive', '--mode', '0640',
                                    '--participants', '7', '--json'))
    equal([made[key] for key in ('kind', 'name', 'recursive', 'mode', 'max_participants', 'state',
                                 'owner_pid', 'depth', 'waiting', 'damaged')],
          ['lock', '/l', True, '0640', 7, 'sound', 0, 0, 0, False])
    again = json.loads(namespace.run('create', 'lock', 'l', '--json'))
    equal(again['id'], made['id'])
    namespace.run('create', 'lock', 'l', '--recursive', '--participants', '7')
    namespace.run('create', 'lock', 'plain')
    equal([status(namespace, 'plain')[key] for key in ('recursive', 'mode', 'max_participants')],
          [False, '0600', 256])


def test_create_lock_with_inheritance(namespace):
    """It is made, shown and compared, and who wants to share it is told why it cannot be."""
    made = json.loads(namespace.run('create', 'lock', 'l', '--inherit', '--json'))
    equal([made[key] for key in ('recursive', 'inherits')], [False, True])
    namespace.run('create', 'lock', 'l', '--inherit')
    contains(namespace.run('stat', 'l').decode(), 'not recursive, with priority inheritance\n')
    namespace.run('lock', '--shared', 'l', 'true', status=2,
                  error='priority inheritance, which cannot be shared; leave out --shared')
    equal(status(namespace, 'l')['state'], 'sound')
    namespace.run('create', 'lock', 'plain')
    equal(status(namespace, 'plain')['inherits'], False)
    namespace.run('create', 'lock', 'plain', '--inherit', status=7, error='another --inherit')


def members_of_status(kind):
    """Those of struct tenon_KIND_status, as the header has them."""
    noun = kind.replace('-', '_')
    with open(os.path.join(INCLUDE, f'{noun}.h')) as file:
        body = re.search(rf'struct tenon_{noun}_status {{(.*?)\n}};', file.read(), re.DOTALL)[1]
    body = re.sub(r'/\*.*?\*/', '', body, flags=re.DOTALL)
    names = {name for words in body.split(';') for name in re.findall(r'(\w+)\s*(?:,|$)', words)}
    return names - {'size', 'flags', 'reserved', 'reserved2'}


def test_json_has_the_members_of_the_status(namespace):
    """As tenon-stat(1) says, of each kind."""
    for kind, *options in (('queue',), ('lock',), ('semaphore',), ('event',), ('condition',),
                           ('barrier', '--count', '3'), ('once',), ('region', '--size', '1K'),
                           ('semaphore-set', '--count', '2')):
        made = json.loads(namespace.run('create', kind, 'x', *options, '--json'))
        # Of a region, `attached` is of the handle that looks.
        wanted = members_of_status(kind) - ({'attached'} if kind == 'region' else set())
        equal(set(made) - {'kind', 'name', 'processes'}, wanted, kind)


def test_create_of_each_kind(namespace):
    """What it is made with is what it is, and another wish is refused with the remedy."""
    rows = (
        ('semaphore', '--value 2 --maximum 5',
         {'value': 2, 'maximum': 5, 'waiting': 0, 'acquired': 0, 'released': 0, 'waited': 0,
          'undone': 0}, '--maximum 6', '--maximum'),
        ('event', '--manual --set',
         {'manual': True, 'is_set': True, 'waiting': 0, 'pulses': 0, 'passed': 0, 'waited': 0},
         '', ''),
        ('condition', '', {'waiting': 0, 'woken': 0, 'signals': 0}, '', ''),
        ('barrier', '--count 3',
         {'count': 3, 'arrived': 0, 'waiting': 0, 'rounds': 0, 'withdrawn': 0}, '--count 4', '--count'),
        ('once', '', {'is_done': False, 'owner_pid': 0, 'owner_died': False, 'waiting': 0,
                      'owner_deaths': 0}, '', ''),
    )
    common = {'mode': '0640', 'uid': os.geteuid(), 'max_participants': 7, 'participants': 1,
              'damaged': False, 'name': '/x'}
    for kind, options, wanted, other, difference in rows:
        words = ('create', kind, 'x', *options.split(), '--participants', '7')
        made = json.loads(namespace.run(*words, '--mode', '0640', '--json'))
        wanted |= common | {'kind': kind}
        equal({key: made[key] for key in wanted}, wanted)
        equal(set(made) - set(wanted), {'gid', 'id', 'memory_bytes', 'created_ns'})
        equal(json.loads(namespace.run(*words, '--json'))['id'], made['id'])
        namespace.run(*words, '--exclusive', status=7, error='it exists already')
        namespace.run('create', kind, 'x', *(other or '--participants 8').split(),
                      *(() if other or kind != 'barrier' else ('--count', '3')), status=7,
                      error=f"another {difference or '--participants'}; look at it with 'tenon "
                            f"stat --kind {kind} /x'")
        equal([entry['id'] for entry in json.loads(namespace.run('ls', '--json', '--kind', kind))],
              [made['id']])
        contains(namespace.run('stat', '--kind', kind, 'x').decode(), f'{kind} /x\n')
    contains(namespace.run('doctor').decode(), 'Nothing is wrong')
    for kind, *_ in rows:
        namespace.run('rm', '--kind', kind, 'x')
    equal(os.listdir(namespace.path), [])


def test_usual_options(namespace):
    for kind, key, wanted in (('semaphore', 'value', 0), ('semaphore', 'maximum', 2147483647),
                              ('event', 'manual', False), ('event', 'is_set', False)):
        equal(json.loads(namespace.run('create', kind, 'x', '--json'))[key], wanted)
    # Neither is what it was made with for long, and so not compared.
    namespace.run('create', 'semaphore', 'x', '--value', '9')
    namespace.run('create', 'event', 'x', '--set')
    namespace.run('create', 'event', 'x', '--manual', status=7, error='another --manual')


def test_ls(namespace):
    namespace.run('create', 'queue', 'b')
    namespace.run('create', 'lock', 'a')
    namespace.run('create', 'lock', 'c')
    equal(namespace.run('ls'), b'/a\n/b\n/c\n')
    equal(namespace.run('ls', '--kind', 'lock'), b'/a\n/c\n')
    equal(namespace.run('ls', '--kind', 'queue', '-0'), b'/b\0')
    equal([entry['name'] for entry in json.loads(namespace.run('ls', '--json', '--kind', 'lock'))],
          ['/a', '/c'])


def test_ls_long(namespace):
    """The state, the processes that wait, and who holds it."""
    namespace.run('create', 'queue', 'queue')
    die(namespace, 'dead')
    holder, command = held(namespace, 'held')
    waiter = namespace.start('lock', 'held', 'true')
    watch = namespace.start('stat', '--json', '--interval', '10ms', 'held')
    while json.loads(watch.stdout.readline())['waiting'] != 1:
        pass
    owner = status(namespace, 'held')['owner_pid']
    rows = [line.split() for line in namespace.run('ls', '-l').decode().splitlines()]
    equal([[row[0], row[1], *row[3:6], row[-1]] for row in rows],
          [['lock', '0600', 'owner-died', '0', '-', '/dead'],
           ['lock', '0600', 'sound', '1', str(owner), '/held'],
           ['queue', '0600', 'fifo', '0', '1024', '/queue']])
    # The holder is the process between 'tenon lock' and its command.
    equal(harness.parent_of(command), owner)
    holder.terminate()
    finish(waiter, status=0)


def test_stat_of_the_only_kind(namespace):
    namespace.run('create', 'queue', 'q')
    holder, _ = held(namespace, 'l')
    equal(status(namespace, 'q')['kind'], 'queue')
    seen = status(namespace, 'l')
    equal([seen[key] for key in ('kind', 'name', 'acquired', 'depth', 'participants')],
          ['lock', '/l', 1, 1, 2])
    text = namespace.run('stat', 'l', 'q').decode()
    for part in ('lock /l\n', 'queue /q\n', 'not recursive\n', f'by process {seen["owner_pid"]}\n',
                 '1 time, 0 not at once\n', f', id {seen["id"]}\n'):
        contains(text, part)
    equal([entry['kind'] for entry in json.loads(namespace.run('stat', '--json', 'q', 'l'))],
          ['queue', 'lock'])
    holder.terminate()
    finish(holder, status=128 + signal.SIGTERM)


def test_rates(namespace):
    namespace.run('create', 'lock', 'l')
    watch = namespace.start('stat', '--interval', '10ms', 'l')
    for line in watch.stdout:
        if line.split()[:1] == [b'now']:
            contains(line, b'acquired 0/s')
            break


def test_name_of_several(namespace):
    """It must be said which is meant; until then nothing happens, to others neither."""
    for kind, name in (('queue', 'both'), ('lock', 'both'), ('queue', 'one')):
        namespace.run('create', kind, name)
    which = "'/both' is a queue and a lock; say which with --kind queue or --kind lock"
    for words in (('stat', 'both'), ('rm', 'one', 'both'), ('rm', '-f', 'both')):
        namespace.run(*words, status=2, error=which)
    equal(namespace.run('ls'), b'/both\n/both\n/one\n')
    for kind in ('queue', 'lock'):
        equal(status(namespace, 'both', '--kind', kind)['kind'], kind)
    equal(json.loads(namespace.run('rm', '--json', '--kind', 'lock', 'both')),
          [{'kind': 'lock', 'name': '/both', 'removed': True}])
    equal(status(namespace, 'both')['kind'], 'queue')
    namespace.run('rm', 'both', 'one')
    equal(os.listdir(namespace.path), [])


def test_rm_of_a_held_lock(namespace):
    """Who has it goes on; who comes then makes it anew."""
    holder, _ = held(namespace, 'l')
    namespace.run('rm', 'l')
    equal(namespace.run('lock', '-n', 'l', 'echo', 'new'), b'new\n')
    holder.terminate()
    finish(holder, status=128 + signal.SIGTERM)


def overwrite(path, data, offset=0):
    with open(path, 'r+b') as file:
        file.seek(offset)
        file.write(data)


def test_damage(namespace):
    """A lock whose file was overwritten is told as such by every command, and can be removed; one
    with a long name, too, which then is not listed."""
    for name in ('l', 'n' * 255):
        namespace.run('create', 'lock', name)
        (file,) = os.listdir(namespace.path)
        overwrite(os.path.join(namespace.path, file), b'\x55' * 4096)
        for words in (('stat', name), ('lock', name, 'true')):
            namespace.run(*words, status=6, error='its shared memory is damaged')
        namespace.run('stat', name, status=6, error=f"'tenon rm --kind lock /{name}' removes it")
        if name == 'l':
            contains(namespace.run('doctor', status=6).decode(),
                     'lock /l: its head is damaged; it cannot be opened')
        namespace.run('rm', name)
        equal(os.listdir(namespace.path), [])


def test_doctor(namespace):
    namespace.run('create', 'queue', 'q')
    namespace.run('create', 'lock', 'l')
    text = namespace.run('doctor').decode()
    contains(text, 'fine     lock /l: sound, free; acquired 0 times')
    contains(text, 'fine     queue /q: sound')
    equal('none of tenon' in text, False, text)
    die(namespace, 'dead')
    text = namespace.run('doctor', status=1).decode()
    contains(text, 'warning  lock /dead: an owner died: what it protects may be half done')
    contains(text, "'tenon lock NAME -- true'")
    findings = json.loads(namespace.run('doctor', '--json', status=1))
    equal([(finding.get('kind'), finding['object']) for finding in findings
           if finding['object'].count('/') == 1],
          [('lock', '/dead'), ('lock', '/l'), ('queue', '/q')])
    namespace.run('lock', 'dead', 'true', error='who held it before died')
    namespace.run('doctor')


def test_doctor_of_a_mode(namespace):
    namespace.run('create', 'lock', 'l', '--mode', '0666', umask=0)
    contains(namespace.run('doctor').decode(), 'its mode, 0666, lets every user take it and hold it')


def test_doctor_does_not_see_the_holder(namespace):
    """From another pid namespace, where the kernel's word on deaths does not reach."""
    words = ['unshare', '-rpf', '--mount-proc']
    try:
        probe = subprocess.run([*words, 'true'], capture_output=True, check=False)
    except FileNotFoundError:
        raise harness.Skip('no unshare') from None
    if probe.returncode:
        raise harness.Skip('no pid namespace of one\'s own here')
    holder, _ = held(namespace, 'l')
    equal('not to be seen' in namespace.run('doctor').decode(), False)
    done = subprocess.run([*words, namespace.command, 'doctor'], env=namespace.environment,
                          capture_output=True, check=False, timeout=harness.WATCHDOG_S)
    contains(done.stdout.decode(), 'which is not to be seen here')
    equal(done.returncode, 1, done)
    holder.terminate()
    finish(holder, status=128 + signal.SIGTERM)


def test_permission(namespace):
    """Another user is told whose mode is in the way."""
    nobody = as_nobody(namespace)
    namespace.run('create', 'lock', 'l')
    for words in (('stat', 'l'), ('lock', 'l', 'true'), ('create', 'lock', 'l')):
        namespace.run(*words, status=4, **nobody,
                      error="lock '/l': permission denied: the lock's mode does not admit you")
    namespace.run('rm', 'l', status=4, error=f"'ls -ld {namespace.path}' shows", **nobody)
    namespace.run('lock', 'new', 'true', status=4, **nobody,
                  error="lock '/new': permission denied: you may not make or remove anything in")
    os.chmod(namespace.path, 0o1777)
    namespace.run('rm', 'l', status=4, error="only a file's owner removes it", **nobody)


if __name__ == '__main__':
    sys.exit(harness.main())
