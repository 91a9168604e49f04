#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tenon send, recv and peek: framing both ways, selection, waiting, and pipes that close."""

import base64
import json
import os
import signal
import subprocess
import sys

import harness
from harness import contains, equal, finish

BINARY = bytes(range(256)) * 3
AWKWARD = [b'', b'plain', b'two\nlines', b'null\0within', BINARY, 'gr\u00fc\u00dfe'.encode(), b'\n',
           b'\xff\xfe']


def prefixed(messages):
    return b''.join(len(message).to_bytes(4, 'big') + message for message in messages)


def test_lines(namespace):
    namespace.run('create', 'queue', 'q')
    namespace.run('send', '/q', stdin=b'one\n\nthree\nunended')
    equal(namespace.run('recv', 'q'), b'one\n')
    equal(namespace.run('recv', 'q', '--count', '2'), b'\nthree\n')
    equal(namespace.run('recv', 'q', '--all'), b'unended\n')


def test_null_separated(namespace):
    namespace.run('create', 'queue', 'q')
    namespace.run('send', 'q', '-0', stdin=b'one\0two\nlines\0\0last')
    equal(namespace.run('peek', 'q', '--all', '--null'), b'one\0two\nlines\0\0last\0')
    equal(namespace.run('recv', 'q', '--all', '-0'), b'one\0two\nlines\0\0last\0')


def test_length_prefixed_is_binary_safe(namespace):
    namespace.run('create', 'queue', 'q')
    stream = prefixed(AWKWARD)
    namespace.run('send', 'q', '--length-prefixed', stdin=stream)
    equal(namespace.run('peek', 'q', '--all', '--length-prefixed'), stream)
    equal(namespace.run('recv', 'q', '--all', '--length-prefixed'), stream)


def test_raw(namespace):
    namespace.run('create', 'queue', 'q')
    namespace.run('send', 'q', '--length-prefixed', stdin=prefixed(AWKWARD))
    equal(namespace.run('recv', 'q', '--all', '--raw'), b''.join(AWKWARD))


def test_json(namespace):
    namespace.run('create', 'queue', 'q', '--order', 'typed')
    namespace.run('send', 'q', '--length-prefixed', '--type', '18446744073709551615',
                  stdin=prefixed(AWKWARD))
    peeked, objects = ([json.loads(line) for line in
                        namespace.run(command, 'q', '--all', '--json').splitlines()]
                       for command in ('peek', 'recv'))
    for one in peeked + objects:
        del one['sender_pid']
    equal(peeked, objects)
    equal([base64.b64decode(o['data_base64']) if 'data_base64' in o else o['data'].encode()
           for o in objects], AWKWARD)
    equal([o['sequence'] for o in objects], list(range(len(AWKWARD))))
    equal({o['key'] for o in objects}, {2 ** 64 - 1})
    equal([o['bytes'] for o in objects], [len(message) for message in AWKWARD])


def test_sender(namespace):
    """The sender's process is told, or 0 when nobody knows it any more; never another one's."""
    namespace.run('create', 'queue', 'q')
    sender = namespace.start('send', 'q')
    sender.stdin.write(b'x\n')
    sender.stdin.flush()
    message = json.loads(namespace.run('recv', 'q', '--json'))
    equal(message['sender_pid'], sender.pid)
    finish(sender, stdin=b'y\n')
    message = json.loads(namespace.run('recv', 'q', '--json'))
    contains((0, sender.pid), message['sender_pid'])


def test_files(namespace):
    names = []
    for number, message in enumerate(AWKWARD):
        names.append(os.path.join(namespace.scratch, f'in{number}'))
        with open(names[-1], 'wb') as file:
            file.write(message)
    namespace.run('create', 'queue', 'q')
    namespace.run('send', 'q', *[word for name in names for word in ('--file', name)])
    namespace.run('send', 'q', '--file', '-', stdin=b'whole\nstandard input\n')
    folder = os.path.join(namespace.scratch, 'out')
    namespace.run('recv', 'q', '--all', '--output-dir', folder)
    written = []
    for name in sorted(os.listdir(folder)):
        with open(os.path.join(folder, name), 'rb') as file:
            written.append(file.read())
    equal(written, AWKWARD + [b'whole\nstandard input\n'])
    equal(sorted(os.listdir(folder))[0], '0' * 20)


