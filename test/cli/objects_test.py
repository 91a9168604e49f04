#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tenon create, rm, ls, stat, doctor, bench, help: what they make and show, and the exit statuses
that depend on the machine (permission, room, damage)."""

import base64
import json
import os
import subprocess
import sys
import tempfile

import harness
from harness import as_nobody, contains, equal, finish


def status(namespace, name):
    return json.loads(namespace.run('stat', '--json', name))


def test_create_with_everything(namespace):
    namespace.run('create', 'queue', '/q', '--capacity', '7', '--order', 'priority', '--full',
                  'drop-oldest', '--message-size', '3K', '--mode', '0640', '--participants', '9')
    seen = status(namespace, 'q')
    equal([seen[key] for key in ('kind', 'name', 'capacity', 'order', 'full', 'max_message_bytes',
                                 'mode', 'max_participants')],
          ['queue', '/q', 7, 'priority', 'drop-oldest', 3072, '0640', 9])


def test_limit_of_bytes(namespace):
    """It is shown, and keeps senders waiting; doctor says what to do about a full one."""
    namespace.run('create', 'queue', 'q', '--max-bytes', '4K', '--message-size', '4K')
    equal(status(namespace, 'q')['max_bytes'], 4096)
    namespace.run('send', 'q', '-m', 'x' * 4000)
    namespace.run('send', 'q', '--no-wait', '-m', 'x' * 97, status=1, error='full')
    namespace.run('send', 'q', '--no-wait', '-m', 'x' * 96)
    equal(b'of messages' in namespace.run('stat', 'q'), True)
    equal(b'--max-bytes' in namespace.run('doctor'), True)
    namespace.run('create', 'queue', 'p')
    equal(status(namespace, 'p')['max_bytes'], 0)
    equal(b'of messages' in namespace.run('stat', 'p'), False)


def test_create_defaults(namespace):
    namespace.run('create', 'queue', 'q')
    seen = status(namespace, 'q')
    equal([seen[key] for key in ('capacity', 'order', 'full', 'max_message_bytes', 'mode')],
          [1024, 'fifo', 'wait', 8192, '0600'])


def test_capacity_zero_is_a_rendezvous(namespace):
    namespace.run('create', 'queue', 'q', '--capacity', '0')
    equal(status(namespace, 'q')['capacity'], 0)
    namespace.run('send', 'q', '--no-wait', '-m', 'x', status=1, error='nobody is waiting')


def test_numbers(namespace):
    """Suffixes count in powers of 1024, and a leading zero makes no octal number."""
    for text, number in (('2K', 2048), ('3m', 3 << 20), ('4G', 4 << 30), ('010', 10), ('0x10', 16)):
        namespace.run('create', 'queue', text, '--capacity', text)
        equal(status(namespace, text)['capacity'], number, text)
    for text, number in (('1K', 1024), ('1KiB', 1024), ('1g', 1 << 30), ('0', 0), ('0100', 100)):
        namespace.run('create', 'queue', f'size{text}', '--message-size', text)
        equal(status(namespace, f'size{text}')['max_message_bytes'], number, text)


def test_create_json(namespace):
    """A program that makes a queue reads what it got, made anew or there already."""
    made = json.loads(namespace.run('create', 'queue', 'q', '--json', '--capacity', '7', '--order',
                                    'typed'))
    equal([made[key] for key in ('kind', 'name', 'capacity', 'order', 'messages', 'sent')],
          ['queue', '/q', 7, 'typed', 0, 0])
    namespace.run('send', 'q', '-m', 'x')
    again = json.loads(namespace.run('create', 'queue', '--json', 'q'))
    equal([again[key] for key in ('id', 'capacity', 'messages')], [made['id'], 7, 1])
    # A number of 64 bits would be rounded by many a reader of JSON.
    contains(namespace.run('stat', 'q').decode(), f', id {made["id"]}\n')
    namespace.run('create', 'queue', 'u', '--capacity', 'unbounded')
    equal(status(namespace, 'u')['capacity'], 'unbounded')
    equal(namespace.run('create', 'queue', 'q', '--json', '--capacity', '8', status=7,
                        error='--capacity'), b'')
    equal(namespace.run('create', 'queue', 'q', '--json', '--exclusive', status=7,
                        error='exists already'), b'')


def test_create_again(namespace):
    namespace.run('create', 'queue', 'q', '--capacity', 'unbounded')
    namespace.run('send', 'q', '-m', 'kept')
    namespace.run('create', 'queue', 'q')
    namespace.run('create', 'queue', 'q', '--capacity', 'unbounded')
    namespace.run('create', 'queue', 'q', '--capacity', '1024', status=7, error='--capacity')
    equal(namespace.run('recv', 'q'), b'kept\n')


def test_full_queues(namespace):
    for full, kept in (('drop-oldest', b'2\n3\n'), ('drop-newest', b'1\n2\n')):
        namespace.run('create', 'queue', full, '--capacity', '2', '--full', full)
        namespace.run('send', full, stdin='1\n2\n3\n')
        equal(status(namespace, full)['dropped'], 1)
        equal(namespace.run('recv', full, '--all'), kept)
    namespace.run('create', 'queue', 'fail', '--capacity', '2', '--full', 'fail')
    namespace.run('send', 'fail', stdin='1\n2\n3\n', status=1,
                  error='it is full (2 messages were sent)')
    namespace.run('recv', 'fail')
    namespace.run('send', 'fail', stdin='4\n5\n', status=1,
                  error='it is full (1 message was sent)')


def test_rendezvous(namespace):
    namespace.run('create', 'queue', 'q', '--capacity', 'rendezvous')
    receiver = namespace.start('recv', 'q', '--count', '3')
    namespace.run('send', 'q', stdin='1\n2\n3\n')
    equal(finish(receiver)[0], b'1\n2\n3\n')


def test_ls(namespace):
    equal(namespace.run('ls'), b'')
    equal(json.loads(namespace.run('ls', '--json')), [])
    for name in ('b', 'a', 'gr\u00fcn', 'with space', '.hidden', '-dash'):
        namespace.run('create', 'queue', '--', name)
    equal(namespace.run('ls').decode().splitlines(),
          ['/-dash', '/.hidden', '/a', '/b', '/gr\u00fcn', '/with space'])
    equal([queue['name'] for queue in json.loads(namespace.run('ls', '--json'))],
          ['/-dash', '/.hidden', '/a', '/b', '/gr\u00fcn', '/with space'])
    lines = namespace.run('ls', '--long').decode().splitlines()
    equal(lines[2].split()[:2] + lines[2].split()[-1:], ['queue', '0600', '/a'])


def test_ls_null(namespace):
    for name in ('two\nlines', 'a'):
        namespace.run('create', 'queue', name)
    equal(namespace.run('ls', '-0'), b'/a\0/two\nlines\0')
    equal(namespace.run('ls', '--long', '--null').count(b'\0'), 2)


def test_names_that_are_not_utf8(namespace):
    """JSON is UTF-8: such a name was left out of some answers, and broke others."""
    name = b'\xff\xfe'
    encoded = base64.b64encode(b'/' + name).decode()
    namespace.run('create', 'queue', name)
    equal(json.loads(namespace.run('stat', '--json', name))['name_base64'], encoded)
    contains([finding.get('object_base64') for finding in
              json.loads(namespace.run('doctor', '--json').decode())], encoded)
    (file_name,) = os.listdir(namespace.path.encode())
    with open(os.path.join(namespace.path.encode(), file_name), 'r+b') as file:
        file.write(b'\x55' * 4096)
    (queue,) = json.loads(namespace.run('ls', '--json').decode())
    equal(queue['name_base64'], encoded)
    contains(queue, 'error')


def test_longest_name(namespace):
    namespace.run('create', 'queue', 'n' * 255)
    equal(namespace.run('ls'), b'/' + b'n' * 255 + b'\n')
    namespace.run('rm', '/' + 'n' * 255)


def test_namespace_option(namespace):
    other = os.path.join(namespace.scratch, 'other')
    os.mkdir(other, 0o700)
    namespace.run('--namespace', other, 'create', 'queue', 'q')
    equal(namespace.run('ls'), b'')
    equal(namespace.run('ls', '--namespace', other), b'/q\n')
    contains(namespace.run('doctor', other), b'/q: sound')


def test_rm(namespace):
    for name in 'abc':
        namespace.run('create', 'queue', name)
    namespace.run('rm', 'a', 'missing', 'b', status=3, error="object '/missing'")
    equal(namespace.run('ls'), b'/c\n')
    namespace.run('rm', '--force', 'missing', 'c')
    equal(namespace.run('ls'), b'')


def test_rm_json(namespace):
    for name in 'ab':
        namespace.run('create', 'queue', name)
    answers = json.loads(namespace.run('rm', '--json', 'a', 'missing', 'b', status=3,
                                       error="object '/missing'"))
    contains(answers[1].pop('error'), 'there is no such object in')
    equal(answers, [{'kind': 'queue', 'name': '/a', 'removed': True},
                    {'name': '/missing', 'removed': False},
                    {'kind': 'queue', 'name': '/b', 'removed': True}])
    equal(json.loads(namespace.run('rm', '--json', '--force', 'a'))[0]['removed'], False)
    equal(namespace.run('rm', '--json', 'a/b', status=2, error='it has a slash within'), b'')


def test_stat_text(namespace):
    namespace.run('create', 'queue', 'q')
    namespace.run('send', 'q', stdin='one\ntwo\n')
    text = namespace.run('stat', 'q').decode()
    namespace.run('create', 'queue', 'one', '--capacity', '1')
    contains(namespace.run('stat', 'one').decode(), 'fifo, 1 message of up to')
    for part in ('queue /q', '2 messages, 6 B', '0 messages, 0 B; last never\n', 'fifo, 1024 messages of up to 8.0 KiB'):
        contains(text, part)
    if '\033' in text:
        raise AssertionError('colours in a pipe')


def test_stat_json_of_several(namespace):
    """One name gives an object, several an array, as everywhere."""
    for name in 'ab':
        namespace.run('create', 'queue', name)
    equal([queue['name'] for queue in json.loads(namespace.run('stat', '--json', 'a', 'b'))],
          ['/a', '/b'])
    _, missing = json.loads(namespace.run('stat', '--json', 'a', 'missing', status=3,
                                          error="object '/missing'"))
    equal(missing['name'], '/missing')
    contains(missing['error'], 'there is no such object')


def test_stat_counts(namespace):
    namespace.run('create', 'queue', 'q')
    namespace.run('send', 'q', stdin='one\ntwo\nthree\n')
    namespace.run('recv', 'q')
    seen = status(namespace, 'q')
    equal([seen[key] for key in ('messages', 'message_bytes', 'sent', 'sent_bytes', 'received',
                                 'received_bytes', 'leased', 'damaged', 'high_messages')],
          [2, 8, 3, 11, 1, 3, 0, False, 3])


def test_stat_shows_processes(namespace):
    namespace.run('create', 'queue', 'q')
    namespace.run('send', 'q', '-m', 'x')
    worker = namespace.start('work', 'q', '--', 'sh', '-c', 'echo runs; exec sleep 1000')
    worker.stdout.readline()
    seen = status(namespace, 'q')
    equal([(p['alive'], p['leased']) for p in seen['processes'] if p['pid'] == worker.pid],
          [(True, 1)])
    contains(namespace.run('stat', 'q').decode(), f'process {worker.pid}')


def test_watch(namespace):
    namespace.run('create', 'queue', 'q')
    watch = namespace.start('stat', '--json', '--interval', '10ms', 'q')
    equal([json.loads(watch.stdout.readline())['messages'] for _ in range(3)], [0, 0, 0])
    namespace.run('send', 'q', '-m', 'x')
    while json.loads(watch.stdout.readline())['messages'] != 1:
        pass


def test_doctor(namespace):
    namespace.run('create', 'queue', 'q', '--capacity', '1', '--mode', '0600')
    namespace.run('send', 'q', '-m', 'x')
    findings = json.loads(namespace.run('doctor', '--json'))
    grades = {(f['object'], f['grade']) for f in findings}
    equal({('/q', 'fine'), ('/q', 'note'), ('kernel', 'fine')} - grades, set())
    equal([f['finding'] for f in findings if f['grade'] == 'note' and f['object'] != 'huge pages'],
          ['it is full: 1 message queued and 0 under lease; 0 senders wait, 0 receivers wait'])
    contains([f['finding'] for f in findings if f['object'] == '/q'][0], 'sound; 1 message, ')
    equal(namespace.run('recv', 'q'), b'x\n')


def test_doctor_frees_what_the_dead_held(namespace):
    namespace.run('create', 'queue', 'q')
    namespace.run('send', 'q', '-m', 'x')
    worker = namespace.start('work', 'q', '--', 'sh', '-c', 'echo runs; exec sleep 1000')
    worker.stdout.readline()
    worker.kill()
    worker.wait()
    # The figures are those after that.
    contains(namespace.run('doctor'), b'/q: sound; 1 message, ')
    equal(namespace.run('peek', 'q'), b'x\n')


def test_doctor_without_a_folder(namespace):
    folder = os.path.join(namespace.scratch, 'nothing')
    text = namespace.run('doctor', folder, status=1)
    contains(text, b'there is no such folder')
    contains(text, f"make it with 'mkdir -m 700 {folder}'".encode())
    contains(text, b'\n0 damaged, 1 warning\n')
    namespace.run('doctor', os.devnull, status=1)


def limited(namespace, limit, *words):
    return subprocess.run(['sh', '-c', f'ulimit {limit} && exec "$0" "$@"', namespace.command,
                           *words], env=namespace.environment, capture_output=True, check=False,
                          timeout=harness.WATCHDOG_S)


def test_descriptors_are_few(namespace):
    done = limited(namespace, '-n 64', 'doctor')
    equal(done.returncode, 1, done)
    contains(done.stdout, b'ulimit -n')
    namespace.run('create', 'queue', 'q')
    lines = limited(namespace, '-n 4', 'doctor').stdout.decode().splitlines()
    (at,) = [i for i, line in enumerate(lines) if '/q: it cannot be opened' in line]
    contains(lines[at + 1], 'ulimit -n')
    done = limited(namespace, '-n 4', 'send', 'q', '-m', 'x')
    equal(done.returncode, 5, done)


def test_files_may_not_be_large(namespace):
    """The kernel's answer to a file that grows too large is a signal; here it is an error."""
    done = limited(namespace, '-f 100', 'create', 'queue', 'q')
    equal(done.returncode, 5, done)
    contains(done.stderr, b'ulimit -f')
    equal(os.listdir(namespace.path), [])
    done = limited(namespace, '-f 100', 'doctor')
    equal(done.returncode, 1, done)
    contains(done.stdout, b'warning  file size: ')


