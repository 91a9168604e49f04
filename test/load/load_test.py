#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Mixed load on objects of every kind, with kills: nobody hangs, nothing is torn, and memory,
descriptors and /dev/shm stay flat (TAP, with a table of what was seen).

    load_test.py [--seconds N] [--seed N] COMMAND LOAD LOAD_CLASSIC
    load_test.py --self-test

LOAD does a little of everything until it is killed, LOAD_CLASSIC what POSIX and System V have, under
`tenon run`.  Residents live as long as the run does, and are what is measured; victims are killed
with SIGKILL at random moments, and others take their places.  Whether what was measured grows is
judged behind the first quarter, in which everything is made that stays: the median of the last
quarter against that of the second.
"""

import argparse
import json
import os
import random
import shutil
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import time

# As in load.h: of each slot rounds, activity under way + 1, and of each activity the rounds in which
# nothing was in vain; then pairs of counts.
SLOTS, ACTIVITIES, GUARDS = 32, 32, 16
SLOT = struct.Struct(f'QQ{ACTIVITIES}Q')
LEDGER_BYTES = SLOTS * SLOT.size + GUARDS * 16

NATIVE, CLASSIC = 'native', 'preloaded'
RESIDENTS = (NATIVE, NATIVE, CLASSIC)
VICTIMS = (NATIVE, NATIVE, NATIVE, NATIVE, CLASSIC, CLASSIC)

# A round waits for some milliseconds at most, if it gets a processor.  In a run that is shorter than twice
# that, half of it has to do, or a process that hangs would not be seen.
STUCK_S = 60
KILL_EVERY_S = 0.05
SAMPLES = 120
ROWS = 24
# Before that much time nothing is said of growth.
FLAT_S = 300

# What is measured, how it is called, and by how much the median may move: absolutely, or by a share,
# whichever is more.  Heaps and tables grow in steps.
FIGURES = {
    'descriptors': ('descriptors', 2, 0),
    'threads': ('threads', 0, 0),
    'heap_kib': ('heap KiB', 256, 0.02),
    'mappings': ('mappings', 8, 0.05),
    'shm_kib': ('/dev/shm KiB', 256, 0.02),
    'shm_files': ('files', 2, 0.02),
}
OF_RESIDENTS = ('descriptors', 'threads', 'heap_kib', 'mappings')


def growth(values):
    """The medians of the second quarter and of the last."""
    quarter = len(values) // 4
    return (statistics.median(values[quarter:2 * quarter]),
            statistics.median(values[len(values) - quarter:]))


def is_flat(figure, values):
    _, absolute, share = FIGURES[figure]
    before, after = growth(values)
    return after - before <= max(absolute, before * share)


# Signals that ask for the end: it comes between two steps, so that nothing is left behind.
ended_by = []


def listen():
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # Who has it ignored, as in the background of a script, does not mean this program either.
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, lambda number, frame: ended_by.append(number))


class Process:
    """A slot of the ledger and who works in it."""

    def __init__(self, run, slot, kind):
        self.run, self.slot, self.kind = run, slot, kind
        self.child = self.rounds = self.seen_at = None
        self.complaints = tempfile.TemporaryFile(dir=run.scratch)

    def start(self):
        words = [self.run.ledger, str(self.slot), str(self.run.random.getrandbits(63)), str(os.getpid())]
        if self.kind == CLASSIC:
            command = [self.run.command, 'run', '--only', 'mq,msg,sem,shm', '--', self.run.classic]
        else:
            command = [self.run.native]
        self.child = subprocess.Popen(command + words, env=self.run.environment,
                                      stdin=subprocess.DEVNULL, stdout=self.complaints,
                                      stderr=self.complaints)
        self.seen_at = time.monotonic()

    def kill(self):
        """Says what was wrong with it, if anything was."""
        self.child.kill()
        status = self.child.wait()
        return None if status == -signal.SIGKILL else f'ended with {status}: {self.said()}'

    def said(self):
        self.complaints.seek(0)
        return '; '.join(self.complaints.read().decode(errors='replace').split('\n')[:8])

    def look(self):
        """What is wrong with it while it runs, or nothing."""
        if self.child.poll() is not None:
            return f'ended with {self.child.returncode}: {self.said()}'
        rounds, activity, *_ = self.run.read_slot(self.slot)
        now = time.monotonic()
        if rounds != self.rounds:
            self.rounds, self.seen_at = rounds, now
        elif now - self.seen_at > self.run.stuck_s:
            where = self.run.activities[self.kind][activity - 1] if activity else 'its start, or between two rounds'
            return f'stuck for {self.run.stuck_s:g} s at {where}'
        return None

    def measure(self):
        """Descriptors, threads, memory of its own in KiB, and pieces of address space."""
        path = f'/proc/{self.child.pid}'
        with open(f'{path}/status', encoding='ascii') as stream:
            lines = dict(line.split(':', 1) for line in stream)
        with open(f'{path}/maps', encoding='utf-8') as stream:
            mappings = sum(1 for _ in stream)
        return {'descriptors': len(os.listdir(f'{path}/fd')),
                'threads': int(lines['Threads']),
                'heap_kib': int(lines['RssAnon'].split()[0]),
                'mappings': mappings}


class Run:
    """A namespace, a ledger, and the processes."""

    def __init__(self, arguments):
        self.command, self.native, self.classic = map(
            os.path.abspath, (arguments.command, arguments.load, arguments.load_classic))
        self.seconds = arguments.seconds
        self.stuck_s = min(STUCK_S, self.seconds / 2)
        self.random = random.Random(arguments.seed)
        self.activities = {kind: self.list_activities(program) for kind, program in
                           ((NATIVE, self.native), (CLASSIC, self.classic))}
        parent = '/dev/shm' if os.access('/dev/shm', os.W_OK) else None
        self.path = tempfile.mkdtemp(prefix='tenon-load.', dir=parent)
        self.scratch = tempfile.mkdtemp(prefix='tenon-load-files.')
        self.ledger = os.path.join(self.scratch, 'ledger')
        with open(self.ledger, 'wb') as stream:
            stream.truncate(LEDGER_BYTES)
        self.ledger_fd = os.open(self.ledger, os.O_RDONLY)
        self.environment = {**os.environ, 'TENON_NAMESPACE': self.path, 'LC_ALL': 'C.UTF-8'}
        kinds = RESIDENTS + VICTIMS
        processes = [Process(self, slot, kind) for slot, kind in enumerate(kinds)]
        self.residents, self.victims = processes[:len(RESIDENTS)], processes[len(RESIDENTS):]
        self.kills = 0
        self.samples = []
        self.wrong = []

    def list_activities(self, program):
        done = subprocess.run([program, '--list'], capture_output=True, text=True, check=True)
        return done.stdout.split()

    def read_slot(self, slot):
        return SLOT.unpack(os.pread(self.ledger_fd, SLOT.size, slot * SLOT.size))

    def tenon(self, *words):
        return subprocess.run([self.command, *words], env=self.environment, capture_output=True,
                              text=True, check=False)

    def measure_folder(self):
        blocks = files = 0
        for folder, _, names in os.walk(self.path):
            for name in names:
                try:
                    blocks += os.lstat(os.path.join(folder, name)).st_blocks
                    files += 1
                except FileNotFoundError:
                    pass  # removed meanwhile
        return {'shm_kib': blocks // 2, 'shm_files': files}

    def sample(self, begun):
        self.samples.append({
            'seconds': time.monotonic() - begun,
            'kills': self.kills,
            'rounds': sum(self.read_slot(slot)[0] for slot in range(SLOTS)),
            'residents': [process.measure() for process in self.residents],
            **self.measure_folder(),
        })

    def look(self):
        for name, processes in (('resident', self.residents), ('victim', self.victims)):
            for process in processes:
                fault = process.look()
                if fault:
                    self.wrong.append(f'a {process.kind} {name}: {fault}')
        return not self.wrong

    def kill_one(self):
        process = self.random.choice(self.victims)
        fault = process.kill()
        if fault:
            self.wrong.append(f'a {process.kind} victim: {fault}')
        self.kills += 1
        process.start()

    def work(self):
        begun = time.monotonic()
        interval = max(self.seconds / SAMPLES, 0.25)
        next_sample = begun + interval
        for process in self.residents + self.victims:
            process.start()
        print_heading()
        while not ended_by and time.monotonic() < begun + self.seconds and self.look():
            time.sleep(self.random.random() * KILL_EVERY_S * 2)
            self.kill_one()
            if time.monotonic() >= next_sample and self.look():
                self.sample(begun)
                next_sample += interval
                if len(self.samples) % (SAMPLES // ROWS) == 1:
                    print_row(self.samples[-1])
        if self.samples:
            print_row(self.samples[-1])

    def idle_activities(self):
        """Those that never did what they are for, as where all calls time out."""
        for kind, names in self.activities.items():
            slots = [self.read_slot(process.slot)[2:] for process in self.residents + self.victims
                     if process.kind == kind]
            for number, name in enumerate(names):
                if not any(whole[number] for whole in slots):
                    yield f'{kind} {name}'

    def end(self):
        for process in self.residents + self.victims:
            if process.child and process.child.poll() is None:
                process.child.kill()
            if process.child:
                process.child.wait()

    def settle(self):
        """What the dead had is given back, and everything can be removed.  Says what is wrong."""
        faults = []
        for name, key, expected in (('/semaphore', 'value', 3), ('/lock', 'shared', 0),
                                    ('/fifo', 'damaged', False)):
            done = self.tenon('stat', '--json', name)
            seen = json.loads(done.stdout).get(key) if done.returncode == 0 else done.stderr
            if seen != expected:
                faults.append(f'{name}: {key} is {seen}, not {expected}')
        for entry in json.loads(self.tenon('ls', '--json').stdout):
            done = self.tenon('rm', '--kind', entry['kind'], entry['name'])
            if done.returncode:
                faults.append(done.stderr.strip())
        # What was left beside a queue goes with one of the next that are removed: one out of 128.
        for _ in range(3000):
            if ended_by or not self.measure_folder()['shm_files']:
                break
            self.tenon('create', 'queue', 'last')
            self.tenon('rm', 'last')
        left = self.measure_folder()['shm_files']
        if left:
            faults.append(f'{left} files are left: {os.listdir(self.path)[:5]}')
        return faults

    def clear(self):
        os.close(self.ledger_fd)
        shutil.rmtree(self.path)
        shutil.rmtree(self.scratch)


def print_heading():
    print(f'# figures of {"/".join(RESIDENTS)} residents, who live on, and of the folder in /dev/shm')
    print('#     time    kills    rounds  descriptors  threads        heap KiB     mappings  '
          '/dev/shm KiB  files')


def print_row(sample):
    def of_each(figure):
        return '/'.join(str(resident[figure]) for resident in sample['residents'])

    print(f"# {sample['seconds']:7.0f}s {sample['kills']:8} {sample['rounds']:9} "
          f"{of_each('descriptors'):>12} {of_each('threads'):>8} {of_each('heap_kib'):>15} "
          f"{of_each('mappings'):>12} {sample['shm_kib']:13} {sample['shm_files']:6}", flush=True)


def series_of(samples):
    """The name and the values of everything that is judged."""
    for figure in FIGURES:
        if figure not in OF_RESIDENTS:
            yield figure, FIGURES[figure][0], [sample[figure] for sample in samples]
            continue
        for number, kind in enumerate(RESIDENTS):
            yield (figure, f'{FIGURES[figure][0]}, resident {number + 1} ({kind})',
                   [sample['residents'][number][figure] for sample in samples])


def report_growth(samples, say):
    seconds = samples[-1]['seconds'] if samples else 0
    for figure, name, values in series_of(samples):
        if seconds < FLAT_S:
            say(True, f'{name} # SKIP a run of {seconds:.0f} s does not tell; it takes {FLAT_S}')
            continue
        before, after = growth(values)
        say(is_flat(figure, values), f'{name}: {"flat" if is_flat(figure, values) else "GROWS"}, '
            f'{before:g} in the second quarter, {after:g} in the last, at most {max(values):g}')


def conclusion(samples):
    """All that was judged, in a line for people."""
    seconds = samples[-1]['seconds'] if samples else 0
    if seconds < FLAT_S:
        return (f'Whether memory, descriptors, threads and /dev/shm stay flat was NOT JUDGED: {seconds:.0f} s are too few; '
                f'it takes {FLAT_S} s, as SOAK_HOURS=0.1 gives')
    growing = [name for figure, name, values in series_of(samples) if not is_flat(figure, values)]
    if growing:
        return f'GROWING over {seconds:.0f} s: {"; ".join(growing)}'
    return f'Memory, descriptors and threads of those who live on, and /dev/shm, stayed FLAT over {seconds:.0f} s'


def judge(run, say):
    for fault in run.wrong[:8]:
        print(f'# {fault}')
    say(not run.wrong, f'{run.kills} kills, and nobody hangs, loses or tears anything')
    idle = list(run.idle_activities())
    say(not idle, f'each activity does what it is for{": not " if idle else ""}{", ".join(idle)}')
    report_growth(run.samples, say)
    faults = run.settle()
    for fault in faults[:8]:
        print(f'# {fault}')
    say(not faults, 'what the dead had is given back, and nothing is left behind')
    print(f'# {conclusion(run.samples)}')


def run_load(arguments):
    cases = []

    def say(is_right, text):
        cases.append(is_right)
        print(f'{"ok" if is_right else "not ok"} {len(cases)} - {text}', flush=True)

    print(f'# --seed {arguments.seed}', flush=True)
    listen()
    run = Run(arguments)
    try:
        run.work()
        run.end()
        if not ended_by:
            judge(run, say)
    finally:
        run.end()
        run.clear()
    if ended_by:
        print(f'Bail out! ended by {signal.Signals(ended_by[0]).name}')
        return 128 + ended_by[0]
    print(f'1..{len(cases)}')
    return not all(cases)


def self_test():
    """Growth is seen through noise and behind steps, and noise is none."""
    noise = random.Random(1)
    steady = [100 + noise.randrange(3) for _ in range(SAMPLES)]
    filling = [min(100, 10 * i) + value for i, value in enumerate(steady)]
    leaking = [value + i * 8 // SAMPLES for i, value in enumerate(steady)]
    cases = [(name, is_flat('descriptors', values) == expected) for name, values, expected in
             (('noise', steady, True), ('filling up', filling, True), ('a leak', leaking, False))]

    def concluded(values, seconds):
        return conclusion([{**dict.fromkeys(FIGURES, 1), 'seconds': seconds,
                            'residents': [{**dict.fromkeys(OF_RESIDENTS, 1), 'descriptors': value}] * len(RESIDENTS)}
                           for value in values])

    cases += [('said in words: a leak', concluded(leaking, FLAT_S).startswith('GROWING') and
               'descriptors, resident 1' in concluded(leaking, FLAT_S)),
              ('said in words: none', 'stayed FLAT' in concluded(steady, FLAT_S)),
              ('said in words: too short', 'NOT JUDGED' in concluded(leaking, FLAT_S - 1))]
    print(f'1..{len(cases)}')
    wrong = 0
    for number, (name, right) in enumerate(cases, 1):
        wrong += not right
        print(f'{"ok" if right else "not ok"} {number} - {name}')
    return wrong > 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--seconds', type=float,
                        default=float(os.environ.get('SOAK_SECONDS') or 3600))
    parser.add_argument('--seed', type=int, default=random.SystemRandom().getrandbits(31))
    parser.add_argument('--self-test', action='store_true')
    parser.add_argument('command', nargs='?')
    parser.add_argument('load', nargs='?')
    parser.add_argument('load_classic', nargs='?')
    arguments = parser.parse_args()
    if arguments.self_test:
        return self_test()
    if not arguments.load_classic:
        parser.error('the command, and both programs')
    return run_load(arguments)


if __name__ == '__main__':
    sys.exit(main())
