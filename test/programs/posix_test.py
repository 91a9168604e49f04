#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Programs that nobody here wrote use POSIX message queues, semaphores and shared memory under `tenon run`,
where the kernel's own message queues are switched off: in namespaces of their own, with 64 MiB of /dev/shm, as
root and as an ordinary user.  The control is a library that answers ENOSYS: with it, what passes here must not.

    posix_test.py TENON ENOSYS_LIBRARY EXAMPLES

The test runs itself once more inside the namespaces (posix_test.py --inside …).
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

# Nothing that passes comes near it.
WATCHDOG_S = 120
NOBODY = 65534
SHM_MIB = 64
# The kernel's queues: after this every mq_open, msgget, shmget and semget of its own fails.
OFF = (('fs/mqueue/queues_max', '0'), ('kernel/msgmni', '0'), ('kernel/shmmni', '0'),
       ('kernel/sem', '32000 1024000000 500 0'))

# stress-ng's sem ends with its time, and not with its operations.
STRESS = (('mq', '--mq 4 --mq-ops 20000 --timeout 60', 'mq'),
          ('mq of 4 messages', '--mq 2 --mq-size 4 --mq-ops 5000 --timeout 60', 'mq'),
          ('sem', '--sem 2 --sem-procs 4 --timeout 3', 'mq,sem,shm'),
          ('shm', '--shm 2 --shm-bytes 1m --shm-objs 8 --shm-ops 200 --timeout 60', 'mq,sem,shm'))

PYTHON = r'''
import multiprocessing as mp, multiprocessing.shared_memory as sm, os
def work(lock, semaphore, event, queue, name, i):
    memory = sm.SharedMemory(name)
    for _ in range(200):
        with lock:
            memory.buf[0:8] = (int.from_bytes(memory.buf[0:8], "little") + 1).to_bytes(8, "little")
    with semaphore:
        event.wait(20)
        queue.put(i)
    memory.close()
if __name__ == "__main__":
    context = mp.get_context("fork")
    memory = sm.SharedMemory(create=True, size=4096)
    lock, semaphore, event, queue = context.Lock(), context.BoundedSemaphore(2), context.Event(), context.Queue()
    workers = [context.Process(target=work, args=(lock, semaphore, event, queue, memory.name, i)) for i in range(6)]
    [w.start() for w in workers]
    event.set()
    print(sorted(queue.get(timeout=20) for w in workers))
    [w.join(20) for w in workers]
    print(int.from_bytes(memory.buf[0:8], "little"), lock.acquire(timeout=1), lock.acquire(timeout=0.01))
    condition, barrier = context.Condition(), context.Barrier(1)
    with condition: print(condition.wait(0.01), barrier.wait(5))
    memory.close(); memory.unlink()
'''
PYTHON_SAYS = '[0, 1, 2, 3, 4, 5]\n1200 True False\nFalse 0\n'

HELLO = ('the child hears "there is a fire" (priority 9)\nthe child hears "hello, child" (priority 1)\n'
         'the child hears "how are you?" (priority 1)\nthe parent hears "hello, parent"\n')
BUFFER = '10000 items, their sum is 50005000\n'

# One that gives its rights up: what it makes then is its new user's, and what it made before is root's still.
DROPPED = r'''
import ctypes, errno, os
libc = ctypes.CDLL(None, use_errno=True)
libc.sem_open.restype = ctypes.c_void_p
def say(what, result): print(what, "done" if result >= 0 else errno.errorcode[ctypes.get_errno()])
def opened(semaphore): return 0 if semaphore else -1
os.umask(0)
new, old = os.O_CREAT | os.O_EXCL | os.O_RDWR, os.O_RDWR
libc.mq_open(b"/roots", new, 0o600, None), libc.mq_open(b"/alls", new, 0o666, None)
libc.shm_open(b"/roots", new, 0o600), libc.sem_open(b"/roots", new, 0o600, 1)
os.seteuid(65534)
for call in "mq", "shm":
    open, unlink = getattr(libc, call + "_open"), getattr(libc, call + "_unlink")
    say(call, open(b"/own", new, 0o400, None)); say("again", open(b"/own", old, 0, None))
    say("removed", unlink(b"/own")); say("root's", open(b"/roots", old, 0, None)); say("not", unlink(b"/roots"))
say("all's", libc.mq_open(b"/alls", old))
say("sem", opened(libc.sem_open(b"/own", new, 0o444, 1))); say("again", opened(libc.sem_open(b"/own", 0)))
say("removed", libc.sem_unlink(b"/own")); say("not", libc.sem_unlink(b"/roots"))
os.seteuid(0)
for unlink in libc.mq_unlink, libc.shm_unlink, libc.sem_unlink: say("root", unlink(b"/roots"))
libc.mq_unlink(b"/alls")
'''
ONE_SAYS = '{} done\nagain EACCES\nremoved done\n'
OTHERS_SAY = "root's EACCES\nnot EACCES\n"
DROPPED_SAYS = (ONE_SAYS.format('mq') + OTHERS_SAY + ONE_SAYS.format('shm') + OTHERS_SAY + "all's done\n" +
                ONE_SAYS.format('sem') + 'not EACCES\n' + 'root done\n' * 3)


