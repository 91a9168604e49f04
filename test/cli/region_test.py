#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Regions: what create, ls, stat, rm and doctor show of them, and tenon region: dump, load, grow, seal;
also when the file becomes shorter, memory is full, or one is killed in the midst."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import harness
from harness import as_nobody, contains, equal, finish, helper

PLACE = 4096 * 2  # TENON_PLACE_BYTES of 8 participants


def until(namespace, condition):
    return harness.until(namespace, 'region', 'r', condition)


def status(namespace, name='r'):
    return harness.status(namespace, 'region', name)


def pattern(bytes_):
    return (bytes(range(251)) * (bytes_ // 251 + 1))[:bytes_]


def file_of(namespace, name='r'):
    """The file behind the region, which is the only object there."""
    names = [entry for entry in os.listdir(namespace.path) if not entry.startswith('.')]
    equal(len(names), 1)
    contains(names[0], name)
    return os.path.join(namespace.path, names[0])


def test_create(namespace):
    made = json.loads(namespace.run('create', 'region', 'r', '--size', '5000', '--max-size', '1M',
                                    '--mode', '0640', '--participants', '7', '--json'))
    wanted = {'kind': 'region', 'name': '/r', 'bytes': 5000, 'max_bytes': 1048576, 'seals': [],
              'mode': '0640', 'max_participants': 7, 'participants': 1, 'writers': 0, 'grown': 0,
              'repairs': 0, 'damaged': False}
    equal({key: made[key] for key in wanted}, wanted)
    equal('placed' in made, False)
    # It grows, and so may be larger, but not smaller.
    for options in (('--size', '5000'), ('--size', '1'), ('--max-size', '1024K')):
        equal(json.loads(namespace.run('create', 'region', 'r', *options, '--json'))['id'],
              made['id'])
    namespace.run('create', 'region', 'r', '--size', '5001', status=7, error='another --size')
    namespace.run('create', 'region', 'r', '--max-size', '2M', status=7, error='another --max-size')
    namespace.run('create', 'region', 'r', '--size', '1', '--exclusive', status=7, error='exists')
    namespace.run('create', 'region', 'later', '--max-size', '4K')
    equal([status(namespace, 'later')[key] for key in ('bytes', 'max_bytes')], [0, 4096])
    namespace.run('create', 'region', 'fixed', '--size', '2K')
    equal([status(namespace, 'fixed')[key] for key in ('bytes', 'max_bytes')], [2048, 2048])
    text = namespace.run('doctor').decode()
    contains(text, 'region /r: sound; 4.9 KiB of at most 1.0 MiB, seals: none')
    namespace.run('rm', 'r', 'later', 'fixed')
    equal(os.listdir(namespace.path), [])


def test_bad_input(namespace):
    namespace.run('create', 'region', 'r', '--size', '8', '--max-size', '4K')
    namespace.run('create', 'queue', 'q')
    empty, large = (os.path.join(namespace.scratch, name) for name in ('empty', 'large'))
    for name, data in ((empty, b''), (large, b'x' * 4097)):
        with open(name, 'wb') as file:
            file.write(data)
    rows = (
        ('create region x', 2, "'tenon create region /x --size SIZE'"),
        ('create region x --size 0', 2, '--size 0 needs a --max-size'),
        ('create region x --size 2 --max-size 1', 2, '--size 2 is above --max-size 1'),
        ('create region x --size -1', 2, "--size '-1': not a size from 0 to 8192G"),
        ('create region x --size 1.5M', 2, "--size '1.5M': not a size"),
        ('create region x --size 8193G', 2, 'not a size from 0 to 8192G'),
        ('create region x --size 99999999999G', 2, 'not a size'),
        ('create region x --max-size 0', 2, "--max-size '0': not a size from 1"),
        ('create region x --size 1 --value 1', 2, 'a region has no --value'),
        ('create queue x --size 1', 2, 'a queue has no --size'),
        ('region', 2, "what to do is missing: 'tenon region dump NAME'"),
        ('region dmup r', 2, "'dmup' is nothing to do with a region; did you mean 'dump'?"),
        ('region xyzzy r', 2, 'there are dump, load, grow, seal'),
        ('region dump', 2, 'the name of a region is missing'),
        ('region dump a/b', 2, 'it has a slash within'),
        ('region dump r r', 2, "'r' is too much"),
        ('region dump r --grow', 2, "'dump' has no --grow"),
        ('region dump r --timeout 1', 2, "'dump' has no --timeout"),
        ('region dump r --hex --raw', 2, '--hex and --raw do not go together'),
        ('region dump r --offset x', 2, "--offset 'x': not a size"),
        ('region dump r -n -3', 2, "--length '-3': not a size"),
        ('region dump r --offset 9', 1, 'it has 8 bytes, and none from --offset 9 on'),
        ('region dump r -n 9', 1, 'it has 8 bytes from offset 0 on, and not 9'),
        ('region dump r --offset 4 -n 5', 1, 'it has 4 bytes from offset 4 on, and not 5'),
        ('region dump r --offset 18446744073709551615', 1, 'none from --offset 18446744073709551615'),
        ('region dump r -o /nonexistent/file', 9, '/nonexistent/file: No such file'),
        ('region dump missing', 3, "'tenon create region /missing --size SIZE'"),
        ('region dump q', 3, 'but a queue of that name'),
        ('region load', 2, 'the name of a region is missing'),
        ('region load r x y', 2, "'y' is too much"),
        ('region load r --write', 2, "'load' has no --write"),
        ('region load r --max-size 4K', 2, '--max-size is for --create'),
        ('region load r --timeout soon', 2, "--timeout 'soon'"),
        ('region load missing', 3, "'tenon create region /missing --size SIZE'"),
        ('region load r /nonexistent', 9, '/nonexistent: No such file'),
        ('region load r /', 9, 'Is a directory'),
        (f'region load r {large}', 8, 'more than the 8 bytes that are there from offset 0 on; --grow'),
        (f'region load r {large} --grow', 8, 'more than the 4096 bytes that are possible from offset 0'),
        ('region load r --offset 4', 8, 'standard input has more than the 4 bytes that are there from '
                                        'offset 4 on', b'12345'),
        ('region load r --offset 9', 8, 'more than the 0 bytes that are there', b''),
        ('region load r --offset 18446744073709551615 --grow', 8, 'more than the 0 bytes', b'1'),
        ('region load x --create --offset 18446744073709551615', 8, 'more than the 0 bytes', b'1'),
        ('region load x --create --max-size 3', 8, 'more than the 3 bytes that are possible', b'1234'),
        ('region load x --create', 2, 'standard input is empty, and a region of no bytes needs'),
        (f'region load x --create {empty}', 2, 'empty is empty, and a region of no bytes'),
        ('--namespace /nonexistent/folder region load x --create', 3, 'there is no namespace folder',
         b'1'),
        ('region grow r', 2, "'tenon region grow NAME SIZE'"),
        ('region grow r 1x', 2, "'1x' is no size up to 8192G"),
        ('region grow r 8193G', 2, "'8193G' is no size"),
        ('region grow r 4097', 8, '4097 bytes are wanted, and more than 4096 it never has; what may grow further is '
         'made anew with --max-size'),
        ('region grow r 5 6', 2, "'6' is too much"),
        ('region grow missing 5', 3, 'there is no such region'),
        ('region seal r', 2, 'against what to seal it is missing: --grow, --write or both'),
        ('region seal r --create --grow', 2, "'seal' has no --create"),
        ('region seal r x --grow', 2, "'x' is too much"),
    )
    failures = []
    for line, wanted, error, *stdin in rows:
        try:
            namespace.run(*line.split(), stdin=stdin[0] if stdin else b'', status=wanted,
                          error=error)
        except AssertionError as failure:
            failures.append(str(failure))
    equal(failures, [], '\n'.join(failures))
    equal(namespace.run('ls'), b'/q\n/r\n')
    equal(namespace.run('region', 'dump', 'r'), bytes(8))
    print(f'     {len(rows)} rows')


def test_load_and_dump(namespace):
    data = pattern(700001)
    name, back = (os.path.join(namespace.scratch, name) for name in ('file', 'back'))
    with open(name, 'wb') as file:
        file.write(data)
    namespace.run('region', 'load', 'r', name, '--create', '--max-size', '1M')
    equal([status(namespace)[key] for key in ('bytes', 'max_bytes')], [len(data), 1 << 20])
    equal(namespace.run('region', 'dump', 'r') == data, True)
    namespace.run('region', 'dump', 'r', '--offset', '1K', '-n', '300K', '-o', back)
    with open(back, 'rb') as file:
        equal(file.read() == data[1024:1024 + 300 * 1024], True)
    # One that is there: within, behind its end, and from a pipe.
    namespace.run('region', 'load', 'r', '-', '--offset', '10', stdin=b'within')
    namespace.run('region', 'load', 'r', '--offset', '700010', '--grow', stdin=b'behind')
    data = data[:10] + b'within' + data[16:] + bytes(9) + b'behind'
    equal(namespace.run('region', 'dump', 'r') == data, True)
    # A file that is standard input, from where it stands.
    with open(name, 'rb') as file:
        os.lseek(file.fileno(), 700000, os.SEEK_SET)
        finish(namespace.start('region', 'load', 'r', stdin=file))
    equal(namespace.run('region', 'dump', 'r', '-n', '3'), pattern(700001)[-1:] + data[1:3])
    namespace.run('region', 'grow', 'r', '800000')
    namespace.run('region', 'grow', 'r', '4')
    equal([status(namespace)[key] for key in ('bytes', 'grown')], [800000, 2])
    equal(namespace.run('region', 'dump', 'r', '--offset', '700016'), bytes(99984))
    equal(namespace.run('region', 'dump', 'r', '--offset', '800000'), b'')
    # Files that do not say how long they are.
    namespace.run('region', 'load', 'r', '/proc/version')
    with open('/proc/version', 'rb') as file:
        text = file.read()
    equal(namespace.run('region', 'dump', 'r', '-n', str(len(text))), text)


def test_listing(namespace):
    """It is what hexdump -C shows."""
    if not shutil.which('hexdump'):
        raise harness.Skip('no hexdump')
    name = os.path.join(namespace.scratch, 'file')
    data = bytes(100) + pattern(3000) + b'\xff' * 400000 + b'end of it'
    with open(name, 'wb') as file:
        file.write(data)
    namespace.run('region', 'load', 'r', '--create', name)
    for offset, length in ((0, len(data)), (0, 0), (0, 1), (3, 16), (99, 1000), (5, 399999),
                           (3100, 262144 + 16)):
        wanted = subprocess.run(['hexdump', '-C', '-s', str(offset), '-n', str(length), name],
                                check=True, capture_output=True).stdout if length else b''
        equal(namespace.run('region', 'dump', 'r', '-x', '--offset', str(offset), '-n',
                            str(length)), wanted, (offset, length))


def test_terminal(namespace):
    """A terminal gets the listing, unless the bytes are asked for."""
    from terminal_test import on_terminal
    namespace.run('region', 'load', 'r', '--create', stdin=b'\033[31mred')
    contains(on_terminal(namespace, 'region', 'dump', 'r', stdin=None),
             b'00000000  1b 5b 33 31 6d 72 65 64                           |.[31mred|\r\n00000008\r\n')
    equal(on_terminal(namespace, 'region', 'dump', 'r', '--raw', stdin=None), b'\033[31mred')


def test_progress(namespace):
    from terminal_test import on_terminal
    namespace.run('create', 'region', 'r', '--size', '2M')
    # A reader that takes its time: the command has to be at it for more than a second.
    slow = 'import sys, time\nwhile sys.stdin.buffer.read(262144): time.sleep(0.3)'
    reader = subprocess.Popen([sys.executable, '-ISc', slow], stdin=subprocess.PIPE)
    try:
        shown = on_terminal(namespace, 'region', 'dump', 'r', stdin=None, stdout=reader.stdin,
                            streams=('stderr',))
    finally:
        reader.stdin.close()
        reader.wait()
    for part in (b'MiB dumped, ', b' %', b'left', b'2.0 MiB dumped in '):
        contains(shown, part)
    equal(b'message' in shown, False, shown)


def test_attached(namespace):
    """Who has it open, and who of these can write; it is not sealed against that meanwhile."""
    namespace.run('create', 'region', 'r', '--size', '4K')
    writer = helper(namespace, 'map', 'r')
    seen = status(namespace)
    equal([seen['participants'], seen['writers']], [2, 1])
    entries = {entry['pid']: entry for entry in seen['processes']}
    equal([entries[writer.pid][key] for key in ('uid', 'writes', 'is_own')],
          [os.geteuid(), True, False])
    text = namespace.run('stat', 'r').decode()
    equal(text.count('process '), 1)
    contains(text, f'process {writer.pid:<8} uid {os.geteuid():<6} since ')
    contains(text, ', can write\n')
    contains(text, 'attached     2 of 256 processes; 1 can write')
    namespace.run('region', 'seal', 'r', '--write', '--grow', status=1,
                  error="a process has mapped it for writing, and nothing was sealed; 'tenon stat "
                        "--kind region /r' shows which")
    equal(status(namespace)['seals'], [])
    writer.kill()
    writer.wait()
    namespace.run('region', 'seal', 'r', '--write')


def test_seals(namespace):
    namespace.run('region', 'load', 'r', '--create', '--max-size', '64K', stdin=b'for good')
    namespace.run('region', 'seal', 'r', '--grow')
    equal(status(namespace)['seals'], ['grow'])
    namespace.run('region', 'grow', 'r', '9', status=4,
                  error='it is sealed against growing, and that is for good')
    namespace.run('region', 'load', 'r', '--grow', stdin=b'123456789', status=4,
                  error='sealed against growing')
    equal(namespace.run('region', 'dump', 'r'), b'for good')
    namespace.run('region', 'load', 'r', stdin=b'FOR')
    namespace.run('region', 'seal', 'r', '--write')
    equal(status(namespace)['seals'], ['grow', 'write'])
    namespace.run('region', 'load', 'r', stdin=b'x', status=4, error='it is sealed against writing')
    equal(namespace.run('region', 'dump', 'r'), b'FOR good')
    row = namespace.run('ls', '-l').decode().split()
    equal([row[0], *row[3:8]], ['region', '8', 'B', '64.0', 'KiB', 'grow,write'])
    contains(namespace.run('stat', 'r').decode(), 'seals        against growing and writing\n')


def test_placed(namespace):
    """What is placed in it, with its state."""
    namespace.run('create', 'region', 'r', '--size', str(4 * PLACE), '--participants', '8')
    owner = helper(namespace, 'place', 'r')
    placed = status(namespace)['placed']
    equal([(entry['kind'], entry['offset']) for entry in placed],
          [('lock', 0), ('semaphore', PLACE), ('event', 2 * PLACE)])
    equal([placed[0]['owner_pid'], placed[0]['state'], placed[1]['value'], placed[2]['is_set']],
          [owner.pid, 'sound', 3, False])
    text = namespace.run('stat', 'r').decode()
    contains(text, f'lock at offset 0: state sound, waiting 0, holder {owner.pid}\n'
                   f'        process {owner.pid:<8} holds it\n')
    equal([entry['processes'] for entry in placed],
          [[{'pid': owner.pid, 'depth': 1, 'shared': 0, 'waiting': 0, 'waiting_shared': 0}], [], []])
    contains(text, f'semaphore at offset {PLACE}: value 3, waiting 0, maximum -\n')
    # Having looked keeps nobody from sealing, and nobody's lock.
    equal([entry['writes'] for entry in status(namespace)['processes'] if not entry['is_own']],
          [True])
    owner.kill()
    owner.wait()
    watch = namespace.start('stat', '--json', '--interval', '1000s', 'r')
    equal(len(json.loads(watch.stdout.readline())['placed']), 3)
    equal(status(namespace)['writers'], 0)
    equal(status(namespace)['placed'][0]['processes'], [])
    watch.kill()
    watch.wait()
    victim = helper(namespace, 'die', 'r', wait=False)
    equal(victim.wait(harness.WATCHDOG_S), -signal.SIGKILL)
    text = namespace.run('doctor', status=1).decode()
    contains(text, f'region /r: an owner of the lock at offset {3 * PLACE} died')
    namespace.run('region', 'seal', 'r', '--write')
    equal({entry['error'] for entry in status(namespace)['placed']},
          {'the region is sealed against writing'})
    contains(namespace.run('stat', 'r').decode(),
             'lock at offset 0: not to be looked at: the region is sealed against writing\n')
    namespace.run('doctor')


def test_placed_set(namespace):
    """A set of semaphores, with its values and who has undo counts."""
    namespace.run('create', 'region', 'r', '--size', '1M', '--participants', '8')
    owner = helper(namespace, 'place-set', 'r')
    placed = status(namespace)['placed'][0]
    equal([placed['kind'], placed['offset'], placed['count'], placed['waiting'], placed['maximum']],
          ['semaphore-set', PLACE, 3, 0, 32767])
    equal([entry['value'] for entry in placed['semaphores']], [2, 2, 1])
    equal(placed['processes'], [{'pid': owner.pid, 'waiting': 0, 'undos': 1}])
    contains(namespace.run('stat', 'r').decode(),
             f'    semaphore-set at offset {PLACE}: count 3, waiting 0, maximum 32767\n'
             '        value     0: 2 2 1\n'
             f'        process {owner.pid:<8} undo counts of 1 semaphore\n')
    owner.kill()
    owner.wait()
    equal([entry['value'] for entry in status(namespace)['placed'][0]['semaphores']], [2, 2, 2])
    namespace.run('doctor')
    namespace.run('region', 'load', 'r', '--offset', str(PLACE), stdin=b'\xff' * 4096)
    equal(status(namespace)['placed'][0]['error'], 'it is damaged')
    contains(namespace.run('doctor', status=6).decode(),
             f'the semaphore-set at offset {PLACE} is damaged')


def test_destroyed_set(namespace):
    namespace.run('create', 'region', 'r', '--size', '1M', '--participants', '8')
    helper(namespace, 'destroy-set', 'r')
    contains(namespace.run('stat', 'r').decode(),
             f'semaphore-set at offset {PLACE}: not to be looked at: it has been destroyed')
    contains(namespace.run('doctor', status=1).decode(),
             f'region /r: the semaphore-set at offset {PLACE} has been destroyed')


def test_size_of_a_few_bytes(namespace):
    """A number of bytes is said once."""
    namespace.run('create', 'region', 'r', '--size', '49', '--max-size', '2K')
    text = namespace.run('stat', 'r').decode()
    contains(text, 'size         49 B\n')
    contains(text, 'made as      of at most 2.0 KiB (2048 bytes)\n')


def test_dead_one_at_a_once(namespace):
    """What was placed and left half done is told."""
    namespace.run('create', 'region', 'r', '--size', str(PLACE), '--participants', '8')
    victim = helper(namespace, 'begin', 'r', wait=False)
    equal(victim.wait(harness.WATCHDOG_S), -signal.SIGKILL)
    contains(namespace.run('doctor', status=1).decode(),
             'region /r: who did the once at offset 0 died amid it: it may be half done')
    contains(namespace.run('stat', 'r').decode(), 'once at offset 0: state owner-died, waiting 0')
    equal([entry['owner_died'] for entry in status(namespace)['placed']], [True])


def test_damaged_place(namespace):
    """A hostile byte in what is placed is told, and nothing more comes of it."""
    namespace.run('create', 'region', 'r', '--size', str(4 * PLACE), '--participants', '8')
    owner = helper(namespace, 'place', 'r')
    owner.kill()
    owner.wait()
    namespace.run('region', 'load', 'r', stdin=b'\xff' * (4 * PLACE))
    equal([(entry['kind'], entry['offset'], entry.get('error')) for entry in
           status(namespace)['placed']],
          [(kind, i * PLACE, 'it is damaged') for i, kind in enumerate(('lock', 'semaphore', 'event'))])
    contains(namespace.run('stat', 'r').decode(), 'lock at offset 0: not to be looked at: it is damaged')
    contains(namespace.run('doctor', status=6).decode(), 'at offset 0 is damaged')


def test_cut_off(namespace):
    """Somebody makes the file shorter: an error and no SIGBUS."""
    namespace.run('create', 'region', 'r', '--size', '4M')
    path = file_of(namespace)
    dump = namespace.start('region', 'dump', 'r', stdin=None)
    # More than what a pipe holds is still to come when this much was read.
    first = dump.stdout.read(4096)
    os.truncate(path, 1 << 20)
    rest, error = dump.communicate(timeout=harness.WATCHDOG_S)
    equal(dump.returncode, 6, error)
    contains(error.decode(), "region '/r': memory of it is gone: somebody has made its file shorter")
    contains(error.decode(), f'tenon: {len(first + rest)} of 4194304 bytes were written')
    equal(first + rest, bytes(len(first + rest)))
    for words in (('region', 'dump', 'r'), ('region', 'load', 'r'), ('region', 'grow', 'r', '5M'),
                  ('region', 'seal', 'r', '--grow'), ('stat', 'r')):
        namespace.run(*words, stdin=b'x', status=6, error="region '/r': ")
    namespace.run('doctor', status=6)
    namespace.run('ls', '-l', error="region '/r': ")
    namespace.run('rm', 'r')
    equal(os.listdir(namespace.path), [])


def test_cut_off_amid_a_load(namespace):
    """A load that is stopped in the midst finds the file shorter when it goes on."""
    name = os.path.join(namespace.scratch, 'file')
    with open(name, 'wb') as file:
        file.write(b'x' * (32 << 20))
    begin = time.monotonic()
    while time.monotonic() - begin < harness.WATCHDOG_S / 2:
        namespace.run('create', 'region', 'r', '--size', '32M')
        path = file_of(namespace)
        load = namespace.start('region', 'load', 'r', name, stdin=None)
        # To hit it in the midst; one that has not begun or has ended is tried again.
        while load.poll() is None:
            if status(namespace)['writers']:
                break
        load.send_signal(signal.SIGSTOP)
        os.truncate(path, 1 << 20)
        load.send_signal(signal.SIGCONT)
        _, error = load.communicate(timeout=harness.WATCHDOG_S)
        namespace.run('rm', 'r')
        if load.returncode:
            equal(load.returncode, 6, error)
            contains(error.decode(), 'of 33554432 bytes were written')
            return
    raise harness.Skip('a load is too fast to be cut off')


def test_hole(namespace):
    """A hole that somebody has made reads as zeros."""
    if not shutil.which('fallocate'):
        raise harness.Skip('no fallocate')
    namespace.run('region', 'load', 'r', '--create', stdin=b'x' * (64 << 10))
    path = file_of(namespace)
    size = os.stat(path).st_size
    subprocess.run(['fallocate', '-p', '-o', str(size - 8192), '-l', '4096', path], check=True)
    equal(namespace.run('region', 'dump', 'r') ==
          b'x' * (56 << 10) + bytes(4096) + b'x' * 4096, True)


def test_killed_loads(namespace):
    """Killed at any moment, a load leaves a region that has grown or has not, and the next one is
    as if nothing had been."""
    name = os.path.join(namespace.scratch, 'file')
    data = pattern(8 << 20)
    with open(name, 'wb') as file:
        file.write(data)
    words = ('region', 'load', 'r', name, '--create', '--max-size', '16M', '--grow')
    for _, survivor in harness.kill_at_any_moment(namespace, 20, words, words):
        finish(survivor)
        seen = status(namespace)
        equal([seen['bytes'], seen['participants'], seen['damaged']], [len(data), 1, False])
        equal(namespace.run('region', 'dump', 'r') == data, True)
        namespace.run('rm', 'r')
        equal(os.listdir(namespace.path), [])


def test_killed_before_the_end_of_a_pipe(namespace):
    """What comes from a pipe is read to its end before anything is changed."""
    namespace.run('region', 'load', 'r', '--create', '--max-size', '1M', stdin=b'before')
    load = namespace.start('region', 'load', 'r', '--grow')
    load.stdin.write(b'x' * (256 << 10))
    load.stdin.flush()
    # It has taken all but what the pipe holds.
    equal(status(namespace)['bytes'], 6)
    load.kill()
    load.wait()
    equal(namespace.run('region', 'dump', 'r'), b'before')
    equal(status(namespace)['participants'], 1)


def test_memory_is_full(namespace):
    """Nothing is half done: the region is as before, or not there."""
    script = ('mount -t tmpfs -o size=1m,mode=0700 tmpfs "$1" && '
              '{ "$0" create region big --size 2M; echo $?; '
              'head -c 2M /dev/zero | "$0" region load new --create; echo $?; "$0" ls; '
              'echo before | "$0" region load r --create --max-size 4M; '
              'yes | head -c 2M >"$2"; "$0" region load r "$2" --grow; echo $?; '
              '"$0" region load r --grow <"$2"; echo $?; cat "$2" | "$0" region load r --grow; '
              'echo $?; "$0" region grow r 3M; echo $?; "$0" region dump r; '
              'yes | head -c 512K | "$0" region load r --grow; echo $?; '
              '"$0" region dump r | md5sum; yes | head -c 512K | md5sum; }')
    words = ['unshare', '-rm', 'sh', '-c', script, namespace.command, namespace.path,
             os.path.join(namespace.scratch, 'file')]
    try:
        probe = subprocess.run(['unshare', '-rm', 'mount', '-t', 'tmpfs', 'x', namespace.path],
                               capture_output=True, check=False)
    except FileNotFoundError:
        raise harness.Skip('no unshare') from None
    if probe.returncode:
        raise harness.Skip("no mount namespace of one's own here")
    done = subprocess.run(words, env=namespace.environment, capture_output=True,
                          timeout=harness.WATCHDOG_S, check=False)
    lines = done.stdout.decode().splitlines()
    equal(lines[:8], ['5', '5', '5', '5', '5', '5', 'before', '0'], done)
    equal(lines[8], lines[9])
    equal(done.stderr.count(b"the memory behind"), 6, done.stderr)


def test_file_size_limit(namespace):
    """A limit of the process is told as such, and is no signal."""
    namespace.run('create', 'region', 'r', '--size', '4K', '--max-size', '1M')
    for words in (('region', 'grow', 'r', '512K'), ('create', 'region', 'x', '--size', '512K')):
        done = subprocess.run(['sh', '-c', 'ulimit -f 128; exec "$@"', 'sh', namespace.command, *words],
                              env=namespace.environment, capture_output=True, check=False)
        equal(done.returncode, 5, done)
        contains(done.stderr, b"look at 'ulimit -f'")
    output = os.path.join(namespace.scratch, 'out')
    namespace.run('region', 'grow', 'r', '1M')
    done = subprocess.run(['sh', '-c', 'ulimit -f 128; exec "$@"', 'sh', namespace.command, 'region',
                           'dump', 'r', '-o', output], env=namespace.environment,
                          capture_output=True, check=False)
    equal(done.returncode, 5, done)
    contains(done.stderr, b'out: File too large')


def test_output_fails(namespace):
    namespace.run('create', 'region', 'r', '--size', '1M')
    if os.path.exists('/dev/full'):
        namespace.run('region', 'dump', 'r', '-o', '/dev/full', status=5, error='/dev/full: No space')
    dump = namespace.start('region', 'dump', 'r', stdin=None)
    dump.stdout.close()
    equal(dump.wait(harness.WATCHDOG_S), -signal.SIGPIPE)


def test_timeout(namespace):
    """Who is stopped while it holds the gate cannot be had by chance; that the option is taken can."""
    namespace.run('create', 'region', 'r', '--size', '1', '--max-size', '4K')
    namespace.run('region', 'grow', 'r', '2', '--timeout', '2')
    namespace.run('region', 'load', 'r', '--grow', '-w', '500ms', stdin=b'123')
    namespace.run('region', 'seal', 'r', '--grow', '--write', '-w', '1m')
    equal(namespace.run('region', 'dump', 'r'), b'123')


def test_permission(namespace):
    nobody = as_nobody(namespace)
    namespace.run('create', 'region', 'r', '--size', '4')
    for words in (('stat', 'r'), ('region', 'dump', 'r'), ('region', 'load', 'r', '--create'),
                  ('region', 'grow', 'r', '5'), ('region', 'seal', 'r', '--grow'),
                  ('create', 'region', 'r', '--size', '4')):
        namespace.run(*words, status=4, stdin=b'x', **nobody,
                      error="region '/r': permission denied: the region's mode does not admit you")
    namespace.run('region', 'load', 'new', '--create', status=4, stdin=b'x', **nobody,
                  error="region '/new': permission denied: you may not make or remove anything in")
    equal(namespace.run('region', 'dump', 'r'), bytes(4))
    # Whom the mode admits may do all of it.
    os.chmod(namespace.path, 0o755)
    namespace.run('create', 'region', 'open', '--size', '4', '--mode', '0666', umask=0)
    namespace.run('region', 'load', 'open', stdin=b'mine', **nobody)
    equal(namespace.run('region', 'dump', 'open'), b'mine')
    contains(namespace.run('doctor').decode(),
             'its mode, 0666, lets every user read and write it, and make it shorter')


if __name__ == '__main__':
    sys.exit(harness.main())
