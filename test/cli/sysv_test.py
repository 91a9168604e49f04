#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Objects of System V at the shell: what removal, types, keys, identifiers and permission mean to the
command, and what ipcmk(1) and ipcrm(1) under 'tenon run' leave behind."""

import json
import os
import shutil
import signal
import sys

import harness
from harness import as_nobody, contains, equal, finish, until

KINDS = {'queue': 'q', 'semaphore-set': 's', 'segment': 'm'}

# Makes an object of each kind with a key and mode 0600, which may be IPC_PRIVATE, and says their
# identifiers; and changes the mode of a queue.
CALLS = '''
import ctypes, os, sys
c = ctypes.CDLL(None, use_errno=True)
def must(result):
    if result < 0:
        sys.exit(os.strerror(ctypes.get_errno()))
    return result
if sys.argv[1] == "make":
    for key in sys.argv[2:]:
        key = ctypes.c_int(int(key, 0))
        print(must(c.msgget(key, 0o1600)), must(c.semget(key, 2, 0o1600)),
              must(c.shmget(key, 5000, 0o1600)))
else:
    status = (ctypes.c_char * 120)()
    must(c.msgctl(int(sys.argv[2]), 2, status))
    # ipc_perm: key, uid, gid, cuid, cgid, mode
    status[20:22] = int(sys.argv[3], 8).to_bytes(2, "little")
    must(c.msgctl(int(sys.argv[2]), 1, status))
'''


def run(namespace, *words):
    return namespace.run('run', *words).decode()


def make(namespace, *keys):
    """Gives for each key the identifiers, by kind."""
    lines = run(namespace, 'python3', '-c', CALLS, 'make', *keys).splitlines()
    return [dict(zip(KINDS, map(int, line.split()))) for line in lines]


def ipcrm(namespace, *words):
    if not shutil.which('ipcrm'):
        raise harness.Skip('there is no ipcrm')
    run(namespace, 'ipcrm', *words)


def name_of(number):
    return f'/sysv-{number & 0x7fff:04x}'


def test_removed_while_one_waits(namespace):
    """Who waits is told, by whatever it was removed."""
    for number, (removed, words) in enumerate((
            (('rm', 'key/1'), ('recv', 'key/1')), (('ipcrm', '-Q', '1'), ('recv', '--lease', '--follow', 'key/1')),
            (('ipcrm', '-Q', '1'), ('recv', '--all', '--timeout', '1h', '--type', '7', 'key/1')),
            (('ipcrm', '-Q', '1'), ('work', 'key/1', '--', 'true')),
            (('rm', 'key/1'), ('send', '--receipt', '-m', 'x', 'key/1')),
            (('rm', 'key/1'), ('send', 'key/1', '-m', 'x' * 8000, '-m', 'x' * 8000, '-m', 'x' * 8000)))):
        ((name),) = [name_of(made['queue']) for made in make(namespace, '1')]
        child = namespace.start(*words)
        waits = 'senders_waiting' if words[0] == 'send' else 'receivers_waiting'
        # One polls, and one waits for what it has sent.
        until(namespace, 'queue', name, lambda seen, waits=waits, words=words:
              seen['sent' if '--receipt' in words else 'participants' if words[0] == 'work' else waits] ==
              1 + (words[0] == 'work'))
        if removed[0] == 'rm':
            namespace.run('rm', '--kind', 'queue', *removed[1:])
        else:
            ipcrm(namespace, *removed[1:])
        output, error = finish(child, 3)
        equal((output, error), (b'', f"tenon: queue '{name}': it was removed meanwhile\n"), number)
        namespace.run('rm', 'key/1', '--kind', 'semaphore-set')
        namespace.run('rm', 'key/1', '--kind', 'segment')


def test_after_removal(namespace):
    """No neighbour is proposed, nor that one be made of that name."""
    made, _ = make(namespace, '0x2a', '0x2b')
    number = made['queue']
    namespace.run('rm', 'key/0x2a', '--kind', 'queue')
    os.mkdir(os.path.join(namespace.path, 'nothing'))
    for name in (name_of(number), f'id/{number}', 'key/42'):
        for words in (('send', name, '-m', 'x'), ('send', '--create', name, '-m', 'x'), ('recv', name),
                      ('peek', name), ('work', name, '--', 'true')):
            if words[1] == '--create' and name[0] == '/':
                continue
            namespace.run(*words, status=3, error=f"queue '{name}': there is no such queue in '{namespace.path}', or it "
                                                  "was removed; 'tenon ls -l' shows those that are there\n")
        if name[0] == '/':
            continue
        for words in (('stat', name), ('rm', name), ('rm', '--kind', 'queue', name)):
            if '--kind' not in words and name == 'key/42':
                continue
            namespace.run(*words, status=3, error=f"object '{name}': there is no such object")
        namespace.run('rm', '-f', '--kind', 'queue', name)
    os.rmdir(os.path.join(namespace.path, 'nothing'))


def test_types(namespace):
    """As msgsnd(2) and msgrcv(2) have them; what cannot be is told before anything is sent."""
    make(namespace, '1')
    for words in (('--type', '0'), ('--key', '0'), ('--type', '0x8000000000000000')):
        namespace.run('send', 'key/1', *words, '-m', 'x', status=2,
                      error="it is System V's, whose types are numbers from 1 to 9223372036854775807")
    namespace.run('send', 'key/1', '--type', '-1', '-m', 'x', status=2, error="--type '-1': not a number")
    for command in ('recv', 'peek'):
        namespace.run(command, 'key/1', status=1, error='no message', *('--no-wait',) * (command == 'recv'))
        namespace.run(command, 'key/1', '--type', '0', status=2, error='whose types begin with 1')
        for wrong in ('-0', '--5', '-', '-x', '5x', '- 5'):
            namespace.run(command, 'key/1', '--type', wrong, status=2, error=f"--type '{wrong}': neither")
        namespace.run(command, 'key/1', '--type', '-5', '--except', status=2, error='do not go together')
    for number in ('7', '5', '3', '5', '9223372036854775807'):
        namespace.run('send', 'key/1', '--type', number, '-m', f'of {number}')
    namespace.run('send', 'key/1', '-m', 'of none')
    sent = [json.loads(line)['key'] for line in namespace.run('peek', 'key/1', '--all', '--json').splitlines()]
    equal(sent, [7, 5, 3, 5, 2 ** 63 - 1, 1])
    for words, expected in ((('--type', '5', '--all'), b'of 5\nof 5\n'), (('--type', '-6'), b'of none\n'),
                            (('--type=-2', '--lowest'), b'of none\n'), (('--type', '7', '--except'), b'of 5\n')):
        equal(namespace.run('peek', 'key/1', *words), expected, words)
    for words, expected in ((('--type', '-6'), b'of none\n'), (('--type', '-6'), b'of 3\n'),
                            (('--type', '7', '--except'), b'of 5\n'), (('--type', '5'), b'of 5\n'),
                            (('--type=-9223372036854775807', '--all'), b'of 7\nof 9223372036854775807\n')):
        equal(namespace.run('recv', 'key/1', *words), expected, words)


def test_types_of_other_queues(namespace):
    """A queue of Tenon's own has a type 0."""
    namespace.run('create', 'queue', 'q', '--order', 'typed')
    namespace.run('send', 'q', '-m', 'of none')
    namespace.run('send', 'q', '--type', '3', '-m', 'of 3')
    equal(namespace.run('peek', 'q', '--type', '0'), b'of none\n')
    equal(namespace.run('recv', 'q', '--type', '-3'), b'of none\n')
    equal(namespace.run('recv', 'q', '--type', '-3'), b'of 3\n')