def test_doctor_counts_strangers(namespace):
    namespace.run('create', 'queue', 'q')
    equal(b'none of tenon' in namespace.run('doctor'), False)
    for name in ('.hidden', 'core'):
        with open(os.path.join(namespace.path, name), 'w'):
            pass
    contains(namespace.run('doctor'), b"2 of the files there are none of tenon's")


def test_doctor_tidies_no_folder_of_others(namespace):
    """It advised to remove what nobody needs, in /etc."""
    with open(os.path.join(namespace.path, 'passwd'), 'w'):
        pass
    text = namespace.run('doctor')
    contains(text, b"none of the files there is tenon's")
    equal(b'remove what nobody needs' in text, False)


def test_doctor_knows_the_pipes_of_queues(namespace):
    """The pipe of a queue in use is no stranger; that of a removed queue is a leftover."""
    namespace.run('create', 'queue', 'q')
    namespace.run('send', 'q', '-m', 'x')
    worker = namespace.start('work', 'q', '--', 'sh', '-c', 'echo runs; exec sleep 1000')
    worker.stdout.readline()
    (pipe,) = [name for name in os.listdir(namespace.path) if name.startswith('.q.')]
    text = namespace.run('doctor')
    equal((b'none of tenon' in text, b'left over' in text), (False, False), text)
    worker.kill()
    worker.wait()
    namespace.run('rm', 'q')
    os.mkfifo(os.path.join(namespace.path, '.q.0123456789abcdef.0123456789abcdef.r'))
    text = namespace.run('doctor')
    equal(text.count(b'left over by a queue that was removed'), 1 + os.path.exists(
        os.path.join(namespace.path, pipe)), text)


