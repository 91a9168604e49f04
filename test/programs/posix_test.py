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
import shutil

import programs

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


class Inside(programs.Programs):
    """What is run inside the namespaces, as one user."""

    def __init__(self, tenon, enosys, examples, user):
        super().__init__(tenon, user)
        self.enosys, self.examples = enosys, examples

    def tenon_run(self, faces, *command, **others):
        only = ('--only', faces) if faces else ()
        return self.run(self.tenon, 'run', *only, '--', *command, **others)

    def stress(self, options, faces, environment=None):
        """Bogo-ops, or a sentence."""
        command = ('stress-ng', *options.split(), '--verify', '--metrics-brief')
        done = self.tenon_run(faces, *command) if faces else self.run(*command, environment=environment)
        return programs.operations_of(done, 'mq|sem|shm')

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


def inside(tenon, enosys, examples):
    programs.switch_kernel_off()
    programs.mount_memory()
    for user in (0, programs.NOBODY):
        users = Inside(tenon, enosys, examples, user)
        try:
            users.all()
        finally:
            users.end()


programs.main(__file__, inside)
