#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Bad input to the command: each row is a command line, the exit status and a part of the error that
it must give.  Nothing may change by any of them."""

import json
import sys

import harness

USAGE, MISSING, EXISTS, TOO_LONG, FAILED, NOTHING = 2, 3, 7, 8, 9, 1

# The queues that are there: /fifo (2 messages of up to 16 bytes, one queued), /prio, /typed, /full,
# /empty and /meet, a rendezvous; a lock /guard, and of both kinds /both.
ROWS = (
    # No command, or none that exists.
    ('', USAGE, 'Usage: tenon'),
    ('snd fifo', USAGE, "there is no command 'snd'; did you mean 'send'?"),
    ('xyzzy', USAGE, "there is no command 'xyzzy'"),
    ('remove fifo', USAGE, "did you mean 'rm'?"),
    ('list', USAGE, "did you mean 'ls'?"),
    ('--wrong ls', USAGE, "option '--wrong'"),
    ('--namespace', USAGE, "option '--namespace' needs a value"),
    ('--namespace= ls', USAGE, "'--namespace' needs a folder"),
    ('help nothing', USAGE, "there is no command 'nothing'\nTry 'tenon help'.\n"),
    ('help send recv', USAGE, "'recv' is too much"),
    ('version --jsno', USAGE, "did you mean '--json'?"),
    ('version 2', USAGE, "'2' is too much"),
    # Names.
    ('send', USAGE, 'the name of a queue is missing'),
    ('send fifo prio', USAGE, "'prio' is too much"),
    ('send a/b', USAGE, 'it has a slash within'),
    ('send /', USAGE, 'it is empty'),
    ('send .', USAGE, "'.' is no name: it means a folder"),
    ('send ..', USAGE, "'..' is no name"),
    ('send ' + 'n' * 256, USAGE, 'more than 255 bytes'),
    ('send missing', MISSING, "queue '/missing': there is no such queue"),
    ('send fiffo', MISSING, "did you mean '/fifo'?"),
    ('recv missing', MISSING, "tenon create queue /missing"),
    ('peek missing', MISSING, "queue '/missing'"),
    ('stat missing', MISSING, "object '/missing': there is no such object"),
    ('rm missing', MISSING, "'tenon ls' shows"),
    ('work missing -- true', MISSING, "queue '/missing'"),
    ('stat xx', MISSING, "'tenon ls' shows"),
    ('stat --kind queue xx', MISSING, "tenon create queue /xx"),
    ('stat --kind lock xx', MISSING, "tenon create lock /xx"),
    ('stat --kind lock fifo', MISSING, "but a queue of that name"),
    ('send guard', MISSING, "there is no such queue in"),
    ('send guard', MISSING, "but a lock of that name"),
    ('rm --kind lock fifo', MISSING, "lock '/fifo': there is no such lock"),
    *((f'--namespace /nonexistent/folder {line}', MISSING,
       "no namespace folder '/nonexistent/folder'; make it with 'mkdir -m 700 /nonexistent/folder'")
      for line in ('create queue new', 'recv fifo', 'send fifo', 'work fifo true', 'stat fifo',
                   'rm fifo', 'peek fifo', 'bench')),
    ('--namespace /nonexistent/folder ls', MISSING, "'mkdir -m 700 /nonexistent/folder'"),
    ('--namespace /dev/null ls', FAILED, "it is no folder; set TENON_NAMESPACE"),
    ('--namespace /nonexistent/folder ls', MISSING, "'/nonexistent/folder': there is no such folder"),
    ('--namespace /dev/null create queue new', FAILED, "namespace '/dev/null' cannot hold queues"),
    ('--namespace /proc create queue new', FAILED, "to a folder on tmpfs"),
    # create
    ('create', USAGE, 'what to create is missing'),
    ('create topic x', USAGE, "'topic' is no kind of object"),
    ('create queue', USAGE, 'the name of a queue is missing'),
    ('create new', USAGE, "'tenon create queue NAME'"),
    ('create lock', USAGE, 'the name of a lock is missing'),
    ('create lock a b', USAGE, "'b' is too much: one lock at a time"),
    ('create lock new --capacity 3', USAGE, 'a lock has no --capacity'),
    ('create lock new --order fifo', USAGE, 'a lock has no --order'),
    ('create lock new --full wait', USAGE, 'a lock has no --full'),
    ('create lock new --message-size 1', USAGE, 'a lock has no --message-size'),
    ('create lock new --mode 0', USAGE, "--mode '0': nobody could use such a lock"),
    ('create lock new --participants 0', USAGE, 'from 1 to 1024'),
    ('create queue new --recursive', USAGE, 'a queue has no --recursive'),
    ('create lock guard --exclusive', EXISTS, 'it exists already'),
    ('create lock guard --recursive', EXISTS, 'another --recursive'),
    ('create lock guard --participants 3', EXISTS, 'another --participants'),
    ('create queue new --capacity 5G', USAGE, "--capacity '5G'"),
    ('create queue new --capacity 17179869184G', USAGE, '--capacity'),
    ('create queue new --capacity 1KiB', USAGE, '--capacity'),
    ('create queue new --capacity 0x', USAGE, '--capacity'),
    ('create queue new --capacity 1e3', USAGE, '--capacity'),
    ('create queue new --capacity -1', USAGE, "--capacity '-1'"),
    ('create queue new --capacity 4294967297', USAGE, '--capacity'),
    ('create queue new --capacity 99999999999999999999', USAGE, '--capacity'),
    ('create queue new --capacity many', USAGE, "'rendezvous' nor 'unbounded'"),
    ('create queue new --capacity', USAGE, "option '--capacity' needs a value"),
    ('create queue new --capacity 0 --full fail', USAGE, '--capacity rendezvous and --full fail do not'),
    ('create queue new --order lifo', USAGE, 'fifo, priority, typed'),
    ('create queue new --full explode', USAGE, 'wait, fail, drop-oldest'),
    ('create queue new --message-size 2G', USAGE, '0 to 1G'),
    ('create queue new --message-size 1KK', USAGE, '--message-size'),
    ('create queue new --message-size 1.5K', USAGE, 'K, M or G may follow'),
    ('create queue new --message-size 17179869184G', USAGE, '--message-size'),
    ('create queue new --mode 0999', USAGE, 'octal'),
    ('create queue new --mode 1777', USAGE, 'octal'),
    ('create queue new --participants 0', USAGE, 'from 1 to 1024'),
    ('create queue new --participants 1025', USAGE, 'from 1 to 1024'),
    ('create queue new --exclusive=1', USAGE, "'--exclusive' takes no value"),
    ('create queue fifo --exclusive', EXISTS, 'it exists already'),
    ('create queue fifo --json --capacity 3', EXISTS, 'another --capacity'),
    ('create queue fifo --capacity 3', EXISTS, 'another --capacity'),
    ('create queue fifo --order priority', EXISTS, 'another --order'),
    ('create queue fifo --message-size 17', EXISTS, 'another --message-size'),
    # rm checks every name before it removes anything.
    ('rm', USAGE, 'the name of an object is missing'),
    ('rm empty both', USAGE, "'/both' is a queue and a lock; say which with --kind queue or --kind lock"),
    ('rm --kind lcok both', USAGE, "--kind 'lcok': not one of queue, lock"),
    ('rm fifo a/b', USAGE, 'it has a slash within'),
    ('rm --json fifo a/b', USAGE, 'it has a slash within'),
    ('rm -x fifo', USAGE, "unknown option '-x'"),
    # ls, stat
    ('ls fifo', USAGE, "'fifo' is too much"),
    ('ls --json -0', USAGE, '--json is a format of its own'),
    ('ls --lnog', USAGE, "did you mean '--long'?"),
    ('ls --kind', USAGE, "option '--kind' needs a value"),
    ('ls --kind topic', USAGE, "--kind 'topic': not one of queue, lock"),
    ('stat', USAGE, 'the name of an object is missing'),
    ('stat both', USAGE, "'/both' is a queue and a lock; say which with --kind queue or --kind lock"),
    ('stat --json fifo both', USAGE, "'/both' is a queue and a lock"),
    ('stat --watch fifo prio', USAGE, '--watch takes one object'),
    ('stat --interval 1ms fifo', USAGE, "--interval '1ms': too short; it must be 10 ms at least"),
    ('stat fifo a/b', USAGE, 'it has a slash within'),
    # send
    ('send fifo --bogus', USAGE, "unknown option '--bogus'\n"),
    ('send fifo --t 1', USAGE, "ambiguous option '--t': could be '--type' or '--timeout'\n"),
    ('send fifo --mesage x', USAGE, "did you mean '--message'?"),
    ('send fifo --message', USAGE, "'--message' needs a value"),
    ('send fifo hello', USAGE, 'given with --message'),
    ('send fifo --file=', FAILED, "'': No such file"),
    ('send fifo --message x --file y', USAGE, 'do not go together'),
    ('send fifo --message x -0', USAGE, 'for standard input'),
    ('send fifo --message x --priority 3', USAGE, 'fifo order, for which --priority'),
    ('send fifo --message x --type 3', USAGE, '--type means nothing'),
    ('send prio --message x --type 3', USAGE, '--type means nothing; --priority is meant'),
    ('send typed --message x --priority 3', USAGE, '--priority means nothing; --type is meant'),
    ('send prio --message x --priority 32768', USAGE, 'from 0 to 32767'),
    ('send prio --message x --priority -1', USAGE, "--priority '-1'"),
    ('send prio --message x --priority 1 --key 1', USAGE, 'one key at a time'),
    ('send typed --message x --type 18446744073709551616', USAGE, '--type'),
    ('send fifo --json --message x', USAGE, '--json is for --receipt'),
    ('send fifo --timeout soon', USAGE, "--timeout 'soon'"),
    ('send fifo --timeout 1.s', USAGE, '--timeout'),
    ('send fifo --timeout -1s', USAGE, '--timeout'),
    *((f'send fifo --timeout {text}', USAGE, f"'{text}': too long; it must be below 36500d")
      for text in ('999999999999d', '99999999d', '36500d', '99999999999999999999')),
    ('recv empty --timeout 0x1ms', USAGE, "--timeout '0x1ms': not a duration"),
    ('send fifo --timeout 1s --no-wait', USAGE, 'do not go together'),
    ('send fifo --message 12345678901234567', TOO_LONG, 'longer than the 16 bytes'),
    ('send fifo', TOO_LONG, 'message 1 of standard input is longer', b'x' * 17 + b'\n'),
    ('send fifo', TOO_LONG, 'message 1 of standard input', b'x' * 17),
    ('send fifo -0', TOO_LONG, 'message 1 of standard input', b'x' * 1000000),
    ('send fifo --length-prefixed', TOO_LONG, 'message 1 of standard input would be 4294967295 bytes',
     b'\xff\xff\xff\xff'),
    ('send fifo --length-prefixed', TOO_LONG, 'message 1 of standard input is longer than the 16',
     b'\x40\0\0\0'),
    ('send fifo --length-prefixed', FAILED, 'ends within message 1', b'\0\0\0\x05four'),
    ('send fifo --length-prefixed', FAILED, 'ends within message 1', b'\0\0'),
    ('send fifo --file /nonexistent', FAILED, "/nonexistent: No such file"),
    ('send fifo --file /', FAILED, 'Is a directory'),
    ('send fifo --file /proc/self/exe', TOO_LONG, '/proc/self/exe is longer'),
    ('send full --no-wait', NOTHING, 'it is full (0 messages were sent)', b'x\n'),
    ('send full --timeout 10ms', NOTHING, 'no room within 10 ms', b'x\n'),
    ('send meet --no-wait', NOTHING, 'nobody is waiting to receive', b'x\n'),
    ('send meet --timeout 10ms', NOTHING, 'nobody received within', b'x\n'),
    # recv, peek
    ('recv fifo --count 0', USAGE, "--count '0'"),
    ('recv fifo --count x', USAGE, "--count 'x'"),
    ('recv fifo --count 1T', USAGE, "--count '1T'"),
    ('recv fifo --all --follow', USAGE, 'do not go together'),
    ('recv fifo --no-wait --timeout 1s', USAGE, '--no-wait goes neither'),
    ('recv fifo --json -0', USAGE, '--json is a format of its own'),
    ('recv fifo --json --output-dir /tmp/x', USAGE, '--output-dir writes whole files'),
    ('recv fifo --output-dir /dev/null', FAILED, '/dev/null'),
    ('recv fifo --except', USAGE, 'need --type'),
    ('recv fifo --type 1', USAGE, 'it is in fifo order'),
    ('recv typed --type one', USAGE, "--type 'one'"),
    ('recv typed --type 1 --except --lowest', USAGE, 'do not go together'),
    ('recv typed --type 1 --no-wait', NOTHING, 'no message of that type'),
    ('recv empty --no-wait', NOTHING, 'there is no message'),
    ('recv empty --all', NOTHING, 'there is no message'),
    ('recv empty --timeout 10ms', NOTHING, 'no message within 10 ms (0 messages were received)'),
    ('recv empty --timeout 1.5ms', NOTHING, 'no message within 1.5 ms'),
    ('recv empty --timeout .5s', USAGE, "--timeout '.5s': not a duration"),
    ('peek empty', NOTHING, 'there is no message at position 0'),
    ('peek fifo --position 1', NOTHING, 'there is no message at position 1'),
    ('peek fifo --position x', USAGE, "--position 'x'"),
    ('peek prio --type 1', USAGE, 'it is in priority order'),
    # work
    ('work', USAGE, 'the name of a queue is missing'),
    ('work fifo', USAGE, 'the command is missing'),
    ('work fifo --', USAGE, 'the command is missing'),
    ('work fifo -j 0 -- true', USAGE, "-j '0'"),
    ('work fifo -j 1025 -- true', USAGE, "-j '1025'"),
    ('work fifo --tries 0 -- true', USAGE, "--tries '0'"),
    ('work fifo --dead fifo -- true', USAGE, 'that is the queue itself'),
    ('work fifo --dead missing -- true', MISSING, "queue '/missing'"),
    ('work fifo --dead meet -- true', USAGE, 'it is a rendezvous'),
    ('work big --dead fifo -- true', TOO_LONG, 'it takes 16 bytes, less than the 8192'),
    # lock
    ('flock guard true', USAGE, "did you mean 'lock'?"),
    ('lock', USAGE, 'the name of a lock is missing'),
    ('lock -n', USAGE, 'the name of a lock is missing'),
    ('lock guard', USAGE, 'the command is missing'),
    ('lock guard --', USAGE, 'the command is missing'),
    ('lock a/b true', USAGE, 'it has a slash within'),
    ('lock -n -w 1 guard true', USAGE, '--nonblock and --timeout do not go together'),
    ('lock -w soon guard true', USAGE, "--timeout 'soon': not a duration"),
    ('lock -w -1 guard true', USAGE, "--timeout '-1'"),
    ('lock -E 256 guard true', USAGE, "-E '256': not a number from 0 to 255"),
    ('lock -E x guard true', USAGE, "-E 'x'"),
    ('lock --if-dead hope guard true', USAGE, "--if-dead 'hope': not one of run, fail"),
    ('lock -k guard true', USAGE, "unknown option '-k'"),
    ('lock new /nonexistent/command', 127, 'No such file or directory; the lock was not touched'),
    ('lock new /dev/null', 126, 'Permission denied; the lock was not touched'),
    ('--namespace /nonexistent/folder lock new true', MISSING,
     "lock '/new': there is no namespace folder"),
    ('--namespace /dev/null lock new true', FAILED, "namespace '/dev/null' cannot hold locks"),
    # bench, doctor
    ('bench fifo', USAGE, 'makes queues of its own'),
    ('bench --duration 0', USAGE, "--duration '0': too short; it must be 1 ns at least"),
    ('bench --duration soon', USAGE, "--duration 'soon': not a duration"),
    ('doctor a b', USAGE, "'b' is too much"),
)


KEPT = ('name', 'id', 'order', 'full', 'capacity', 'max_message_bytes', 'mode', 'messages',
        'message_bytes', 'leased', 'loaned', 'received', 'redelivered', 'damaged')


def snapshot(namespace):
    """Everything but who has waited for how long, and what memory it took."""
    queues = json.loads(namespace.run('ls', '--json', '--kind', 'queue'))
    locks = json.loads(namespace.run('ls', '--json', '--kind', 'lock'))
    seen = [[lock[key] for key in ('name', 'id', 'recursive', 'mode', 'acquired', 'state')]
            for lock in locks]
    seen += [[queue[key] for key in KEPT] for queue in queues]
    # What a rendezvous has withdrawn may be counted on both sides.
    seen += [queue['sent'] - queue['dropped'] for queue in queues]
    for queue in queues:
        seen.append(namespace.run('peek', '-q', '--all', '--length-prefixed', queue['name'],
                                  status=0 if queue['messages'] else NOTHING))
    return seen


def test_bad_input(namespace):
    namespace.run('create', 'queue', 'fifo', '--capacity', '2', '--message-size', '16')
    namespace.run('create', 'queue', 'prio', '--order', 'priority')
    namespace.run('create', 'queue', 'typed', '--order', 'typed')
    namespace.run('create', 'queue', 'full', '--capacity', '1')
    namespace.run('create', 'queue', 'meet', '--capacity', 'rendezvous')
    namespace.run('create', 'queue', 'empty')
    namespace.run('create', 'queue', 'big')
    for kind, name in (('lock', 'guard'), ('lock', 'both'), ('queue', 'both')):
        namespace.run('create', kind, name)
    namespace.run('send', 'fifo', '--message', 'one')
    namespace.run('send', 'full', '--message', 'one')
    before = snapshot(namespace)
    failures = []
    for line, status, error, *stdin in ROWS:
        try:
            namespace.run(*line.split(), stdin=stdin[0] if stdin else b'', status=status,
                          error=error)
        except AssertionError as failure:
            failures.append(str(failure))
    harness.equal(failures, [], '\n'.join(failures))
    harness.equal(snapshot(namespace), before, 'something changed')
    print(f'     {len(ROWS)} rows')


def test_empty_arguments(namespace):
    namespace.run('send', '', status=USAGE, error="'' is no name")
    namespace.run('', status=USAGE, error="there is no command ''")
    namespace.run('create', 'queue', 'q', '--capacity', '', status=USAGE, error="--capacity ''")


def test_errors_are_one_line(namespace):
    """A name with a newline and an escape cannot forge lines or steer the terminal."""
    done = namespace.start('recv', 'a\n\033[31mb')
    _, error = harness.finish(done, status=MISSING)
    harness.equal(error.count('\n'), 1)
    harness.contains(error, "'/a\\n\\x1b[31mb'")


if __name__ == '__main__':
    sys.exit(harness.main())
