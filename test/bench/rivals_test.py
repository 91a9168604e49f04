#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Each row of a rival in the benchmark, once and short: it has a figure, says its settings, or why it is skipped; it ends
when one of its processes is killed; and nothing is left in /dev/shm and /tmp, whatever ends the program.

    rivals_test.py TENON_BENCH [RIVAL THAT IT WAS BUILT WITH]...
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time

SECONDS = '0.05'
LONG_SECONDS = '20'
PATIENCE_S = 60
BUSY = 'create: Device or resource busy'
STARVED = 'in the measured time'
ONE_CPU = 'needs two CPUs'

# Rows by the beginning of their name: the package, by which a skipped row calls it (None: of the kernel); what it is
# called at the build; one of its rows that runs for long; and what is said of the rows that it has not.
RIVALS = {
    'mkfifo': (None, None, 'rt-64-active/mkfifo', ()),
    'dgram': (None, None, 'rt-64-active/dgram', ()),
    'zeromq': ('libzmq3-dev', 'zeromq', 'rt-64-active/zeromq', ('a sender deals out',)),
    'nng': ('libnng-dev', 'nng', 'one-way-64-2to1/nng', ('a sender deals out',)),
    'nanomsg': ('libnanomsg-dev', 'nanomsg', 'one-way-64-1to1/nanomsg', ('a sender deals out',)),
    'libqb': ('libqb-dev', 'libqb', 'one-way-64-1to1/libqb', ('one writer and one reader',)),
    'boost-mq': ('libboost-dev', 'Boost.Interprocess', 'one-way-64-2to2/boost-mq', ()),
    'boost-mutex': ('libboost-dev', 'Boost.Interprocess', 'sync-lock-2/boost-mutex', ()),
    'iceoryx': ('libiceoryx-binding-c-dev', 'iceoryx', 'one-way-64-1to1/iceoryx', ('each subscriber gets every',)),
}
# How many rows there are at least; a name that is wrong in the plan ends the program anyway.
FLOWS = ('one-way-64-1to1', 'one-way-64-2to1', 'one-way-64-2to2')
WAITS = ('rt-64-active', 'rt-64-asleep', 'rt-64-same-cpu')
GROUPS = {
    'mkfifo': ('rt-64-poll', 'rt-64-epoll', *WAITS, *FLOWS),
    'dgram': ('rt-64-poll', 'rt-64-epoll', *WAITS, *FLOWS, 'one-way-1m-1to1'),
    'boost-mutex': ('sync-lock', 'sync-lock-2', 'sync-lock-4'),
    'boost-mq': ('rt-64-poll', *WAITS, *FLOWS, 'one-way-1m-1to1'),
    'libqb': ('rt-64-poll', *WAITS, *FLOWS, 'one-way-1m-1to1'),
    'iceoryx': ('rt-64-poll', *WAITS, *FLOWS, 'rt-64k-loaned', 'one-way-1m-1to1'),
}

BENCH = sys.argv[1]
BUILT = sys.argv[2:]


class Skip(Exception):
    pass


def wait_until(condition, what):
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f'{what}: not within {PATIENCE_S} s'
        time.sleep(0.01)


def others_run():
    """Whether somebody else measures on this machine, whose files cannot be told from ours."""
    for name in os.listdir('/proc'):
        try:
            with open(f'/proc/{name}/comm', encoding='utf-8') as file:
                if file.read().strip() in ('tenon-bench', 'iox-roudi'):
                    return True
        except (OSError, ValueError):
            pass
    return False


def traces():
    """What may be left behind: of the program itself, and of RouDi."""
    names = [f'/dev/shm/{name}' for name in os.listdir('/dev/shm')
             if name.startswith(('tenon-bench', 'sem.tenon-bench', 'qb-', 'iceoryx'))]
    names += [f'/tmp/{name}' for name in os.listdir('/tmp')
              if name.startswith(('tenon-bench', 'roudi', 'iox-'))]
    return set(names)


def check_traces(before):
    left = traces() - before
    assert not left or others_run(), f'left behind: {sorted(left)}'


def alone(row):
    """A pattern that fits this row, and no row whose name has its name in it."""
    return f'{row[:-1]}[{row[-1]}]'