def test_several_messages_on_the_command_line(namespace):
    """The last one alone was sent."""
    namespace.run('create', 'queue', 'q')
    namespace.run('send', 'q', '-m', 'one', '--message', 'two', '-m', '')
    equal(namespace.run('recv', 'q', '--all'), b'one\ntwo\n\n')


def test_any_number_of_files(namespace):
    namespace.run('create', 'queue', 'q')
    name = os.path.join(namespace.scratch, 'file')
    with open(name, 'wb') as file:
        file.write(b'x')
    namespace.run('send', 'q', *['-f', name] * 1000)
    equal(namespace.run('recv', 'q', '--all', '--raw'), b'x' * 1000)
    namespace.run('send', 'q', stdin='x\n' * 1024)
    equal(namespace.run('recv', 'q', '--count', '1K', '--raw'), b'x' * 1024)
    namespace.run('peek', 'q', '--position', '1K', status=1, error='at position 1024')


def test_many_lines_keep_their_order(namespace):
    """More than any batch, any buffer and the queue itself hold at once."""
    namespace.run('create', 'queue', 'q', '--capacity', '700')
    lines = b''.join(b'%d %s\n' % (n, b'x' * (n % 97)) for n in range(50000))
    name = os.path.join(namespace.scratch, 'lines')
    with open(name, 'wb') as file:
        file.write(lines)
    with open(name, 'rb') as file:
        sender = namespace.start('send', 'q', stdin=file)
    receiver = namespace.start('recv', 'q', '--count', '50000')
    output, _ = finish(receiver)
    finish(sender)
    equal(output == lines, True, 'lines differ')


def test_long_messages(namespace):
    """Both sides' buffers have to grow."""
    namespace.run('create', 'queue', 'q', '--message-size', '3M', '--capacity', '8')
    messages = [b'a' * 3000000, b'b', b'c' * 3145728, b'']
    namespace.run('send', 'q', stdin=b'\n'.join(messages) + b'\n')
    equal(namespace.run('peek', 'q', '--position', '2', '--raw') == messages[2], True)
    received = namespace.run('recv', 'q', '--all')
    equal(received == b'\n'.join(messages) + b'\n', True, 'messages differ')


def test_a_line_is_sent_at_once(namespace):
    """A person's line must not wait for a batch to fill: each is received before the next is
    typed."""
    namespace.run('create', 'queue', 'q')
    sender = namespace.start('send', 'q')
    receiver = namespace.start('recv', 'q', '--follow')
    for number in range(20):
        sender.stdin.write(b'line %d\n' % number)
        sender.stdin.flush()
        equal(receiver.stdout.readline(), b'line %d\n' % number)
    finish(sender, stdin=b'')


def test_what_was_read_before_an_error_is_sent(namespace):
    namespace.run('create', 'queue', 'q', '--message-size', '8')
    namespace.run('send', 'q', stdin=b'one\ntwo\nmuch too long\nfour\n', status=8,
                  error='message 3 of standard input')
    equal(namespace.run('recv', 'q', '--all'), b'one\ntwo\n')


def test_priority(namespace):
    namespace.run('create', 'queue', 'q', '--order', 'priority')
    for priority, text in ((1, 'low'), (32767, 'high'), (5, 'first'), (5, 'second')):
        namespace.run('send', 'q', '--priority', str(priority), '--message', text)
    equal(namespace.run('recv', 'q', '--all'), b'high\nfirst\nsecond\nlow\n')