class Inside:
    """What is run inside the namespaces, as one user."""

    def __init__(self, tenon, enosys, examples, user):
        self.tenon, self.enosys, self.examples, self.user = tenon, enosys, examples, user
        self.folder = tempfile.mkdtemp(prefix='tenon-test-posix.', dir='/tmp')
        os.chmod(self.folder, 0o777)
        self.cases = []

    def run(self, *command, environment=None, text=None):
        def become():
            if self.user:
                os.setgroups([])
                os.setresgid(self.user, self.user, self.user)
                os.setresuid(self.user, self.user, self.user)
        variables = {name: value for name, value in os.environ.items() if not name.startswith('TENON_')}
        variables.update(environment or {})
        try:
            return subprocess.run(command, text=True, check=False, input=text, env=variables, cwd=self.folder,
                                  preexec_fn=become, capture_output=True, timeout=WATCHDOG_S)
        except subprocess.TimeoutExpired as late:
            return subprocess.CompletedProcess(command, 'not done', late.stdout or '', late.stderr or '')

    def tenon_run(self, faces, *command, **others):
        only = ('--only', faces) if faces else ()
        return self.run(self.tenon, 'run', *only, '--', *command, **others)

    def case(self, name, fault):
        who = 'root' if not self.user else 'an ordinary user'
        print(f'{"not ok" if fault else "ok"} - {name}, as {who}', flush=True)
        if fault:
            print('\n'.join(f'# {line}' for line in str(fault).splitlines()[-20:]), flush=True)

    def skip(self, name, why):
        print(f'ok - {name} # SKIP {why}', flush=True)

    def stress(self, options, faces, environment=None):
        """Bogo-ops, or a sentence."""
        command = ('stress-ng', *options.split(), '--verify', '--metrics-brief')
        done = self.tenon_run(faces, *command) if faces else self.run(*command, environment=environment)
        said = done.stdout + done.stderr
        operations = re.search(r'metrc:.*? (?:mq|sem|shm) +(\d+) ', said)
        if done.returncode != 0 or not operations or int(operations.group(1)) == 0 or 'skipp' in said:
            return f'status {done.returncode}: {said}'
        return int(operations.group(1))

    def all(self):
        if shutil.which('stress-ng'):
            for name, options, faces in STRESS:
                operations = self.stress(options, faces)
                self.case(f'stress-ng {name}', None if isinstance(operations, int) else operations)
            operations = self.stress(STRESS[0][1], None, {'LD_PRELOAD': self.enosys})
            self.case('stress-ng does not pass with a library that answers ENOSYS',
                      f'{operations} operations' if isinstance(operations, int) else None)
            operations = self.stress(STRESS[0][1], None)
            self.case('nor with the kernel, whose queues are off',
                      f'{operations} operations' if isinstance(operations, int) else None)
        else:
            self.skip('stress-ng', 'there is no stress-ng')
        python = self.python()
        if python:
            self.says('Python: multiprocessing', PYTHON_SAYS, 'mq,sem,shm', python, '-c', PYTHON)
            self.shell(python)
            if not self.user:
                self.says('rights given up', DROPPED_SAYS, 'mq,sem,shm', python, '-c', DROPPED)
        else:
            self.skip('Python', 'there is no Python that this user may run')
        self.says('hello by a queue', HELLO, '', os.path.join(self.examples, 'hello_queue'))
        self.says('a buffer in shared memory', BUFFER, 'sem,shm', os.path.join(self.examples, 'shared_buffer'))
        left = self.run(self.tenon, 'ls', '--json').stdout
        self.case('nothing is left in the namespace', None if json.loads(left or '[]') == [] else left)

    def says(self, name, wanted, faces, *command):
        done = self.tenon_run(faces, *command)
        fault = None
        if done.returncode != 0 or done.stdout != wanted or done.stderr:
            fault = f'status {done.returncode}: {done.stdout}{done.stderr}'
        self.case(name, fault)

    def python(self):
        """One that this user may run."""
        for path in (sys.executable, '/usr/bin/python3'):
            try:
                if self.run(path, '-c', 'import ctypes').returncode == 0:
                    return path
            except OSError:
                pass
        return None

    def shell(self, python):
        """A program waits for a message, and the shell looks at its queue and sends it."""
        program = ('import ctypes, os, sys\nlibc = ctypes.CDLL(None, use_errno=True)\n'
                   'class A(ctypes.Structure): _fields_ = [("f", ctypes.c_long), ("m", ctypes.c_long), '
                   '("s", ctypes.c_long), ("c", ctypes.c_long), ("r", ctypes.c_long * 4)]\n'
                   'a = A(0, 4, 64)\n'
                   'q = libc.mq_open(b"/shell", os.O_CREAT | os.O_RDWR, 0o600, ctypes.byref(a))\n'
                   'assert q >= 0, os.strerror(ctypes.get_errno())\n'
                   'assert libc.mq_send(q, b"from the program", 16, 7) == 0\n'
                   'import subprocess\n'
                   'def tenon(*a): return subprocess.run([sys.argv[1], *a], capture_output=True, text=True).stdout\n'
                   'print("/shell" in tenon("ls"), "from the program" in tenon("peek", "/shell"))\n'
                   'print("priority" in tenon("stat", "/shell"))\n'
                   'print(tenon("recv", "/shell").strip())\n'
                   'tenon("send", "/shell", "--priority", "5", "-m", "from the shell")\n'
                   'b = ctypes.create_string_buffer(64); p = ctypes.c_uint()\n'
                   'n = libc.mq_receive(q, b, 64, ctypes.byref(p)); print(b.raw[:n].decode(), p.value)\n'
                   'libc.mq_unlink(b"/shell")\n')
        self.says('the shell and the program on one queue',
                  'True True\nTrue\nfrom the program\nfrom the shell 5\n', '', python, '-c', program,
                  self.tenon)

    def end(self):
        shutil.rmtree(self.folder, ignore_errors=True)