def test_keys_and_identifiers(namespace):
    """They stand for an object wherever its name does, alone or with the kind."""
    first, second, private = make(namespace, '0x2a', '-2', '0')
    for key, made in (('0x2a', first), ('42', first), ('0xfffffffe', second)):
        for command in ('stat', 'rm'):
            namespace.run(command, f'key/{key}', status=2, error=f"'key/{key}' is a queue and a semaphore-set and a segment")
        for kind, number in made.items():
            seen = json.loads(namespace.run('stat', '--json', '--kind', kind, f'key/{key}'))
            equal((seen['name'], seen['kind']), (name_of(number), kind))
    for kind, number in private.items():
        seen = json.loads(namespace.run('stat', '--json', f'id/{number}'))
        equal((seen['name'], seen['kind']), (name_of(number), kind))
        namespace.run('stat', f'id/{number ^ 0x8000}', status=3, error='there is no such object')
    namespace.run('send', f'id/{private["queue"]}', '-m', 'x')
    equal(namespace.run('work', '--exit-when-empty', f'id/{private["queue"]}', '--', 'echo', 'worked'), b'worked\n')
    equal(namespace.run('send', 'key/0xfffffffe', '-m', 'y'), b'')
    namespace.run('work', '--exit-when-empty', '--tries', '1', '--dead', 'key/0x2a', 'key/0xfffffffe', '--', 'false',
                  status=10, error='moved to')
    namespace.run('work', '--dead', name_of(first['queue']), 'key/0x2a', '--', 'true', status=2, error='the queue itself')
    equal(namespace.run('recv', 'key/0x2a'), b'y\n')
    for wrong in ('key/', 'key/x', 'key/0x100000000', 'key/-1', 'key/1/2', 'id/', 'id/0x80000000', 'id/-1', 'key/0'):
        for command in ('stat', 'rm', 'recv'):
            namespace.run(command, wrong, status=2, error=f"'{wrong}' is n")
    namespace.run('stat', '--kind', 'lock', 'key/42', status=3, error='there is no such object')
    namespace.run('rm', *(f'id/{number}' for made in (first, second, private) for number in made.values()))
    equal(os.listdir(namespace.path), [])