def test_types(namespace):
    namespace.run('create', 'queue', 'q', '--order', 'typed')
    for key, text in ((3, 'c1'), (1, 'a'), (2, 'b'), (3, 'c2'), (7, 'z')):
        namespace.run('send', 'q', '--type', str(key), '-m', text)
    equal(namespace.run('peek', 'q', '--type', '3', '--all'), b'c1\nc2\n')
    equal(namespace.run('peek', 'q', '--type', '3', '--position', '1'), b'c2\n')
    equal(namespace.run('peek', 'q', '--type', '6', '--lowest'), b'a\n')
    equal(namespace.run('peek', 'q', '--type', '3', '--except', '--all'), b'a\nb\nz\n')
    equal(namespace.run('recv', 'q', '--type', '3'), b'c1\n')
    equal(namespace.run('recv', 'q', '--type', '2', '--lowest'), b'a\n')
    equal(namespace.run('recv', 'q', '--type', '3', '--except', '--all'), b'b\nz\n')
    equal(namespace.run('recv', 'q'), b'c2\n')


def test_receipt(namespace):
    namespace.run('create', 'queue', 'q')
    sender = namespace.start('send', 'q', '--receipt', '-m', 'x')
    receiver = namespace.start('recv', 'q')
    finish(receiver)
    output, _ = finish(sender)
    equal(int(output), receiver.pid)
    namespace.run('send', 'q', '--receipt', '--timeout', '20ms', '-m', 'x', status=1,
                  error='nobody received it within')


def test_receipt_json(namespace):
    namespace.run('create', 'queue', 'q')
    sender = namespace.start('send', 'q', '--receipt', '--json', '-m', 'one', '-m', 'second')
    pids = []
    for _ in range(2):
        receiver = namespace.start('recv', 'q')
        finish(receiver)
        pids.append(receiver.pid)
    output, _ = finish(sender)
    equal([json.loads(line) for line in output.splitlines()],
          [{'message': 1, 'bytes': 3, 'received': True, 'receiver_pid': pids[0]},
           {'message': 2, 'bytes': 6, 'received': True, 'receiver_pid': pids[1]}])


def test_receipt_json_of_what_nobody_received(namespace):
    namespace.run('create', 'queue', 'q')
    output = namespace.run('send', 'q', '--receipt', '--json', '--timeout', '20ms', '-m', 'x',
                           status=1, error='nobody received it within')
    equal(json.loads(output), {'message': 1, 'bytes': 1, 'received': False, 'error': 'timed out'})
    namespace.run('create', 'queue', 'drop', '--capacity', '1', '--full', 'drop-oldest')
    sender = namespace.start('send', 'drop', '--receipt', '--json', '-m', 'x')
    while not json.loads(namespace.run('stat', '--json', 'drop'))['messages']:
        pass
    namespace.run('send', 'drop', '-m', 'another')
    output, error = finish(sender, status=1)
    equal(json.loads(output), {'message': 1, 'bytes': 1, 'received': False, 'error': 'dropped'})
    contains(error, 'dropped before anybody received it')


def test_create_on_the_way(namespace):
    namespace.run('send', 'q', '--create', '-m', 'x')
    namespace.run('send', 'q', '--create', '-m', 'y')
    equal(namespace.run('recv', 'q', '--all'), b'x\ny\n')


def test_quiet(namespace):
    namespace.run('create', 'queue', 'q')
    for words in (('recv', '--no-wait'), ('recv', '--all'), ('peek',)):
        command, *options = words
        done = namespace.start(command, '-q', *options, 'q')
        equal(finish(done, status=1), (b'', ''))


def test_follow_ends_after_silence(namespace):
    namespace.run('create', 'queue', 'q')
    namespace.run('send', 'q', stdin='a\nb\n')
    equal(namespace.run('recv', 'q', '--follow', '--timeout', '10ms'), b'a\nb\n')


def test_reader_goes_away(namespace):
    """As with any command in a pipe: the end comes by SIGPIPE, and without a word."""
    namespace.run('create', 'queue', 'q', '--capacity', '20000')
    namespace.run('send', 'q', stdin=b''.join(b'%d\n' % n for n in range(20000)))
    receiver = namespace.start('recv', 'q', '--all')
    equal(receiver.stdout.readline(), b'0\n')
    receiver.stdout.close()
    receiver.stdout = None
    _, error = finish(receiver, status=-signal.SIGPIPE)
    equal(error, '')