def inside(tenon, enosys, examples):
    for path, value in OFF:
        with open(f'/proc/sys/{path}', 'w', encoding='ascii') as file:
            file.write(value)
    subprocess.run(['mount', '-t', 'tmpfs', '-o', f'size={SHM_MIB}m,mode=1777', 'tmpfs', '/dev/shm'], check=True)
    for user in (0, NOBODY):
        programs = Inside(tenon, enosys, examples, user)
        try:
            programs.all()
        finally:
            programs.end()


def main():
    if sys.argv[1] == '--inside':
        inside(*sys.argv[2:])
        return
    command = ['unshare', '--ipc', '--mount', '--fork', '--kill-child', sys.executable, __file__, '--inside',
               *map(os.path.abspath, sys.argv[1:])]
    probe = subprocess.run(['unshare', '--ipc', '--mount', 'true'], capture_output=True, check=False)
    if os.geteuid() != 0 or probe.returncode != 0:
        print('1..0 # SKIP it takes root to have an ipc and a mount namespace')
        return
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    lines = done.stdout.splitlines()
    number, failed = 0, done.returncode != 0
    for line in lines:
        match = re.match(r'(not ok|ok) - ', line)
        if match:
            number += 1
            failed = failed or match.group(1) == 'not ok'
            line = f'{match.group(1)} {number} - {line[match.end():]}'
        print(line)
    print(f'1..{number}')
    sys.exit(failed)


main()