def start(pattern, seconds, path):
    return subprocess.Popen([BENCH, '--repeat', '1', '--seconds', seconds, '--row', pattern, '--json', path],
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def read_rows(path):
    with open(path, encoding='utf-8') as file:
        groups = json.load(file)['groups']
    return {f'{group["group"]}/{row["row"]}': row for group in groups for row in group['rows']}


def measure(pattern, seconds=SECONDS):
    """The rows by name, the exit status, and what was printed."""
    with tempfile.NamedTemporaryFile(suffix='.json') as file:
        with start(pattern, seconds, file.name) as process:
            said = process.communicate(timeout=PATIENCE_S * 4)[0]
        return read_rows(file.name), process.returncode, said


def check_row(name, row, package, is_built, excuses):
    if package and not is_built:
        assert package in row['skipped'] and 'scripts/setup bench' in row['skipped'], f'{name}: {row}'
        return
    if 'skipped' in row:
        assert row['skipped'].startswith((ONE_CPU, *excuses)), f'{name}: {row["skipped"]}'
        return
    assert row.get('median', 0) > 0, f'{name}: {row.get("failed", row)}'
    assert sum(row['cpu_share']) > 0, f'{name}: no CPU time'
    if package:
        assert any(character.isdigit() for character in row['settings']), f'{name}: no version in {row["settings"]}'


def test_rows(rival):
    package, built_as, _, excuses = RIVALS[rival]
    before = traces()
    rows, status, said = measure(f'*/{rival}*')
    if any(row.get('failed') == BUSY for row in rows.values()):
        raise Skip('somebody else runs RouDi')
    # Where others keep the machine from it, a row of so short a time may have nothing to show: then for longer.
    for name in [name for name, row in rows.items() if STARVED in row.get('failed', '')]:
        again, status, said = measure(alone(name), '1')
        rows.update(again)
    groups = {name.split('/')[0] for name in rows}
    wanted = set(GROUPS.get(rival, (*WAITS, *FLOWS, 'one-way-1m-1to1')))
    assert wanted <= groups, f'no row in {sorted(wanted - groups)}'
    for name, row in rows.items():
        check_row(name, row, package, built_as in BUILT, excuses)
        if 'settings' in row and 'skipped' not in row:
            assert f'{row["settings"]}\n' in said or name not in said, f'{name}: its settings are not printed'
    assert status == 0, f'status {status}'
    check_traces(before)


def children_of(pid):
    try:
        with open(f'/proc/{pid}/task/{pid}/children', encoding='utf-8') as file:
            children = [int(word) for word in file.read().split()]
    except OSError:
        return []
    return [child for child in children if comm_of(child) == 'tenon-bench']


def comm_of(pid):
    try:
        with open(f'/proc/{pid}/comm', encoding='utf-8') as file:
            return file.read().strip()
    except OSError:
        return ''


def has_worked(pid):
    """It has had more processor time than its start takes, so it is in the loop."""
    try:
        with open(f'/proc/{pid}/stat', encoding='utf-8') as file:
            fields = file.read().rsplit(')', 1)[1].split()
    except OSError:
        return False
    return int(fields[11]) + int(fields[12]) >= os.sysconf('SC_CLK_TCK') // 5


def row_that_works(process):
    """The processes of the row, once the last of them works."""
    wait_until(lambda: process.poll() is not None or any(has_worked(child) for child in children_of(process.pid)[-1:]),
               'a process that works')
    return children_of(process.pid)


def test_death(rival):
    """A process of the row is killed: the row fails, and the program ends."""
    _, built_as, pattern, _ = RIVALS[rival]
    if built_as and built_as not in BUILT:
        raise Skip(f'built without {rival}')
    before = traces()
    with tempfile.NamedTemporaryFile(suffix='.json') as file:
        with start(alone(pattern), LONG_SECONDS, file.name) as process:
            children = row_that_works(process)
            if children:
                os.kill(children[-1], signal.SIGKILL)
            begin = time.monotonic()
            process.communicate(timeout=PATIENCE_S)
            took = time.monotonic() - begin
        row = read_rows(file.name)[pattern]
    if row.get('failed') == BUSY or 'skipped' in row:
        raise Skip(row.get('failed') or row['skipped'])
    assert row.get('failed') == 'ended by signal 9', row
    assert process.returncode == 1, f'status {process.returncode}'
    assert took < float(LONG_SECONDS) / 2, f'ended after {took:.1f} s only'
    check_traces(before)


def test_signal(rival):
    """The program is told to end in the middle of a row."""
    _, built_as, pattern, _ = RIVALS[rival]
    if built_as and built_as not in BUILT:
        raise Skip(f'built without {rival}')
    before = traces()
    with tempfile.NamedTemporaryFile(suffix='.json') as file:
        with start(alone(pattern), LONG_SECONDS, file.name) as process:
            children = row_that_works(process)
            process.send_signal(signal.SIGTERM)
            said = process.communicate(timeout=PATIENCE_S)[0]
    if BUSY in said or not children:
        raise Skip('the row did not run')
    assert process.returncode == 130, f'status {process.returncode}: {said}'
    check_traces(before)


def test_no_room(rival):
    """In a /dev/shm that is too small its rows fail, and nothing is left; nor is anything made outside of the folder."""
    if RIVALS[rival][1] not in BUILT:
        raise Skip(f'built without {rival}')
    script = ('mount -t tmpfs -o size=8m none /dev/shm && mount -t tmpfs none /tmp && echo mounted &&'
              f' {BENCH} --seconds {SECONDS} --repeat 1 --row "{alone(RIVALS[rival][2])}"; ls -A /dev/shm /tmp')
    environment = {name: value for name, value in os.environ.items() if name != 'TENON_NAMESPACE'}
    try:
        done = subprocess.run(['unshare', '--mount', 'sh', '-c', script], check=False, capture_output=True, text=True,
                              timeout=PATIENCE_S, env=environment)
    except FileNotFoundError as error:
        raise Skip('no unshare(1)') from error
    if not done.stdout.startswith('mounted'):
        raise Skip('no permission for a mount namespace')
    left = done.stdout.partition('/dev/shm:\n')[2].split()
    assert left == ['/tmp:'], f'{left}; {done.stdout}'


def main():
    cases = [(what, test, rival) for rival in RIVALS
             for what, test in (('rows of', test_rows), ('a death in', test_death), ('an end amid', test_signal))]
    cases.append(('no room for', test_no_room, 'iceoryx'))
    failed = 0
    print(f'1..{len(cases)}', flush=True)
    for number, (what, test, rival) in enumerate(cases, 1):
        try:
            test(rival)
            print(f'ok {number} - {what} {rival}', flush=True)
        except Skip as reason:
            print(f'ok {number} - {what} {rival} # SKIP {reason}', flush=True)
        except (AssertionError, OSError, ValueError, KeyError, subprocess.TimeoutExpired) as error:
            failed += 1
            text = str(error).replace('\n', '\n# ')
            print(f'not ok {number} - {what} {rival}\n# {type(error).__name__}: {text}', flush=True)
    return 1 if failed else 0


sys.exit(main())
