#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Programs that nobody here wrote use System V message queues, semaphores and shared memory under `tenon run`, where the
kernel's own are switched off: in namespaces of their own, with 64 MiB of /dev/shm, as root and as an ordinary user.

    sysv_test.py [--kernel] TENON ENOSYS_LIBRARY

Controls: each case passes with the kernel's own while they are on, and none does with a library that answers ENOSYS,
nor without Tenon when the kernel's are off.  With --kernel it is the first two only.

The test runs itself once more inside the namespaces (sysv_test.py --inside …).
"""

import os
import re
import shutil
import subprocess
import tempfile
import time

import programs
import sysv_postgres
import sysv_texts

STRESS = (('msg', '--msg 4 --msg-ops 20000'),
          ('sem-sysv', '--sem-sysv 2 --sem-sysv-ops 20000'),
          ('shm-sysv', '--shm-sysv 2 --shm-sysv-bytes 1m --shm-sysv-segs 4 --shm-sysv-ops 100'))
LIMIT_S = 60


class Way:
    """How a program comes to System V: by what stands before its words, and in its environment."""

    def __init__(self, users, words=(), environment=None, folder=None):
        self.users, self.words, self.environment, self.folder = users, words, environment or {}, folder

    def run(self, *command, environment=None, **others):
        return self.users.run(*self.words, *command, environment={**self.environment, **(environment or {})}, **others)

    def start(self, *command, **others):
        return subprocess.Popen([*self.words, *command], env=self.users.variables(self.environment),
                                cwd=self.users.folder, preexec_fn=self.users.become, **others)

    def left(self):
        """What there still is, for people."""
        if self.folder:
            return '\n'.join(sorted(os.listdir(self.folder)))
        lines = []
        for kind in ('msg', 'sem', 'shm'):
            with open(f'/proc/sysvipc/{kind}', encoding='ascii') as file:
                lines += file.read().splitlines()[1:]
        return '\n'.join(lines)

    def clear(self):
        """After a fault, so that the next case begins with nothing."""
        if self.folder:
            for name in os.listdir(self.folder):
                os.unlink(os.path.join(self.folder, name))
        else:
            subprocess.run(['ipcrm', '-a'], check=False)

    def still_left(self):
        """The same, when there was time to end: faked removes its own after the program has ended."""
        end = time.monotonic() + LIMIT_S
        while self.left() and time.monotonic() < end:
            time.sleep(0.01)
        return self.left()


def says(way, wanted, *command, **others):
    done = way.run(*command, **others)
    if done.returncode != 0 or done.stdout != wanted or done.stderr:
        return f'status {done.returncode}: {done.stdout}{done.stderr}'
    return None


def write(way, name, text):
    path = os.path.join(way.users.folder, name)
    with open(path, 'w', encoding='utf-8') as file:
        file.write(text)
    return path


def fakeroot(way):
    """A package made and unpacked by many processes at once that are root for their daemon only, which the script starts."""
    write(way, 'Makefile', sysv_texts.FAKEROOT_MAKE)
    way.users.run('rm', '-rf', 'tree', 'state', *(f'copy{i}' for i in range(1, 9)))
    fault = says(way, sysv_texts.FAKEROOT_BUILT, 'fakeroot-sysv', '-s', 'state', '--', 'sh', '-c',
                 sysv_texts.FAKEROOT_BUILD)
    if fault:
        return fault
    listed = way.users.run('dpkg-deb', '-c', 'package.deb').stdout
    for pattern in (r'brw-r----- (root|0)/(disk|6) +8,1 .*disk', r'crw-r--r-- root/root +1,3 .*null',
                    r'-rwsr-x--- (sync|4)/(\w+|14) +2 .*f4\b'):
        if not re.search(pattern, listed):
            return f'no {pattern} in {listed}'
    return (says(way, sysv_texts.FAKEROOT_UNPACKED, 'fakeroot-sysv', '--', 'sh', '-c', sysv_texts.FAKEROOT_UNPACK) or
            says(way, '12:112 4750 regular file\n0:6 640 block special file\n', 'fakeroot-sysv', '-i', 'state', '--',
                 'stat', '-c', '%u:%g %a %F', 'tree/usr/lib/f12', 'tree/dev/disk'))


def perl(way):
    return says(way, sysv_texts.PERL_SAYS, 'perl', '-e', sysv_texts.PERL)


def python(way):
    return says(way, sysv_texts.PYTHON_SAYS, way.users.python('sysv_ipc'), '-c', sysv_texts.PYTHON)


def php(way):
    return says(way, sysv_texts.PHP_SAYS, 'php', write(way, 'test.php', sysv_texts.PHP))


def stress(way):
    for name, options in STRESS:
        done = way.run('stress-ng', *options.split(), '--timeout', str(LIMIT_S), '--verify', '--metrics-brief')
        operations = programs.operations_of(done, name)
        if not isinstance(operations, int):
            return f'{name}: {operations}'
    return None


def util_linux(way):
    """ipcmk makes, ipcs shows, ipcrm removes: by number, by key, and all."""
    made, keys = {}, {}
    for kind, options in (('q', '-Q'), ('m', '-M 5000'), ('s', '-S 3')):
        for turn in range(3):
            done = way.run('ipcmk', '-p', '0640', *options.split())
            match = re.search(r' id: (\d+)$', done.stdout.strip())
            if done.returncode != 0 or not match:
                return f'ipcmk {options}: {done.stdout}{done.stderr}'
            made[kind, turn] = match.group(1)
        shown = way.run('ipcs', '-' + kind).stdout
        for turn in range(3):
            match = re.search(rf'^(0x[0-9a-f]+) +{made[kind, turn]} +\S+ +640 +({"5000" if kind == "m" else "[03]"})\b',
                              shown, re.MULTILINE)
            if not match:
                return f'ipcs -{kind} does not show {made[kind, turn]}: {shown}'
            keys[kind, turn] = match.group(1)
    used = way.run('ipcs', '-u').stdout
    for pattern in (r'allocated queues = 3', r'segments allocated 3', r'used arrays = 3', r'allocated semaphores = 9'):
        if not re.search(pattern, used):
            return f'no {pattern} in {used}'
    for kind, pattern in (('q', r'msqid=(\d+)'), ('m', r'shmid=(\d+)'), ('s', r'semid=(\d+)')):
        detail = way.run('ipcs', '-' + kind, '-i', made[kind, 0]).stdout
        if re.findall(pattern, detail) != [made[kind, 0]] or not re.search(r'mode=0640|access_perms=0640', detail):
            return f'ipcs -{kind} -i: {detail}'
        for option, word in ((kind, made[kind, 0]), (kind.upper(), keys[kind, 1])):
            fault = says(way, '', 'ipcrm', '-' + option, word)
            if fault or way.run('ipcrm', '-' + option, word).returncode == 0:
                return f'ipcrm -{option} {word}: {fault or "twice"}'
        shown = way.run('ipcs', '-' + kind).stdout
        if made[kind, 0] in shown.split() or made[kind, 1] in shown.split() or made[kind, 2] not in shown.split():
            return f'after ipcrm: {shown}'
    return says(way, '', 'ipcrm', '-a')


# A name, what has to be there, the case, and whether it is for root, too.
CASES = (('fakeroot', 'fakeroot-sysv', fakeroot, True), ('Perl', 'perl', perl, True), ('Python', 'python3', python, True),
         ('PHP', 'php', php, True), ('stress-ng', 'stress-ng', stress, True), ('util-linux', 'ipcmk', util_linux, True),
         ('PostgreSQL', '/usr/lib/postgresql', sysv_postgres.postgres, False))


def why_not(users, name, needed, with_root):
    if not users.user and not with_root:
        return 'it refuses to be run by root'
    if not os.path.exists(needed) and not shutil.which(needed):
        return f'there is no {needed}'
    if name == 'Python' and not users.python('sysv_ipc'):
        return 'there is no Python that has sysv_ipc'
    if name == 'PHP' and 'sysvmsg\nsysvsem\nsysvshm' not in users.run('php', '-m').stdout:
        return 'it has no sysvmsg, sysvsem, sysvshm'
    return None


def wiped(users):
    """What a case leaves in its user's folder is nothing to the next."""
    for name in os.listdir(users.folder):
        users.run('rm', '-rf', name)