def test_doctor_and_the_usual_folder(namespace):
    """Without TENON_NAMESPACE and without a usable /dev/shm no queue can be made."""
    probe = 'mount -t tmpfs -o mode=0755 tmpfs /dev'
    script = 'unset TENON_NAMESPACE; "$0" doctor; echo $?'
    try:
        if subprocess.run(['unshare', '-rm', 'sh', '-c', probe], capture_output=True,
                          check=False).returncode:
            raise harness.Skip("no mount namespace of one's own here")
    except FileNotFoundError:
        raise harness.Skip('no unshare') from None
    for prepare, status, part in (
            (probe, 1, b'/dev/shm: there is no such folder'),
            (probe + '; mkdir /dev/shm', 0, b'it is made with the first queue'),
            (probe + '; mkdir /dev/shm; mount -o remount,ro /dev', 1,
             b'you cannot make a folder there')):
        done = subprocess.run(['unshare', '-rm', 'sh', '-c', f'{prepare} && {script}',
                               namespace.command], env=namespace.environment, capture_output=True,
                              check=False, timeout=harness.WATCHDOG_S)
        contains(done.stdout, part)
        equal(done.stdout.splitlines()[-1], str(status).encode(), done)


def test_damage(namespace):
    """A queue whose file was overwritten is told as such by every command, and can be removed."""
    namespace.run('create', 'queue', 'q')
    (name,) = os.listdir(namespace.path)
    with open(os.path.join(namespace.path, name), 'r+b') as file:
        file.write(b'\x55' * 4096)
    for words in (('send', 'q'), ('recv', 'q'), ('peek', 'q'), ('stat', 'q'),
                  ('work', 'q', '--', 'true')):
        namespace.run(*words, status=6, error="queue '/q': ", stdin='x\n')
    contains(namespace.run('doctor', status=6), b'/q: ')
    namespace.run('rm', 'q')


