# SPDX-License-Identifier: Apache-2.0
"""PostgreSQL, whose shared memory is System V's.  It finds out by shm_nattch whether an old server's children live."""

import glob
import os
import re
import signal
import subprocess
import time

import programs

PATIENCE_S = 60
SETTINGS = '''
shared_buffers = 2MB
max_connections = 12
max_worker_processes = 4
max_wal_senders = 0
wal_level = minimal
autovacuum_max_workers = 1
shared_memory_type = sysv
dynamic_shared_memory_type = sysv
listen_addresses = ''
unix_socket_directories = '{folder}'
fsync = off
'''
# In shared memory made for it, by two workers beside the one who asks.
PARALLEL = '''set max_parallel_workers_per_gather = 2; set parallel_setup_cost = 0; set parallel_tuple_cost = 0;
set min_parallel_table_scan_size = 0; select count(*), count(distinct bid) from pgbench_accounts;'''
WORKERS = '''set max_parallel_workers_per_gather = 2; set parallel_setup_cost = 0; set parallel_tuple_cost = 0;
set min_parallel_table_scan_size = 0; explain (analyze, costs off, timing off) select count(*) from pgbench_accounts;'''
BALANCED = '''select (select sum(abalance) from pgbench_accounts) = (select sum(delta) from pgbench_history)
and (select sum(bbalance) from pgbench_branches) = (select sum(tbalance) from pgbench_tellers)
and (select sum(tbalance) from pgbench_tellers) = (select sum(delta) from pgbench_history)'''


class Fault(Exception):
    """What was not as it has to be."""


def folder_of_programs():
    """Where Debian has them, the newest."""
    found = sorted(glob.glob('/usr/lib/postgresql/*/bin/postgres'), key=lambda path: int(path.split('/')[4]))
    return os.path.dirname(found[-1]) if found else None


def is_alive(pid):
    try:
        with open(f'/proc/{pid}/stat', encoding='utf-8', errors='replace') as file:
            return file.read().rpartition(')')[2].split()[0] not in 'ZX'
    except OSError:
        return False


def wait_until(condition, what):
    end = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > end:
            raise Fault(f'{what}: not within {PATIENCE_S} s')
        time.sleep(0.01)


class Postgres:
    """One cluster, started by `way`, which is a sysv_test.Way."""

    def __init__(self, way):
        self.way = way
        self.bin = folder_of_programs()
        self.folder = os.path.join(way.users.folder, 'postgres')
        self.data = os.path.join(self.folder, 'data')
        self.server = None

    def do(self, name, *words, **others):
        done = self.way.run(os.path.join(self.bin, name), *words,
                            environment={'PGHOST': self.folder, 'PGUSER': 'postgres', 'LC_ALL': 'C'}, **others)
        if done.returncode != 0:
            raise Fault(f'{name}: status {done.returncode}: {done.stdout}{done.stderr}{self.log()}')
        return done.stdout

    def ask(self, question):
        return self.do('psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-c', question, 'postgres').strip()

    def log(self):
        try:
            with open(os.path.join(self.folder, 'log'), encoding='utf-8', errors='replace') as file:
                return file.read()[-2000:]
        except OSError:
            return ''

    def create(self):
        self.way.users.run('mkdir', self.folder)
        self.do('initdb', '-D', self.data, '-U', 'postgres', '-A', 'trust', '--no-sync')
        with open(os.path.join(self.data, 'postgresql.conf'), 'a', encoding='utf-8') as file:
            file.write(SETTINGS.format(folder=self.folder))

    def launch(self):
        with open(os.path.join(self.folder, 'log'), 'w', encoding='utf-8') as log:
            self.server = self.way.start(os.path.join(self.bin, 'postgres'), '-D', self.data, stdout=log, stderr=log)

    def is_ready(self):
        if self.server.poll() is not None:
            raise Fault(f'the server ended with {self.server.returncode}: {self.log()}')
        return self.way.users.run(os.path.join(self.bin, 'pg_isready'), '-q', '-h', self.folder).returncode == 0

    def start(self):
        self.launch()
        wait_until(self.is_ready, 'the start of the server')

    def children(self):
        with open(f'/proc/{self.server.pid}/task/{self.server.pid}/children', encoding='ascii') as file:
            return [int(pid) for pid in file.read().split()]

    def kill(self):
        """The postmaster alone; its children, who are to end by themselves."""
        children = self.children()
        self.server.kill()
        self.server.wait()
        return children

    def status(self):
        """Of the server, that ends."""
        try:
            return self.server.wait(PATIENCE_S)
        except subprocess.TimeoutExpired as late:
            raise Fault(f'the server does not end: {self.log()}') from late

    def stop(self):
        self.server.send_signal(signal.SIGINT)
        if self.status() != 0:
            raise Fault(f'the server ended with {self.server.returncode}: {self.log()}')

    def end(self):
        """Whatever is left of it, after a fault."""
        if self.server and self.server.poll() is None:
            children = self.kill()
            for child in children:
                if is_alive(child):
                    os.kill(child, signal.SIGCONT)
            wait_until(lambda: not any(map(is_alive, children)), 'the end of what is left')


def work(server):
    server.do('pgbench', '-i', '-q', 'postgres')
    said = server.do('pgbench', '-c', '4', '-j', '2', '-t', '100', 'postgres')
    if 'actually processed: 400/400' not in said:
        raise Fault(said)
    if server.ask(PARALLEL) != '100000|1':
        raise Fault('two workers do not count as one does')
    plan = server.ask(WORKERS)
    if not re.search(r'Workers Launched: [12]', plan):
        raise Fault(f'no workers: {plan}')


def count(server):
    return int(server.ask('select count(*) from pgbench_history'))


def die_and_come_back(server):
    """Killed among its work; one child is held, so that no other server may begin; then it is let go."""
    bench = server.way.start(os.path.join(server.bin, 'pgbench'), '-h', server.folder, '-U', 'postgres', '-n', '-c', '3',
                             '-T', str(programs.WATCHDOG_S), 'postgres', stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL)
    held = None
    try:
        wait_until(lambda: count(server) > 500, 'five hundred transactions')
        held = next(child for child in server.children())
        os.kill(held, signal.SIGSTOP)
        children = server.kill()
        wait_until(lambda: bench.poll() is not None, 'the end of pgbench')
        wait_until(lambda: not any(is_alive(child) for child in children if child != held), 'the end of its children')
        server.launch()
        if server.status() == 0 or 'is still in use' not in server.log():
            raise Fault(f'a second server beside the child of the first: {server.log()}')
        os.kill(held, signal.SIGCONT)
        wait_until(lambda: not is_alive(held), 'the end of the child that was held')
        held = None
    finally:
        if held and is_alive(held):
            os.kill(held, signal.SIGCONT)
        if bench.poll() is None:
            bench.kill()
            bench.wait()
    server.start()
    done = count(server)
    if done <= 500 or server.ask(BALANCED) != 't':
        raise Fault(f'the books do not balance after {done} transactions')
    server.do('pgbench', '-n', '-c', '2', '-t', '50', 'postgres')
    if count(server) != done + 100 or server.ask(BALANCED) != 't':
        raise Fault('the books do not balance after the second run')


def postgres(way):
    server = Postgres(way)
    try:
        server.create()
        server.start()
        work(server)
        die_and_come_back(server)
        server.stop()
        server.start()
        if server.ask(BALANCED) != 't':
            raise Fault('the books do not balance after the restart')
        server.stop()
    except Fault as fault:
        return str(fault)
    finally:
        server.end()
    return None