def long_writers(namespace):
    """Commands that write more than once, or more than stdio keeps; each with its input."""
    namespace.run('create', 'queue', 'q')
    namespace.run('create', 'queue', 'e', '--capacity', 'unbounded')
    for number in range(20):
        namespace.run('create', 'queue', f'{number:0255}')
    yield ('ls',)
    yield ('stat', '--interval', '10ms', 'q')
    yield ('stat', '--json', '--watch', 'q')
    yield ('bench', '--duration', '10ms')
    for words in ((), ('--json',)):
        receiver = namespace.start('recv', 'e')
        yield ('send', 'e', '--receipt', *words, '-m', 'R', '-m', 'R')
        finish(receiver)
        namespace.run('recv', '-q', 'e', '--all', status=1)
    yield ('work', 'q', '--exit-when-empty', '--json', '--', 'true')


def test_reader_of_a_long_output_goes_away(namespace):
    """What had been flushed before the end of the command was told as "Input/output error"."""
    for words in long_writers(namespace):
        reading, writing = os.pipe()
        os.close(reading)
        child = namespace.start(*words, stdout=writing)
        os.close(writing)
        equal(finish(child, status=-signal.SIGPIPE), (None, ''), words)


def test_full_disk_under_a_long_output(namespace):
    """The same, and then twice."""
    if not os.path.exists('/dev/full'):
        raise harness.Skip('no /dev/full')
    for words in long_writers(namespace):
        with open('/dev/full', 'wb') as full:
            _, error = finish(namespace.start(*words, stdout=full), status=5)
        equal(error, 'tenon: standard output: No space left on device\n', words)


def test_lease_keeps_what_could_not_be_written(namespace):
    if not os.path.exists('/dev/full'):
        raise harness.Skip('no /dev/full')
    namespace.run('create', 'queue', 'q')
    namespace.run('send', 'q', stdin='a\nb\n')
    with open('/dev/full', 'wb') as full:
        receiver = namespace.start('recv', '--lease', '--all', 'q', stdout=full)
        _, error = finish(receiver, status=5)
    contains(error, 'standard output: No space left')
    message = json.loads(namespace.run('recv', 'q', '--json'))
    equal((message['data'], message['deliveries']), ('a', 1))
    equal(namespace.run('recv', '--lease', '--all', 'q'), b'b\n')


def test_lease_of_many(namespace):
    namespace.run('create', 'queue', 'q', '--capacity', '5000')
    lines = b''.join(b'%d\n' % n for n in range(5000))
    namespace.run('send', 'q', stdin=lines)
    equal(namespace.run('recv', '--lease', '--count', '100', 'q'), lines[:290])
    with open('/dev/full', 'wb') as full:
        finish(namespace.start('recv', '--lease', '--all', 'q', stdout=full), status=5)
    equal(namespace.run('recv', '--lease', '--all', 'q') == lines[290:], True, 'order or loss')


def test_full_disk_is_reported(namespace):
    if not os.path.exists('/dev/full'):
        raise harness.Skip('no /dev/full')
    namespace.run('create', 'queue', 'q')
    for words in (('help',), ('ls',), ('stat', 'q'), ('doctor',), ('ls', '--json')):
        with open('/dev/full', 'wb') as full:
            child = namespace.start(*words, stdout=full)
            _, error = finish(child, status=5)
        contains(error, 'standard output: No space left')


def test_closed_streams(namespace):
    """A queue's file must not end up where standard output was."""
    namespace.run('create', 'queue', 'q')
    namespace.run('send', 'q', '-m', 'x')
    script = ('"$0" recv q --lease >&-; "$0" recv q --lease <&- >&-; "$0" recv q --lease 2>&- >&-;'
              '"$0" send q <&-; "$0" doctor >/dev/null || echo damaged; "$0" recv q')
    done = subprocess.run(['sh', '-c', script, namespace.command], env=namespace.environment,
                          capture_output=True, timeout=harness.WATCHDOG_S, check=False)
    equal(done.stdout, b'x\n')
    contains(done.stderr, b'standard output: Bad file descriptor')
    contains(done.stderr, b'standard input: Bad file descriptor')


if __name__ == '__main__':
    sys.exit(harness.main())
