#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tenon work: what becomes of a message when its command succeeds, fails, is killed, or when the
worker itself is."""

import json
import os
import select
import signal
import sys

import harness
from harness import WAIT, contains, equal, finish


def make(namespace, *messages):
    namespace.run('create', 'queue', 'q')
    if messages:
        namespace.run('send', 'q', '-0', stdin='\0'.join(messages) + '\0')


def status(namespace, name='q'):
    return json.loads(namespace.run('stat', '--json', name))


def started(namespace, *words):
    """A worker whose command has said that it runs, by a line on standard output."""
    worker = namespace.start('work', 'q', *words, stdin=None)
    line = worker.stdout.readline()
    return worker, line


def test_argument(namespace):
    make(namespace, 'one', 'two words', '$(three)', "four'\"\n", '')
    output = namespace.run('work', 'q', '--exit-when-empty', '--', 'printf', '[%s][%s]', 'a{}b{}',
                           '{')
    equal(output, b'[aonebone][{][atwo wordsbtwo words][{][a$(three)b$(three)][{]'
                  b'[afour\'"\nbfour\'"\n][{][ab][{]')
    equal(status(namespace)['messages'], 0)


def test_standard_input(namespace):
    make(namespace)
    message = bytes(range(256)) * 32
    namespace.run('send', 'q', '--file', '-', stdin=message)
    equal(namespace.run('work', 'q', '--exit-when-empty', '--', 'cat'), message)


def test_options_of_the_command_are_its_own(namespace):
    make(namespace, 'x')
    equal(namespace.run('work', '--exit-when-empty', 'q', 'sh', '-c', 'printf %s "$1"', 'sh', '{}'),
          b'x')


def test_environment(namespace):
    make(namespace, 'x')
    script = 'echo $TENON_MESSAGE_SEQUENCE $TENON_MESSAGE_KEY $TENON_MESSAGE_DELIVERIES; ' \
             'test $TENON_MESSAGE_DELIVERIES = 1'
    output = namespace.run('work', 'q', '--exit-when-empty', '--', 'sh', '-c', script,
                           error='ended with status 1; put back')
    equal(output, b'0 0 0\n0 0 1\n')


def test_commands_run_side_by_side(namespace):
    """Each command waits for the other three: fewer than four at once would never end."""
    make(namespace, '1', '2', '3', '4')
    folder = os.path.join(namespace.scratch, 'meet')
    os.mkdir(folder)
    script = f'touch {folder}/$1; until test $(ls {folder} | wc -l) = 4; do :; done'
    namespace.run('work', 'q', '-j', '4', '--exit-when-empty', '--', 'sh', '-c', script, 'sh', '{}')


def test_failing_message_is_dropped_with_a_warning(namespace):
    make(namespace, 'bad', 'good')
    output = namespace.run('work', 'q', '--tries', '2', '--exit-when-empty', '--', 'sh', '-c',
                           'echo $1; test $1 = good', 'sh', '{}', status=10,
                           error='message 0: the command ended with status 1, delivery 2 of 2; '
                                 'dropped')
    equal(output, b'bad\nbad\ngood\n')
    equal(status(namespace)['messages'], 0)


def test_failing_message_goes_to_the_dead(namespace):
    namespace.run('create', 'queue', 'dead', '--order', 'typed')
    namespace.run('create', 'queue', 'q', '--order', 'typed')
    namespace.run('send', 'q', '--type', '42', '-m', 'bad')
    namespace.run('work', 'q', '--dead', 'dead', '--exit-when-empty', '--', 'sh', '-c',
                  'kill -KILL $$', status=10, error="killed by signal 9 (SIGKILL), delivery 3 of 3; "
                                                    "moved to '/dead'")
    message = json.loads(namespace.run('recv', 'dead', '--json'))
    equal((message['data'], message['key']), ('bad', 42))


def test_nothing_is_lost_when_the_dead_are_full(namespace):
    make(namespace, 'bad')
    namespace.run('create', 'queue', 'dead', '--capacity', '1')
    namespace.run('send', 'dead', '-m', 'occupied')
    namespace.run('work', 'q', '--tries', '1', '--dead', 'dead', '--', 'false', status=1,
                  error="put back, because it cannot be moved:\ntenon: queue '/dead': it is full; "
                        'receive from it')
    equal(namespace.run('peek', 'q'), b'bad\n')


def summary(output):
    return json.loads(output.splitlines()[-1])


def test_summary_for_programs(namespace):
    """The last line of the output, behind what the commands wrote."""
    make(namespace, 'good', 'bad', 'fine')
    namespace.run('create', 'queue', 'dead')
    words = ('--tries', '2', '--exit-when-empty', '--json', '--', 'sh', '-c',
             'echo says $1; test $1 != bad', 'sh', '{}')
    output = namespace.run('work', 'q', '--dead', 'dead', *words, status=10, error="moved to '/dead'")
    equal(output.splitlines()[:-1], [b'says good', b'says bad', b'says bad', b'says fine'])
    equal(summary(output), {'name': '/q', 'done': 2, 'done_bytes': 8, 'put_back': 1, 'given_up': 1,
                            'moved': 1, 'dropped': 0})
    namespace.run('send', 'q', '-m', 'bad')
    output = namespace.run('work', 'q', *words, status=10, error='; dropped')
    equal(summary(output), {'name': '/q', 'done': 0, 'done_bytes': 0, 'put_back': 1, 'given_up': 1,
                            'moved': 0, 'dropped': 1})


def script_that_cannot_start(namespace):
    """It is there and may be run, but what should interpret it is missing."""
    path = os.path.join(namespace.scratch, 'script')
    with open(path, 'w') as script:
        script.write('#!/nonexistent/interpreter\n')
    os.chmod(path, 0o700)
    return path


def test_summary_after_a_failure(namespace):
    make(namespace, 'x')
    output = namespace.run('work', 'q', '--json', '--', script_that_cannot_start(namespace),
                           status=127, error='cannot run')
    equal([summary(output)[key] for key in ('done', 'put_back')], [0, 1])
    worker, _ = started(namespace, '--json', '--', 'echo', 'done')
    worker.send_signal(signal.SIGINT)
    output, _ = finish(worker, status=-signal.SIGINT)
    equal(summary(output)['done'], 1)


def test_message_that_cannot_be_an_argument(namespace):
    make(namespace)
    namespace.run('send', 'q', '--file', '-', stdin=b'null\0within')
    namespace.run('work', 'q', '--exit-when-empty', '--', 'echo', '{}', status=10,
                  error='it has a null byte and cannot be an argument')


def test_command_that_does_not_exist(namespace):
    make(namespace, 'x')
    namespace.run('work', 'q', '--', '/nonexistent/command', status=127,
                  error="cannot run '/nonexistent/command'")
    namespace.run('work', 'q', '--', '/dev/null', status=126, error='Permission denied')
    equal(namespace.run('recv', 'q'), b'x\n')


def test_missing_command_uses_up_no_tries(namespace):
    """With a mistyped command each run counted as a delivery, and after three the message was
    dropped without a try."""
    make(namespace, 'x')
    for command, environment in (('nonexistent', {}), ('./nonexistent', {}), ('', {}),
                                 ('cat', {'PATH': '/nonexistent:/'})):
        namespace.run('work', 'q', '--tries', '1', '--', command, status=127,
                      error='no message was taken', environment=environment)
    namespace.run('work', 'q', '--tries', '1', '--', '/', status=126, error='no message was taken')
    equal(status(namespace)['redelivered'], 0)
    equal(namespace.run('work', 'q', '--tries', '1', '--exit-when-empty', '--', 'cat'), b'x')


def test_command_that_cannot_start_stops_the_work(namespace):
    """Said once; the other messages are not tried."""
    make(namespace, 'x', 'y', 'z')
    worker = namespace.start('work', 'q', '-j', '3', '--', script_that_cannot_start(namespace))
    _, error = finish(worker, status=127)
    equal(error.count('cannot run'), 1)
    contains(error, 'the message was put back')
    equal(status(namespace)['redelivered'], 1)
    equal(namespace.run('recv', 'q', '--all'), b'x\ny\nz\n')


def test_worker_is_killed(namespace):
    """The lease ends with the worker: the message goes to another one, and the command is told."""
    make(namespace, 'x')
    worker, line = started(namespace, '--', *WAIT)
    command = os.pidfd_open(int(line))
    worker.kill()
    worker.wait()
    output = namespace.run('work', 'q', '--exit-when-empty', '--', 'cat')
    equal(output, b'x')
    # The command got SIGTERM from the kernel; its end makes the descriptor readable.
    equal(bool(select.select([command], [], [], harness.WATCHDOG_S)[0]), True)
    os.close(command)
    equal(status(namespace)['redelivered'], 1)


def test_command_is_killed(namespace):
    make(namespace, 'x')
    worker, line = started(namespace, '--exit-when-empty', '--tries', '2', '--', 'sh', '-c',
                           'echo $$; test $TENON_MESSAGE_DELIVERIES = 1 || exec sleep 1000')
    os.kill(int(line), signal.SIGKILL)
    _, error = finish(worker)
    contains(error, 'killed by signal 9 (SIGKILL); put back')


def test_first_signal_lets_the_command_finish(namespace):
    make(namespace, 'x', 'y')
    fifo = os.path.join(namespace.scratch, 'go')
    os.mkfifo(fifo)
    worker, _ = started(namespace, '--', 'sh', '-c', f'echo started; read word < {fifo}')
    worker.terminate()
    with open(fifo, 'w') as go:
        go.write('go\n')
    finish(worker, status=-signal.SIGTERM)
    equal(namespace.run('recv', 'q', '--all'), b'y\n')


def test_second_signal_puts_the_message_back(namespace):
    make(namespace, 'x')
    worker, _ = started(namespace, '--tries', '1', '--', *WAIT)
    # Two kinds, because one that is pending already is not counted twice.
    worker.send_signal(signal.SIGINT)
    worker.send_signal(signal.SIGTERM)
    _, error = finish(worker, status=-signal.SIGINT)
    contains(error, 'killed by signal 15 (SIGTERM); put back')
    equal(namespace.run('recv', 'q', '--all'), b'x\n')


def test_third_signal_kills_what_ignores_the_second(namespace):
    make(namespace, 'x')
    worker, _ = started(namespace, '--', 'sh', '-c',
                        "trap '' TERM; echo started; exec sleep 100")
    # Of several that are pending, the lowest is seen first.
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        worker.send_signal(number)
    _, error = finish(worker, status=-signal.SIGHUP)
    contains(error, 'killed by signal 9 (SIGKILL); put back')
    equal(namespace.run('recv', 'q', '--all'), b'x\n')


def test_signals_of_the_command(namespace):
    """What this command itself ignores, the one it starts does not."""
    make(namespace, 'x')
    output = namespace.run('work', 'q', '--exit-when-empty', '--', 'grep', '-E', 'Sig(Blk|Ign)',
                           '/proc/self/status')
    ignored = 0
    for line in output.splitlines():
        ignored |= int(line.split()[1], 16)
    equal([number.name for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGTERM)
           if ignored & 1 << number - 1], [])


def test_signal_while_idle(namespace):
    make(namespace, 'x')
    worker, _ = started(namespace, '--', 'echo', 'done')
    worker.send_signal(signal.SIGINT)
    finish(worker, status=-signal.SIGINT)


def test_last_of_several_waits_for_the_others(namespace):
    """--exit-when-empty does not end while somebody else may still put a message back."""
    make(namespace, 'x')
    holder, line = started(namespace, '--', *WAIT)
    waiter = namespace.start('work', 'q', '--exit-when-empty', '--', 'cat')
    harness.until(namespace, 'queue', 'q', lambda seen: waiter.pid in
                  [process['pid'] for process in seen['processes']])
    # First told to end: a holder whose command dies before that takes the message again.
    holder.terminate()
    os.kill(int(line), signal.SIGKILL)
    output, _ = finish(waiter)
    equal(output, b'x')
    _, error = finish(holder, status=-signal.SIGTERM)
    contains(error, 'put back')


if __name__ == '__main__':
    sys.exit(harness.main())
