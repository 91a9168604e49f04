#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tenon shm: the bytes of POSIX shared memory objects, out and in; also when one becomes shorter, memory
is full, or the command is killed in the midst."""

import os
import signal
import stat
import subprocess
import sys
import time

import harness
from harness import equal, contains
from region_test import file_of, pattern


def status(namespace):
    return harness.status(namespace, 'shm', 's')


def test_bad_input(namespace):
    namespace.run('create', 'shm', 's', '--size', '8')
    namespace.run('create', 'region', 'r', '--size', '8')
    large = os.path.join(namespace.scratch, 'large')
    with open(large, 'wb') as file:
        file.write(b'x' * 4097)
    rows = (
        ('shm', 2, "what to do is missing: 'tenon shm dump NAME'"),
        ('shm dmup s', 2, "'dmup' is nothing to do with an shm; did you mean 'dump'?"),
        ('shm grow s 9', 2, "'grow' is nothing to do with an shm; there are dump, load"),
        ('shm dump', 2, 'the name of an shm is missing'),
        ('shm dump a/b', 2, 'it has a slash within'),
        ('shm dump s s', 2, "'s' is too much"),
        ('shm load s x y', 2, "'y' is too much"),
        ('shm dump s --grow', 2, "'dump' has no --grow"),
        ('shm load s --hex', 2, "'load' has no --hex"),
        ('shm load s --max-size 4K --create', 2, "'load' has no --max-size"),
        ('shm load s --timeout 1', 2, "'load' has no --timeout"),
        ('shm load s --write', 2, "'load' has no --write"),
        ('shm dump s --hex --raw', 2, '--hex and --raw do not go together'),
        ('shm dump s --offset 9', 1, 'it has 8 bytes, and none from --offset 9 on'),
        ('shm dump s --offset 4 -n 5', 1, 'it has 4 bytes from offset 4 on, and not 5'),
        ('shm dump s -o /nonexistent/file', 9, '/nonexistent/file: No such file'),
        ('shm dump missing', 3, "'tenon create shm /missing'"),
        ('shm dump r', 3, 'but a region of that name'),
        ('region dump s', 3, 'but an shm of that name'),
        ('shm load missing', 3, "'tenon create shm /missing'"),
        ('shm load s /nonexistent', 9, '/nonexistent: No such file'),
        (f'shm load s {large}', 8, 'more than the 8 bytes that are there from offset 0 on; --grow makes it'),
        ('shm load s --offset 9', 8, 'more than the 0 bytes that are there', b''),
        ('shm load s --offset 18446744073709551615 --grow', 8, 'more than the 0 bytes', b'1'),
        ('--namespace /nonexistent/folder shm load x --create', 3, 'there is no namespace folder', b'1'),
        ('--namespace /nonexistent/folder shm dump x', 3, 'there is no namespace folder'),
    )
    failures = []
    for line, wanted, error, *stdin in rows:
        try:
            namespace.run(*line.split(), stdin=stdin[0] if stdin else b'', status=wanted, error=error)
        except AssertionError as failure:
            failures.append(str(failure))
    equal(failures, [], '\n'.join(failures))
    equal(namespace.run('ls'), b'/r\n/s\n')
    equal(namespace.run('shm', 'dump', 's'), bytes(8))
    print(f'     {len(rows)} rows')


def test_load_and_dump(namespace):
    data = pattern(700001)
    name, back = (os.path.join(namespace.scratch, name) for name in ('file', 'back'))
    with open(name, 'wb') as file:
        file.write(data)
    namespace.run('shm', 'load', 's', name, '--create')
    equal([status(namespace)[key] for key in ('bytes', 'mode')], [len(data), '0600'])
    equal(namespace.run('shm', 'dump', '/s') == data, True)
    namespace.run('shm', 'dump', 's', '--offset', '1K', '-n', '300K', '-o', back)
    with open(back, 'rb') as file:
        equal(file.read() == data[1024:1024 + 300 * 1024], True)
    # One that is there: within, behind its end, and from a pipe; it never becomes shorter.
    namespace.run('shm', 'load', 's', '-', '--offset', '10', '--create', stdin=b'within')
    namespace.run('shm', 'load', 's', '--offset', '700010', '--grow', stdin=b'behind')
    data = data[:10] + b'within' + data[16:] + bytes(9) + b'behind'
    equal(namespace.run('shm', 'dump', 's') == data, True)
    namespace.run('shm', 'load', 's', '--offset', '700020', '--grow', stdin=b'')
    equal(status(namespace)['bytes'], 700020)
    equal(namespace.run('shm', 'dump', 's', '--offset', '700014', '--hex').decode(),
          '000aae6e  ' + '6e 64 00 00 00 00'.ljust(48) + '  |nd....|\n'
          '000aae74\n')
    # An empty one, which a region cannot be.
    namespace.run('shm', 'load', 'empty', '--create', stdin=b'')
    equal(namespace.run('shm', 'dump', 'empty'), b'')


def test_hole(namespace):
    """The memory of a hole is taken before the first byte is written."""
    namespace.run('create', 'shm', 's', '--size', '1M')
    equal(status(namespace)['memory_bytes'], 0)
    equal(namespace.run('shm', 'dump', 's') == bytes(1 << 20), True)
    namespace.run('shm', 'load', 's', '--offset', '512K', stdin=b'x')
    equal(status(namespace)['memory_bytes'] < 1 << 19, True)
    equal(namespace.run('shm', 'dump', 's', '--offset', '524287', '-n', '3'), b'\0x\0')


def test_size_of_a_few_bytes(namespace):
    """A number of bytes is said once."""
    for size, shown in (('49', '49 B'), ('2K', '2.0 KiB (2048 bytes)')):
        namespace.run('create', 'shm', 's', '--size', size)
        contains(namespace.run('stat', 's').decode(), f'size         {shown}\n')
        namespace.run('rm', 's')


def test_terminal(namespace):
    """A terminal gets the listing, unless the bytes are asked for."""
    from terminal_test import on_terminal
    namespace.run('shm', 'load', 's', '--create', stdin=b'\033[31mred')
    contains(on_terminal(namespace, 'shm', 'dump', 's', stdin=None),
             b'00000000  1b 5b 33 31 6d 72 65 64                           |.[31mred|\r\n00000008\r\n')
    equal(on_terminal(namespace, 'shm', 'dump', 's', '--raw', stdin=None), b'\033[31mred')


def test_cut_off(namespace):
    """Somebody makes it shorter: an error and no SIGBUS, and nothing is written that was not there."""
    namespace.run('create', 'shm', 's', '--size', '4M')
    dump = namespace.start('shm', 'dump', 's', stdin=None)
    # More than what a pipe holds is still to come when this much was read.
    first = dump.stdout.read(4096)
    os.truncate(file_of(namespace, 's'), 1 << 20)
    rest, error = dump.communicate(timeout=harness.WATCHDOG_S)
    equal(dump.returncode, 9, error)
    contains(error.decode(), "shm '/s': somebody has made it shorter meanwhile")
    contains(error.decode(), f'tenon: {len(first + rest)} of 4194304 bytes were written')
    equal(len(namespace.run('shm', 'dump', 's')), 1 << 20)


def test_cut_off_amid_a_load(namespace):
    """A load that is stopped in the midst finds it shorter when it goes on, and does not make it long again."""
    name = os.path.join(namespace.scratch, 'file')
    with open(name, 'wb') as file:
        file.write(b'x' * (32 << 20))
    begin = time.monotonic()
    while time.monotonic() - begin < harness.WATCHDOG_S / 2:
        namespace.run('create', 'shm', 's', '--size', '32M')
        path = file_of(namespace, 's')
        load = namespace.start('shm', 'load', 's', name, stdin=None)
        # To hit it in the midst; one that has not begun or has ended is tried again.
        while load.poll() is None:
            if os.stat(path).st_blocks:
                break
        load.send_signal(signal.SIGSTOP)
        os.truncate(path, 1 << 20)
        load.send_signal(signal.SIGCONT)
        _, error = load.communicate(timeout=harness.WATCHDOG_S)
        taken = os.stat(path).st_blocks * 512
        namespace.run('rm', 's')
        # It may have been writing just then, and a piece is there again.
        equal(taken <= (1 << 20) + (256 << 10), True, taken)
        if load.returncode == 9:
            contains(error.decode(), "shm '/s': somebody has made it shorter meanwhile")
            contains(error.decode(), 'of 33554432 bytes were written')
            return
        # It had not asked yet how long the object is, or it had ended.
        equal(load.returncode in (0, 8), True, error)
    raise harness.Skip('a load is too fast to be cut off')


def test_killed_loads(namespace):
    """Killed at any moment, a load leaves an object, or none, into which the next one goes."""
    name = os.path.join(namespace.scratch, 'file')
    data = pattern(8 << 20)
    with open(name, 'wb') as file:
        file.write(data)
    words = ('shm', 'load', 's', name, '--create', '--grow')
    for _, survivor in harness.kill_at_any_moment(namespace, 20, words, words):
        harness.finish(survivor)
        equal(namespace.run('shm', 'dump', 's') == data, True)
        namespace.run('rm', 's')
        equal(os.listdir(namespace.path), [])


def test_memory_is_full(namespace):
    """Nothing is half done: the object is as before, or not there."""
    script = ('mount -t tmpfs -o size=1m,mode=0700 tmpfs "$1" && '
              '{ yes | head -c 2M >"$2"; "$0" shm load new "$2" --create; echo $?; "$0" ls; '
              'echo before | "$0" shm load s --create; '
              '"$0" shm load s "$2" --grow; echo $?; cat "$2" | "$0" shm load s --grow; echo $?; '
              '"$0" shm dump s; "$0" create shm hole --size 2M; "$0" shm load hole "$2"; echo $?; '
              '"$0" shm dump hole | tr -d "\\0" | wc -c; }')
    try:
        probe = subprocess.run(['unshare', '-rm', 'mount', '-t', 'tmpfs', 'x', namespace.path],
                               capture_output=True, check=False)
    except FileNotFoundError:
        raise harness.Skip('no unshare') from None
    if probe.returncode:
        raise harness.Skip("no mount namespace of one's own here")
    done = subprocess.run(['unshare', '-rm', 'sh', '-c', script, namespace.command, namespace.path,
                           os.path.join(namespace.scratch, 'file')], env=namespace.environment,
                          capture_output=True, timeout=harness.WATCHDOG_S, check=False)
    equal(done.stdout.decode().splitlines(), ['5', '5', '5', 'before', '5', '0'], done)
    equal(done.stderr.count(b'the memory behind'), 4, done.stderr)


def test_file_size_limit(namespace):
    """A limit of the process is told as such, and is no signal."""
    name = os.path.join(namespace.scratch, 'file')
    with open(name, 'wb') as file:
        file.write(bytes(512 << 10))
    done = subprocess.run(['sh', '-c', 'ulimit -f 128; exec "$@"', 'sh', namespace.command, 'shm',
                           'load', 's', name, '--create'], env=namespace.environment,
                          capture_output=True, check=False)
    equal(done.returncode, 5, done)
    contains(done.stderr, b"look at 'ulimit -f'")
    equal(os.listdir(namespace.path), [])


def test_something_else_in_its_place(namespace):
    """A FIFO is refused and not waited for, a link not followed."""
    namespace.run('create', 'shm', 's')
    path = file_of(namespace, 's')
    os.unlink(path)
    os.mkfifo(path)
    for verb in ('dump', 'load'):
        namespace.run('shm', verb, 's', status=4, error="shm '/s': ")
    equal(stat.S_ISFIFO(os.stat(path).st_mode), True)
    os.unlink(path)
    os.symlink('/etc/passwd', path)
    for verb in ('dump', 'load'):
        namespace.run('shm', verb, 's', status=9, error="shm '/s': ")


def test_permission(namespace):
    if os.geteuid():
        raise harness.Skip('needs root, to become somebody else')
    nobody = {'user': 65534, 'group': 65534, 'extra_groups': []}
    if subprocess.run([namespace.command, 'version'], **nobody, capture_output=True,
                      check=False).returncode:
        raise harness.Skip('nobody cannot run the command where it lies')
    namespace.run('shm', 'load', 's', '--create', stdin=b'private')
    path = file_of(namespace, 's')
    os.chmod(namespace.path, 0o1777)
    namespace.run('shm', 'dump', 's', status=4, error='permission denied', **nobody)
    os.chmod(path, 0o644)
    equal(namespace.run('shm', 'dump', 's', **nobody), b'private')
    namespace.run('shm', 'load', 's', stdin=b'x', status=4, error='permission denied', **nobody)
    equal(namespace.run('shm', 'dump', 's'), b'private')


if __name__ == '__main__':
    sys.exit(harness.main())
