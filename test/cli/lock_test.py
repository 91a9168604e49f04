#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tenon lock: what becomes of the lock and of the command when it ends, fails, is killed, or when
'tenon lock' itself is."""

import fcntl
import os
import signal
import subprocess
import sys
import termios

import harness
from harness import ALONE, COUNTER, WAIT, contains, equal, finish, has_ended, watched

WARNING = 'who held it before died in the middle'

def status(namespace):
    return harness.status(namespace, 'lock', 'l')


def started(namespace, *words, **options):
    """A holder whose command has said that it runs, by a line on standard output."""
    holder = namespace.start('lock', 'l', *words, **{'stdin': None, **options})
    return holder, holder.stdout.readline()


def until(namespace, condition):
    return harness.until(namespace, 'lock', 'l', condition)


def test_status_of_the_command(namespace):
    """The lock is made, held while the command runs, and free afterwards."""
    for number in (0, 1, 7, 255):
        namespace.run('lock', 'l', '--', 'sh', '-c', f'exit {number}', status=number)
    seen = status(namespace)
    equal([seen[key] for key in ('owner_pid', 'state', 'acquired', 'mode', 'recursive')],
          [0, 'sound', 4, '0600', False])


def test_status_of_a_killed_command(namespace):
    for number in (signal.SIGTERM, signal.SIGKILL):
        namespace.run('lock', str(number), 'sh', '-c', f'kill -{int(number)} $$',
                      status=128 + number)


def test_streams_and_arguments_are_the_commands(namespace):
    output = namespace.run('lock', 'l', 'sh', '-c', 'cat; printf "%s " "$@"', 'sh', '-n', '--', '{}',
                           stdin='input ')
    equal(output, b'input -n -- {} ')


def test_command_that_cannot_start(namespace):
    """It is there and may be run, but what should interpret it is missing."""
    path = os.path.join(namespace.scratch, 'script')
    with open(path, 'w') as script:
        script.write('#!/nonexistent/interpreter\n')
    os.chmod(path, 0o700)
    namespace.run('lock', 'l', path, status=127, error='cannot run')
    equal([status(namespace)[key] for key in ('owner_pid', 'state')], [0, 'sound'])


def test_one_at_a_time(namespace):
    """Each adds 1 to what it has read: without the lock some would be lost."""
    path = os.path.join(namespace.scratch, 'sum')
    with open(path, 'w') as file:
        file.write('0\n')
    script = ('i=0; while [ $i -lt 20 ]; do i=$((i + 1)); "$0" lock l -- '
              f'sh -c \'read n < {path}; echo $((n + 1)) > {path}\' || exit; done')
    children = [subprocess.Popen(['sh', '-c', script, namespace.command],
                                 env=namespace.environment) for _ in range(4)]
    namespace.children += children
    for child in children:
        equal(child.wait(harness.WATCHDOG_S), 0)
    with open(path) as file:
        equal(file.read(), '80\n')
    equal(status(namespace)['acquired'], 80)


def test_conflict(namespace):
    holder, line = started(namespace, *WAIT)
    owner = status(namespace)['owner_pid']
    namespace.run('lock', '-n', 'l', 'true', status=1,
                  error=f"lock '/l': it is not free: process {owner} holds it")
    namespace.run('lock', '--nonblock', '-E', '44', 'l', 'true', status=44, error='it is not free')
    namespace.run('lock', '-w', '0.01', 'l', 'true', status=1, error='it was not free within 10 ms')
    # A status of 0 does not let the command run.
    namespace.run('lock', '--timeout', '10ms', '--conflict-exit-code', '0', 'l', 'false',
                  error='it was not free within')
    namespace.run('lock', '-w', '0', 'l', 'true', status=1, error='it is not free')
    equal(namespace.run('lock', '-q', '-n', '-E', '0', 'l', 'echo', 'ran'), b'')
    os.kill(int(line), signal.SIGTERM)
    finish(holder, status=128 + signal.SIGTERM)


def test_waiter_gets_it_when_the_command_ends(namespace):
    fifo = os.path.join(namespace.scratch, 'go')
    os.mkfifo(fifo)
    holder, _ = started(namespace, 'sh', '-c', f'echo started; read word < {fifo}')
    waiter = namespace.start('lock', 'l', '-w', '50', 'echo', 'got')
    until(namespace, lambda seen: seen['waiting'] == 1)
    with open(fifo, 'w') as go:
        go.write('go\n')
    equal(finish(waiter), (b'got\n', ''))
    finish(holder)


def test_next_one_is_warned_of_a_killed_command(namespace):
    """Until a command has succeeded."""
    namespace.run('lock', 'l', 'sh', '-c', 'kill -9 $$', status=137)
    equal(status(namespace)['state'], 'owner-died')
    equal(namespace.run('lock', '--if-dead', 'fail', 'l', 'echo', 'ran', status=6,
                        error="'tenon lock /l -- true' says that it is sound"), b'')
    namespace.run('lock', 'l', 'false', status=1, error=WARNING)
    equal(namespace.run('lock', 'l', 'echo', 'ran', error=WARNING), b'ran\n')
    equal(status(namespace)['state'], 'sound')
    equal(namespace.run('lock', '--if-dead', 'fail', 'l', 'echo', 'ran'), b'ran\n')


def call_library(namespace, flags, options, calls):
    """Opens the lock in another process, and makes these calls of the library."""
    script = f'''
import ctypes, sys
tenon, lock = ctypes.CDLL(sys.argv[1]), ctypes.c_void_p()
options = (ctypes.c_uint32 * 4)(*{options})
sys.exit(tenon.tenon_lock_open(None, b"l", {flags}, options, ctypes.byref(lock)) or {calls})'''
    library = os.path.join(os.path.dirname(namespace.command), 'libtenon.so')
    done = subprocess.run([sys.executable, '-c', script, library], env=namespace.environment,
                          capture_output=True, check=False)
    if done.returncode:
        raise harness.Skip('the library cannot be loaded into python')


def test_lost(namespace):
    """What a program has given up the command refuses, and says how to go on."""
    namespace.run('create', 'lock', 'l')
    call_library(namespace, 0, (16, 0, 0, 0),
                 'tenon.tenon_lock_try(lock) or tenon.tenon_lock_lost(lock)')
    for options in ((), ('-n',), ('--if-dead', 'run')):
        namespace.run('lock', *options, 'l', 'true', status=6,
                      error="remove the lock with 'tenon rm --kind lock /l'")
    contains(namespace.run('doctor', status=1).decode(), 'it was given up')
    equal(status(namespace)['state'], 'lost')
    namespace.run('rm', '--kind', 'lock', '/l')
    namespace.run('lock', 'l', 'true')


def test_tenon_lock_is_killed(namespace):
    """Who waits gets it when the command is dead, and not before, whatever the command ignores."""
    holder, line = started(namespace, 'sh', '-c', "trap '' TERM; echo $$; exec sleep 1000")
    waiter = namespace.start('lock', 'l', 'sh', '-c', f'kill -0 {int(line)}')
    with watched(line) as command:
        until(namespace, lambda seen: seen['waiting'] == 1)
        holder.kill()
        # The command is dead: to the waiter's there is no such process.
        contains(finish(waiter, status=1)[1], WARNING)
        equal(has_ended(command), True)
    # The exit status of the waiter's command was 1.
    equal(status(namespace)['state'], 'owner-died')


def test_holder_is_killed(namespace):
    """The process between, whose number 'tenon ls' shows."""
    holder, line = started(namespace, *WAIT)
    waiter = namespace.start('lock', 'l', 'echo', 'got')
    seen = until(namespace, lambda seen: seen['waiting'] == 1)
    with watched(line) as command:
        os.kill(seen['owner_pid'], signal.SIGKILL)
        output, error = finish(waiter)
        equal(has_ended(command), True)
    equal(output, b'got\n')
    contains(error, WARNING)
    finish(holder, status=137)


def test_tenon_lock_is_killed_at_any_moment(namespace):
    """With somebody who waits: he gets the lock, and both commands never run at once."""
    path = os.path.join(namespace.scratch, 'alone')
    words = ('lock', 'l', sys.executable, '-ISc', ALONE)
    for line, waiter in harness.kill_at_any_moment(namespace, 60, (*words, 'wait', path),
                                                   (*words, 'end', path)):
        finish(waiter)
        if line and os.path.exists(f'/proc/{int(line)}/exe'):
            raise AssertionError('the command still runs')
    # The last one to have it may have been the one that was killed.
    equal([status(namespace)[key] for key in ('owner_pid', 'waiting', 'participants')], [0, 0, 1])


def test_waiting_one_is_killed(namespace):
    """Nothing of it goes on waiting."""
    holder, line = started(namespace, *WAIT)
    for number, options in ((signal.SIGKILL, {}), (signal.SIGTERM, {}), (signal.SIGINT, {}),
                            (signal.SIGKILL, {'preexec_fn': lambda: signal.signal(
                                signal.SIGTERM, signal.SIG_IGN)})):
        waiter = namespace.start('lock', 'l', 'echo', 'ran', **options)
        until(namespace, lambda seen: seen['waiting'] == 1)
        waiter.send_signal(number)
        equal(finish(waiter, status=-number)[0], b'')
        until(namespace, lambda seen: seen['waiting'] == 0)
    os.kill(int(line), signal.SIGKILL)
    finish(holder, status=137)


def shared(namespace, *options):
    """Somebody who shares the lock, and the process of the command."""
    holder = namespace.start('lock', '--shared', *options, 'l', *WAIT, stdin=None)
    return holder, int(holder.stdout.readline())


def end(holder, command):
    os.kill(command, signal.SIGTERM)
    finish(holder, status=128 + signal.SIGTERM)


def test_shared(namespace):
    """Many at once, and nobody who holds it meanwhile; nobody shares it while somebody holds it."""
    readers = [shared(namespace) for _ in range(3)]
    equal([status(namespace)[key] for key in ('shared', 'owner_pid', 'depth')], [3, 0, 0])
    contains(namespace.run('stat', 'l'), b'shared       3 times\n')
    sharers = [harness.parent_of(command) for _, command in readers]
    seen = status(namespace)
    equal(sorted(seen['processes'], key=lambda user: user['pid']),
          [{'pid': pid, 'depth': 0, 'shared': 1, 'waiting': 0, 'waiting_shared': 0}
           for pid in sorted(sharers)])
    for pid in sharers:
        contains(namespace.run('stat', 'l').decode(), f'    process {pid:<8} shares it\n')
    pids = ','.join(str(user['pid']) for user in seen['processes'])
    contains(namespace.run('ls', '-l').decode(), f' shared:{pids} ')
    readers.append(shared(namespace))
    contains(namespace.run('ls', '-l').decode(), f' shared:{pids},+1 ')
    end(*readers.pop())
    contains(namespace.run('doctor'), b'lock /l: sound, shared;')
    namespace.run('lock', '-n', 'l', 'true', status=1,
                  error="lock '/l': it is not free: it is shared 3 times")
    equal(namespace.run('lock', '-n', '-s', 'l', 'echo', 'got'), b'got\n')
    # The last of these counts, as with flock(1).
    namespace.run('lock', '-n', '-s', '-x', '-E', '9', '-q', 'l', 'true', status=9)
    for reader in readers:
        end(*reader)
    holder, line = started(namespace, '--exclusive', *WAIT)
    namespace.run('lock', '-n', '-s', 'l', 'true', status=1,
                  error=f'it is not free: process {status(namespace)["owner_pid"]} holds it')
    namespace.run('lock', '-w', '10ms', '-s', 'l', 'true', status=1, error='not free within 10 ms')
    holder.send_signal(signal.SIGKILL)
    holder.communicate(timeout=harness.WATCHDOG_S)
    namespace.run('lock', '-x', 'l', 'true', error=WARNING)


def test_users(namespace):
    """Who holds it, and who waits; not who has died."""
    holder, _ = started(namespace, *WAIT)
    waiter = namespace.start('lock', 'l', *WAIT, stdin=None)
    seen = until(namespace, lambda seen: len(seen['processes']) == 2)
    owner = seen['owner_pid']
    equal([(user['depth'], user['waiting']) for user in seen['processes'] if user['pid'] == owner],
          [(1, 0)])
    ((depth, waiting, pid),) = [(user['depth'], user['waiting'], user['pid'])
                                for user in seen['processes'] if user['pid'] != owner]
    equal((depth, waiting), (0, 1))
    text = namespace.run('stat', 'l').decode()
    contains(text, f'    process {owner:<8} holds it\n')
    contains(text, f'    process {pid:<8} waits to hold it\n')
    waiter.kill()
    waiter.communicate(timeout=harness.WATCHDOG_S)
    until(namespace, lambda seen: [user['pid'] for user in seen['processes']] == [owner])
    holder.send_signal(signal.SIGKILL)
    holder.communicate(timeout=harness.WATCHDOG_S)
    until(namespace, lambda seen: not seen['processes'])


def test_shared_with_one_who_waits(namespace):
    """Who waits to hold it keeps others from sharing it, and is seen to wait, not to hold."""
    reader, command = shared(namespace)
    waiter = namespace.start('lock', 'l', 'echo', 'got')
    seen = until(namespace, lambda seen: seen['owner_pid'])
    equal([seen[key] for key in ('shared', 'depth')], [1, 0])
    namespace.run('lock', '-n', '-s', 'l', 'true', status=1,
                  error=f"it is not free: process {seen['owner_pid']} waits for it")
    contains(namespace.run('stat', 'l').decode(),
             f"by nobody; process {seen['owner_pid']} waits for those who share it")
    contains(namespace.run('ls', '-l').decode(), f' shared:{harness.parent_of(command)} ')
    late = namespace.start('lock', '--shared', 'l', 'true')
    until(namespace, lambda seen: any(user['waiting_shared'] for user in seen['processes']))
    text = namespace.run('stat', 'l').decode()
    contains(text, f"    process {seen['owner_pid']:<8} waits to hold it\n")
    contains(text, ' waits to share it\n')
    late.kill()
    late.communicate(timeout=harness.WATCHDOG_S)
    waiter.kill()
    waiter.communicate(timeout=harness.WATCHDOG_S)
    until(namespace, lambda seen: not seen['owner_pid'])
    # Whether that one counts as a holder that died is the library's to say.
    equal(finish(namespace.start('lock', '-n', '-s', 'l', 'echo', 'got'))[0], b'got\n')
    end(reader, command)


def test_death_of_one_who_shares(namespace):
    """Whoever of its processes it is: it is over at once, and nobody is told."""
    for victim in ('front', 'holder', 'command'):
        reader, command = shared(namespace)
        waiter = namespace.start('lock', 'l', 'echo', 'got')
        until(namespace, lambda seen: seen['owner_pid'])
        holder = harness.parent_of(command)
        with watched(command) as ended:
            os.kill({'front': reader.pid, 'holder': holder, 'command': command}[victim],
                    signal.SIGKILL)
            equal(finish(waiter), (b'got\n', ''), victim)
            equal(has_ended(ended), True)
        reader.communicate(timeout=harness.WATCHDOG_S)
        equal([status(namespace)[key] for key in ('state', 'shared')], ['sound', 0], victim)


def test_shared_is_warned(namespace):
    """It cannot mend anything; it is told who can."""
    namespace.run('lock', 'l', 'sh', '-c', 'kill -9 $$', status=137)
    equal(namespace.run('lock', '-s', '--if-dead', 'fail', 'l', 'echo', 'ran', status=6,
                        error="'tenon lock /l -- true' says that it is sound"), b'')
    for _ in range(2):
        equal(namespace.run('lock', '-s', 'l', 'echo', 'ran', error=WARNING), b'ran\n')
    namespace.run('lock', '-s', 'l', 'true', error="'tenon lock /l -- true' says that it is sound")
    namespace.run('lock', 'l', '--', 'true', error=WARNING)
    namespace.run('lock', '-s', 'l', 'true')
    equal([status(namespace)[key] for key in ('state', 'shared')], ['sound', 0])


def test_shared_is_killed_at_any_moment(namespace):
    """With somebody who waits to hold it: he gets it, and is not warned."""
    for _, waiter in harness.kill_at_any_moment(namespace, 40, ('lock', '-s', 'l', *WAIT),
                                                ('lock', 'l', 'true')):
        equal(finish(waiter), (b'', ''))
    until(namespace, lambda seen: [seen[key] for key in (
        'owner_pid', 'waiting', 'shared', 'participants')] == [0, 0, 0, 1])


def test_signals_are_passed_on(namespace):
    """The command decides what becomes of it, and of the lock."""
    holder, _ = started(namespace, *COUNTER)
    for number in (signal.SIGUSR1, signal.SIGHUP, signal.SIGINT):
        holder.send_signal(number)
        contains(holder.stdout.readline(), number.name.encode())
    holder.terminate()
    equal(finish(holder, status=3)[0], b'SIGUSR1 SIGHUP SIGINT SIGTERM\n')
    equal(status(namespace)['state'], 'sound')


def on_terminal(namespace, *words):
    """Starts the command as the leader of a session on a terminal; gives that and its other end."""
    master, slave = os.openpty()

    def lead():
        os.setsid()
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)

    holder = namespace.start('lock', 'l', *words, stdin=slave, preexec_fn=lead)
    os.close(slave)
    return holder, master


def test_interrupt_on_a_terminal(namespace):
    """It comes to the command once, and the lock stays held until that has ended."""
    holder, master = on_terminal(namespace, *COUNTER)
    equal(holder.stdout.readline(), b'ready\n')
    seen = status(namespace)
    # Those who could pass it on do so after the command has it, or else it were one with theirs.
    for pid in (holder.pid, seen['owner_pid']):
        os.kill(pid, signal.SIGSTOP)
    os.write(master, b'\x03')
    equal(holder.stdout.readline(), b'SIGINT\n')
    for pid in (holder.pid, seen['owner_pid']):
        os.kill(pid, signal.SIGCONT)
    equal(status(namespace)['depth'], 1)
    holder.terminate()
    equal(finish(holder, status=3)[0], b'SIGINT SIGTERM\n')
    os.close(master)


def test_terminal_hangs_up(namespace):
    """The kernel tells the leader of the session alone."""
    holder, master = on_terminal(namespace, *WAIT)
    line = holder.stdout.readline()
    with watched(line) as command:
        os.close(master)
        equal(has_ended(command), True)
    finish(holder, status=128 + signal.SIGHUP)


def test_signals_of_the_command(namespace):
    """What this command itself ignores or blocks, the one it starts does not."""
    output = namespace.run('lock', 'l', 'grep', '-E', 'Sig(Blk|Ign)', '/proc/self/status')
    held = 0
    for line in output.splitlines():
        held |= int(line.split()[1], 16)
    equal([number.name for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGTERM, signal.SIGINT,
                                      signal.SIGCHLD) if held & 1 << number - 1], [])


def test_no_place_left(namespace):
    namespace.run('create', 'lock', 'l', '--participants', '1')
    holder, line = started(namespace, *WAIT)
    namespace.run('lock', 'l', 'true', status=5, error='as many processes are attached')
    os.kill(int(line), signal.SIGTERM)
    finish(holder, status=128 + signal.SIGTERM)


def test_command_that_waits_for_itself(namespace):
    """It is told so, where it would hang without a word; and who only waits for another is not."""
    for options in ([], ['--shared']):
        script = f'echo $PPID; exec {namespace.command} lock {" ".join(options)} -w 100ms l true'
        done = subprocess.run([namespace.command, 'lock', 'l', 'sh', '-c', script], check=False,
                              capture_output=True, text=True, timeout=harness.WATCHDOG_S,
                              env=namespace.environment)
        holder = done.stdout.strip()
        equal([done.returncode, done.stderr.splitlines()], [1, [
            f"tenon: lock '/l': process {holder} has it, and waits for this command to end: this "
            'is to wait for oneself',
            f"tenon: lock '/l': it was not free within 100 ms: process {holder} holds it"]])
    quiet = namespace.start('lock', 'l', namespace.command, 'lock', '-q', '-w', '10ms', 'l', 'true')
    equal(finish(quiet, status=1), (b'', ''))
    holder = namespace.start('lock', 'l', *WAIT, stdin=None)
    holder.stdout.readline()
    error = finish(namespace.start('lock', '-w', '10ms', 'l', 'true'), status=1)[1]
    equal([len(error.splitlines()), 'it was not free within 10 ms' in error], [1, True], error)
    holder.kill()
    holder.communicate(timeout=harness.WATCHDOG_S)


if __name__ == '__main__':
    sys.exit(harness.main())