def test_too_many_processes(namespace):
    namespace.run('create', 'queue', 'q', '--participants', '1')
    namespace.run('send', 'q', '-m', 'x')
    worker = namespace.start('work', 'q', '--', 'sh', '-c', 'echo runs; exec sleep 1000')
    worker.stdout.readline()
    namespace.run('send', 'q', '-m', 'y', status=5, error='as many processes are attached')


def test_memory_is_full(namespace):
    script = ('mount -t tmpfs -o size=1m,mode=0700 tmpfs "$1" && '
              '"$0" create queue q --capacity unbounded && '
              '{ yes 0123456789012345678901234567890123456789 | "$0" send q; echo $?; '
              '"$0" recv q --all | sort -u; "$0" send q -m again; echo $?; "$0" recv q; }')
    words = ['unshare', '-rm', 'sh', '-c', script, namespace.command, namespace.path]
    try:
        probe = subprocess.run(['unshare', '-rm', 'mount', '-t', 'tmpfs', 'x', namespace.path],
                               capture_output=True, check=False)
    except FileNotFoundError:
        raise harness.Skip('no unshare') from None
    if probe.returncode:
        raise harness.Skip('no mount namespace of one\'s own here')
    done = subprocess.run(words, env=namespace.environment, capture_output=True,
                          timeout=harness.WATCHDOG_S, check=False)
    equal(done.stdout, b'5\n' + b'0123456789' * 4 + b'\n0\nagain\n', done.stderr)
    contains(done.stderr, b"queue '/q': the memory behind")