def try_case(way, case):
    try:
        fault = case(way)
        left = way.still_left() if not fault else None
        return fault or (left and f'left behind: {left}')
    finally:
        way.clear()
        wiped(way.users)


def all_cases(users, say, way):
    for name, needed, case, with_root in CASES:
        why = why_not(users, name, needed, with_root)
        if why:
            users.skip(name, why)
            continue
        say(name, try_case(way, case))


def passes(users, how):
    return lambda name, fault: users.case(f'{name} {how}', fault)


def fails(users, how):
    return lambda name, fault: users.case(f'{name} does not pass {how}', None if fault else 'it passes')


def for_each_user(tenon, work):
    for user in (0, programs.NOBODY):
        users = programs.Programs(tenon, user)
        try:
            work(users)
        finally:
            users.end()


def with_kernel(enosys):
    def work(users):
        all_cases(users, passes(users, "with the kernel's"), Way(users))
        all_cases(users, fails(users, 'with a library that answers ENOSYS'), Way(users, environment={'LD_PRELOAD': enosys}))
    return work


def with_tenon(users):
    all_cases(users, fails(users, "with the kernel's off"), Way(users))
    folder = tempfile.mkdtemp(prefix='tenon-test-programs.', dir='/dev/shm')
    os.chown(folder, users.user, users.user)
    all_cases(users, passes(users, 'with Tenon'),
              Way(users, (users.tenon, 'run', '--namespace', folder, '--'), folder=folder))
    os.rmdir(folder)


def inside(*words):
    only_kernel = words[0] == '--kernel'
    tenon, enosys = words[only_kernel:]
    programs.mount_memory()
    for_each_user(tenon, with_kernel(enosys))
    if not only_kernel:
        programs.switch_kernel_off()
        for_each_user(tenon, with_tenon)


if __name__ == '__main__':
    programs.main(__file__, inside)
