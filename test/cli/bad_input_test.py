#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Bad input to the command: each row is a command line, the exit status and a part of the error that
it must give.  Nothing may change by any of them."""

import json
import sys

import harness

USAGE, MISSING, EXISTS, TOO_LONG, FAILED, NOTHING = 2, 3, 7, 8, 9, 1

# The queues that are there: /fifo (2 messages of up to 16 bytes, one queued), /prio, /typed, /full,
# /empty and /meet, a rendezvous; a lock /guard, and of both kinds /both.  A semaphore /sem of 1 of at most
# 2, an event /event, a barrier for 2, /barrier, and a once, /once.
ROWS = (
    # No command, or none that exists.
    ('', USAGE, 'Usage: tenon'),
    ('snd fifo', USAGE, "there is no command 'snd'; did you mean 'send'?"),
    ('xyzzy', USAGE, "there is no command 'xyzzy'"),
    ('queue', USAGE, "there is no command 'queue', but a kind of object: 'tenon create queue NAME'"),
    ('semaphore-set get x', USAGE, "a kind of object: 'tenon create semaphore-set NAME --count N'"),
    ('semaphore get x', USAGE, "did you mean 'sem'?"),
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
    ('create sem x', USAGE, "'sem' is no kind of object; did you mean 'semaphore'?"),
    ('create mutex x', USAGE, "did you mean 'lock'?"),
    ('create message-buffer x', USAGE, "did you mean 'queue'?"),
    ('create barier x --count 2', USAGE, "did you mean 'barrier'?"),
    ('ls --kind regions', USAGE, "--kind 'regions': no kind of object; did you mean 'region'?"),
    ('create queue', USAGE, 'the name of a queue is missing'),
    ('create new', USAGE, "'tenon create queue NAME'"),
    ('create lock', USAGE, 'the name of a lock is missing'),
    ('create lock a b', USAGE, "'b' is too much: one lock at a time"),
    ('create lock new --capacity 3', USAGE, 'a lock has no --capacity'),
    ('create lock new --order fifo', USAGE, 'a lock has no --order'),
    ('create lock new --full wait', USAGE, 'a lock has no --full'),
    ('create lock new --message-size 1', USAGE, 'a lock has no --message-size'),
    ('create lock new --max-bytes 1', USAGE, 'a lock has no --max-bytes'),
    ('create lock new --mode 0', USAGE, "--mode '0': nobody could use such a lock"),
    ('create lock new --participants 0', USAGE, 'from 1 to 1024'),
    ('create queue new --recursive', USAGE, 'a queue has no --recursive'),
    ('create lock guard --exclusive', EXISTS, 'it exists already'),
    ('create lock guard --recursive', EXISTS, 'another --recursive'),
    ('create lock guard --participants 3', EXISTS, 'another --participants'),
    ('create semaphore', USAGE, 'the name of a semaphore is missing'),
    ('create event', USAGE, 'the name of an event is missing'),
    ('create event new --value 1', USAGE, 'an event has no --value'),
    ('create once new --count 1', USAGE, 'a once has no --count'),
    ('create condition new --manual', USAGE, 'a condition has no --manual'),
    ('create lock new --set', USAGE, 'a lock has no --set'),
    ('create barrier new --maximum 1', USAGE, 'a barrier has no --maximum'),
    ('create semaphore new --value -1', USAGE, "--value '-1': not a number from 0 to 2147483647"),
    ('create semaphore new --value 2147483648', USAGE, 'from 0 to 2147483647'),
    ('create semaphore new --maximum 0', USAGE, "--maximum '0': not a number from 1 to"),
    ('create semaphore new --value 3 --maximum 2', USAGE, '--value 3 is above --maximum 2'),
    ('create semaphore new --value', USAGE, "option '--value' needs a value"),
    ('create semaphore sem --maximum 3', EXISTS, 'another --maximum'),
    ('create region new', USAGE, "how large it is must be said"),
    ('create region new --size 0', USAGE, '--size 0 needs a --max-size, to which it may grow'),
    ('barrier barrier', USAGE, "there is only wait: 'tenon barrier wait NAME'"),
    ('create barrier new', USAGE, "for how many it is must be said: 'tenon create barrier /new --count"),
    ('create barrier barrier', USAGE, 'for how many it is must be said'),
    ('create barrier new --count 0', USAGE, "--count '0': not a number from 1 to 65535"),
    ('create barrier new --count 65536', USAGE, 'from 1 to 65535'),
    ('create barrier barrier --count 3', EXISTS, 'another --count'),
    ('create event event --manual', EXISTS, 'another --manual'),
    ('stat --kind event xx', MISSING, "there is no such event in"),
    ('stat --kind barrier xx', MISSING, "'tenon create barrier /xx --count N'"),
    ('stat --kind lock event', MISSING, "but an event of that name"),
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
    ('create queue new --max-bytes 0', USAGE, 'from 1 on'),
    ('create queue new --max-bytes 1X', USAGE, '--max-bytes'),
    ('create queue new --capacity 0 --max-bytes 1', USAGE, 'do not go together'),
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
    ('create queue fifo --max-bytes 17', EXISTS, 'another --max-bytes'),
    # rm checks every name before it removes anything.
    ('rm', USAGE, 'the name of an object is missing'),
    ('rm empty both', USAGE, "'/both' is a queue and a lock; say which with --kind queue or --kind lock"),
    ('rm --kind lcok both', USAGE, "--kind 'lcok': no kind of object; did you mean 'lock'?"),
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
    # sem
    ('semaphore get sem', USAGE, "did you mean 'sem'?"),
    ('sem', USAGE, "what to do is missing: 'tenon sem acquire NAME'"),
    ('sem aquire sem', USAGE, "did you mean 'acquire'?"),
    ('sem up sem', USAGE, "'up' is nothing to do with a semaphore; there are acquire, release, get"),
    *((f'sem {verb}', USAGE, 'the name of a semaphore is missing') for verb in
      ('acquire', 'release', 'get', 'acquire --', 'acquire -n')),
    *((f'sem {verb} a/b', USAGE, 'it has a slash within') for verb in ('acquire', 'release', 'get')),
    *((f'sem {verb} missing', MISSING, "make it with 'tenon create semaphore /missing --value N'")
      for verb in ('acquire', 'release', 'get')),
    ('sem acquire missing -- true', MISSING, "semaphore '/missing': there is no such semaphore"),
    ('sem acquire sem 0', USAGE, "'0' is how many? Not a number from 1 to 2147483647"),
    ('sem acquire sem 2147483648', USAGE, 'Not a number from 1'),
    ('sem release sem 0', USAGE, 'Not a number from 1'),
    ('sem release sem x', USAGE, "'x' is how many?"),
    ('sem release sem -- -1', USAGE, "'-1' is how many?"),
    ('sem release sem 1 2', USAGE, "'2' is too much"),
    ('sem get sem 1', USAGE, "'1' is too much"),
    ('sem release sem 2', NOTHING, 'its value is 1, and with 2 more it would be above its maximum, 2'),
    ('sem acquire sem 3', USAGE, '3 are wanted, and more than 2 it never has'),
    ('sem acquire -n sem 2', NOTHING, '2 cannot be had: its value is 1'),
    ('sem acquire -n sem 2 -- true', NOTHING, '2 cannot be had: its value is 1'),
    ('sem acquire -n -w 1 sem', USAGE, '--nonblock and --timeout do not go together'),
    ('sem acquire -n -w 1 sem true', USAGE, '--nonblock and --timeout do not go together'),
    ('sem acquire -E 256 sem', USAGE, "-E '256': not a number from 0 to 255"),
    ('sem acquire --value 1 new', USAGE, '--value is for --create'),
    ('sem acquire --maximum 1 new', USAGE, '--maximum is for --create'),
    ('sem acquire --create new', USAGE, '--create needs --value N'),
    ('sem acquire --create --maximum 3 new', USAGE, '--create needs --value N'),
    ('sem acquire --create --value 3 --maximum 2 new', USAGE, '--value 3 is above --maximum 2'),
    ('sem acquire --create --value 3 sem true', EXISTS, 'with the maximum 2, not 3'),
    ('sem acquire --json sem', USAGE, "--json is for 'get'"),
    ('sem release --json sem', USAGE, "--json is for 'get'"),
    ('sem release --timeout 1 sem', USAGE, "--timeout is for 'acquire'"),
    ('sem get -n sem', USAGE, "--nonblock is for 'acquire'"),
    ('sem get --create sem', USAGE, "--create is for 'acquire'"),
    ('sem release --value 1 sem', USAGE, "--value is for 'acquire'"),
    ('sem acquire --if-dead run sem true', USAGE, "unknown option '--if-dead'"),
    ('sem acquire sem /nonexistent/command', 127, 'the semaphore was not touched'),
    ('sem acquire sem /dev/null', 126, 'Permission denied; the semaphore was not touched'),
    ('--namespace /nonexistent/folder sem acquire --create --value 1 new true', MISSING,
     "semaphore '/new': there is no namespace folder"),
    # event, barrier
    ('event', USAGE, "what to do is missing: 'tenon event wait NAME'"),
    ('event wiat event', USAGE, "did you mean 'wait'?"),
    ('event fire event', USAGE, 'there are wait, set, reset, pulse'),
    ('barrier enter barrier', USAGE, 'is nothing to do with a barrier; there is only wait'),
    ('barrier', USAGE, "what to do is missing: 'tenon barrier wait NAME'"),
    *((f'event {verb}', USAGE, 'the name of an event is missing')
      for verb in ('wait', 'set', 'reset', 'pulse')),
    *((f'event {verb} missing', MISSING, "make it with 'tenon create event /missing'")
      for verb in ('wait', 'set', 'reset', 'pulse')),
    ('event wait event barrier', USAGE, "'barrier' is too much: one event at a time"),
    ('event set -n event', USAGE, "'set' does not wait; --nonblock is for 'wait'"),
    ('event pulse event --timeout 3', USAGE, "'pulse' does not wait; --timeout is for 'wait'"),
    ('event wait -w soon event', USAGE, "--timeout 'soon': not a duration"),
    ('event wait -n -w 1 event', USAGE, '--nonblock and --timeout do not go together'),
    ('event wait -n event', NOTHING, "event '/event': it is not set"),
    ('barrier wait', USAGE, 'the name of a barrier is missing'),
    ('barrier wait missing', MISSING, "'tenon create barrier /missing --count N'"),
    ('barrier wait barrier 3', USAGE, "'3' is too much: one barrier at a time"),
    ('barrier wait event', MISSING, "but an event of that name"),
    ('barrier wait -w 1ms barrier', NOTHING, 'not all arrived within 1 ms'),
    # once
    ('once', USAGE, 'the name of a once is missing'),
    ('once once', USAGE, "the command is missing: 'tenon once NAME -- COMMAND'"),
    ('once a/b true', USAGE, 'it has a slash within'),
    ('once -n -w 1 once true', USAGE, '--nonblock and --timeout do not go together'),
    ('once --if-dead hope once true', USAGE, "--if-dead 'hope': not one of run, fail"),
    ('once new /nonexistent/command', 127, 'the once was not touched'),
    ('once -s once true', USAGE, "unknown option '-s'"),
    ('--namespace /nonexistent/folder once new true', MISSING,
     "once '/new': there is no namespace folder"),
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
    others = [entry for entry in json.loads(namespace.run('ls', '--json'))
              if entry['kind'] not in ('queue', 'lock')]
    seen += [{key: value for key, value in entry.items() if key not in ('memory_bytes', 'waited')}
             for entry in others]
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
    namespace.run('create', 'semaphore', 'sem', '--value', '1', '--maximum', '2')
    namespace.run('create', 'event', 'event')
    namespace.run('create', 'barrier', 'barrier', '--count', '2')
    namespace.run('create', 'once', 'once')
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