def test_queue_on_a_disk(namespace):
    """It was made without a word; doctor alone warned of it."""
    for parent in ('/var/tmp', '/tmp', '.'):
        kind = subprocess.run(['stat', '-f', '-c', '%T', parent], capture_output=True, check=False)
        if kind.stdout.strip() not in (b'', b'tmpfs', b'ramfs'):
            break
    else:
        raise harness.Skip('no folder on a disk')
    with tempfile.TemporaryDirectory(prefix='tenon-test-cli.', dir=parent) as folder:
        child = namespace.start('create', 'queue', 'q', '--namespace', folder)
        _, error = finish(child)
        contains(error, 'which is not on tmpfs: messages are written to a disk')
        equal(error.count('\n'), 1)


def test_permission(namespace):
    """Another user is told whose mode is in the way."""
    nobody = as_nobody(namespace)
    namespace.run('create', 'queue', 'q', '--mode', '0600')
    for words in (('send', 'q'), ('recv', 'q'), ('stat', 'q'), ('create', 'queue', 'q')):
        namespace.run(*words, status=4, **nobody,
                      error="queue '/q': permission denied: the queue's mode does not admit you; "
                            f"'ls -l {namespace.path}' shows")
    namespace.run('rm', 'q', status=4, error=f"'ls -ld {namespace.path}' shows", **nobody)
    namespace.run('create', 'queue', 'new', status=4, **nobody,
                  error="queue '/new': permission denied: you may not make or remove anything in")
    namespace.run('bench', status=4, error="queue '/tenon-bench.", **nobody)
    equal(namespace.run('ls'), b'/q\n')