def test_keys_are_shown(namespace):
    """As ipcs(1) shows them, without a sign; identifiers as numbers."""
    first, private = make(namespace, '0xffff0001', '0')
    listed = {(one['kind'], one['sysv']['id']): one for one in json.loads(namespace.run('ls', '--json'))}
    equal(len(listed), 6)
    text = namespace.run('ls', '-l').decode()
    for made, key in ((first, '0xffff0001'), (private, '0x00000000')):
        for kind, number in made.items():
            one = listed[kind, number]
            seen = json.loads(namespace.run('stat', '--json', f'id/{number}'))
            equal(one['sysv'], seen['sysv'])
            equal((one['sysv']['key'], one['name']), (key, name_of(number)))
            equal(one.get('key', key), key)
            row, = (line for line in text.splitlines() if line.startswith(kind + ' ') and line.endswith(name_of(number)))
            equal('0xffff0001' in row, made is first, row)
            said = namespace.run('stat', f'id/{number}').decode()
            contains(said, f'id {number}, ' + ('key 0xffff0001;' if made is first else 'no key;'))


def test_nothing_is_left_beside_a_polled_queue(namespace):
    """The FIFO of a killed poller stayed if whoever removed the queue had nothing to tell by it: it told of messages already."""
    for remove in (lambda: ipcrm(namespace, '-Q', '1'), lambda: namespace.run('rm', '--kind', 'queue', 'key/1')):
        made, = make(namespace, '1')
        worker = namespace.start('work', 'key/1', '--', 'sh', '-c', 'echo runs; exec sleep 1000')
        namespace.run('send', 'key/1', '-m', 'x')
        equal(worker.stdout.readline(), b'runs\n')
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        equal(namespace.run('recv', 'key/1'), b'x\n')
        namespace.run('send', 'key/1', '-m', 'y')
        equal(len([name for name in os.listdir(namespace.path) if name.startswith('.q.')]), 1)
        remove()
        namespace.run('rm', f'id/{made["segment"]}', f'id/{made["semaphore-set"]}')
        equal(os.listdir(namespace.path), [])


def test_ipcrm_all(namespace):
    """Of many."""
    make(namespace, *(str(number) for number in range(1, 301)), *('0',) * 20)
    equal(len(namespace.run('ls').splitlines()), 960)
    ipcrm(namespace, '--all')
    equal(os.listdir(namespace.path), [])


def test_permission(namespace):
    """The mode that IPC_SET has given, though the file lets in whom it allows anything."""
    nobody = as_nobody(namespace)
    made, = make(namespace, '1')
    number, name = str(made['queue']), name_of(made['queue'])
    for mode, allowed in (('0604', ('peek', 'recv')), ('0602', ('send',))):
        run(namespace, 'python3', '-c', CALLS, 'set', number, mode)
        for words in (('send', 'key/1', '-m', 'y'), ('peek', 'key/1'), ('recv', 'key/1'), ('work', 'key/1', '--', 'true')):
            namespace.run('send', 'key/1', '-m', 'x')
            if words[0] in allowed:
                namespace.run(*words, **nobody)
            elif words[0] == 'work' and mode == '0604':
                namespace.run(*words, status=4, error='you may not make or remove anything in', **nobody)
            else:
                namespace.run(*words, status=4, **nobody,
                              error=f"queue '{name}': permission denied: its mode does not let you "
                                    + ('send' if words[0] == 'send' else 'receive'))
    namespace.run('rm', '--kind', 'queue', name, status=4, error='refused: its owner and its creator may remove it', **nobody)
    run(namespace, 'python3', '-c', CALLS, 'set', number, '0600')
    namespace.run('recv', name, status=4, error="permission denied: the queue's mode does not admit you", **nobody)


def test_removing_what_is_damaged(namespace):
    """With its key, which is free again."""
    for kind, letter in (('queue', 'q'), ('semaphore-set', 'a'), ('segment', 'g')):
        for damage in (b'\x55' * 4096, b'\x55' * 16):
            made, = make(namespace, '1')
            name = name_of(made[kind])
            with open(os.path.join(namespace.path, f'{letter}.{name[1:]}'), 'r+b') as file:
                file.write(damage)
            namespace.run('stat', '--kind', kind, 'key/1', status=6, error='NAME')
            namespace.run('stat', '--kind', kind, f'id/{made[kind]}', status=6, error='is damaged')
            contains(namespace.run('doctor', status=6).decode(), name)
            equal(f'{letter}-key.00000001' in os.listdir(namespace.path), True)
            namespace.run('rm', '--kind', kind, name)
            equal([left for left in os.listdir(namespace.path) if left.startswith(letter)], [])
            again, = make(namespace, '1')
            equal(again[kind] == made[kind], False)
            namespace.run('rm', *(f'id/{number}' for number in again.values()))
            equal(os.listdir(namespace.path), [])


if __name__ == '__main__':
    sys.exit(harness.main())