def test_permission_of_the_folder(namespace):
    """The advice was 'ls -l' of the folder, which failed by the same mode."""
    nobody = as_nobody(namespace)
    inner = os.path.join(namespace.path, 'inner')
    namespace.run('create', 'queue', 'q', '--mode', '0600')
    os.mkdir(inner)
    os.chmod(namespace.path, 0o700)
    for words in (('stat', 'q'), ('create', 'queue', 'n'), ('ls',), ('ls', '--namespace', inner)):
        for part in (f"the folder '{namespace.path}' does not admit you",
                     f"'ls -ld {namespace.path}' shows whose it is"):
            namespace.run(*words, status=4, error=part, **nobody)


def test_doctor_says_what_it_could_not_look_at(namespace):
    """It said that nothing was wrong."""
    nobody = as_nobody(namespace)
    namespace.run('create', 'queue', 'q')
    text = namespace.run('doctor', **nobody)
    contains(text, b'Nothing is wrong with what could be looked at; 1 object could not be looked at')
    namespace.run('create', 'queue', 'p')
    contains(namespace.run('doctor', **nobody), b'; 2 objects could not be looked at')


def test_doctor_sorts_by_name(namespace):
    names = [f'/{number}' for number in range(9)]
    for name in names[::2] + names[1::2]:
        namespace.run('create', 'queue', name)
    findings = json.loads(namespace.run('doctor', '--json'))
    equal([finding['object'] for finding in findings if finding['object'] in names], names)


def test_doctor_of_a_mode(namespace):
    """Whoever may only read can neither fill nor drain it, and was said to do both."""
    for mode, open_to_all in (('0644', False), ('0602', False), ('0606', True), ('0666', True)):
        namespace.run('create', 'queue', mode, '--mode', mode, umask=0)
        text = namespace.run('doctor').decode()
        equal(f'its mode, {mode}, lets every user fill and drain it' in text, open_to_all, text)


def test_bench(namespace):
    rows = json.loads(namespace.run('bench', '--json', '--duration', '20ms'))
    equal({row['measured'] for row in rows}, {'round trip', 'one way'})
    equal(all(row['messages_per_second'] > 0 for row in rows), True)
    contains(namespace.run('bench', '--duration', '10ms'), b'round trip')
    equal(os.listdir(namespace.path), [])


def test_help(namespace):
    overview = namespace.run('help')
    equal(namespace.run('--help'), overview)
    for line in overview.decode().splitlines():
        if line.startswith('  ') and not line.strip().startswith('-'):
            command = line.split()[0]
            contains(namespace.run('help', command), f'Usage: tenon {command}'.encode())
            equal(namespace.run(command, '--help'), namespace.run('help', command))


def test_version(namespace):
    equal(namespace.run('version'), namespace.run('--version'))
    contains(namespace.run('version'), b'tenon 0.')
    answer = json.loads(namespace.run('version', '--json'))
    equal(f'tenon {answer["version"]}\n'.encode(), namespace.run('version'))


if __name__ == '__main__':
    sys.exit(harness.main())
