# SPDX-License-Identifier: Apache-2.0
"""What the tests of the command share: a namespace of their own, the command, and checks.

A test is a function whose name begins with test_; main() runs those of the calling file, each in a
fresh namespace, and ends with 1 if one failed, with 77 if all were skipped.
"""

import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback

# Long enough for a loaded machine under sanitizers; nothing that passes comes near it.
WATCHDOG_S = 60
# All moments of kill_at_any_moment() are within so many seconds, however long the command took when it was timed.
SPAN_MOST_S = 0.5


class Skip(Exception):
    """What the test needs is not to be had here."""


def as_nobody(namespace):
    """How to run the command as another user, who may look into the namespace."""
    nobody = {'user': 65534, 'group': 65534, 'extra_groups': []}
    if os.geteuid():
        raise Skip('needs root, to become somebody else')
    os.chmod(namespace.path, 0o755)
    if subprocess.run([namespace.command, 'version'], **nobody, capture_output=True,
                      check=False).returncode:
        raise Skip('nobody cannot run the command where it lies')
    return nobody


class Namespace:
    """A namespace, a folder for files, and the command with its children."""

    def __init__(self, command):
        self.command = command
        parent = '/dev/shm' if os.access('/dev/shm', os.W_OK) else None
        self.path = tempfile.mkdtemp(prefix='tenon-test-cli.', dir=parent)
        # Files of the test; nothing but queues belongs into the namespace.
        self.scratch = tempfile.mkdtemp(prefix='tenon-test-cli-files.', dir=parent)
        self.environment = {**os.environ, 'TENON_NAMESPACE': self.path, 'LC_ALL': 'C.UTF-8',
                            'TERM': 'xterm'}
        self.environment.pop('NO_COLOR', None)
        self.children = []

    def close(self):
        for child in self.children:
            if child.poll() is None:
                child.kill()
            child.wait()
            for stream in (child.stdin, child.stdout, child.stderr):
                if stream:
                    with contextlib.suppress(OSError):
                        stream.close()
        shutil.rmtree(self.path)
        shutil.rmtree(self.scratch)

    def run(self, *arguments, stdin=b'', status=0, error='', **options):
        """Runs the command to its end and checks its status and a part of its standard error."""
        if isinstance(stdin, str):
            stdin = stdin.encode()
        environment = {**self.environment, **options.pop('environment', {})}
        done = subprocess.run([self.command, *arguments], input=stdin, env=environment,
                              capture_output=True, timeout=WATCHDOG_S, check=False, **options)
        text = done.stderr.decode(errors='replace')
        if done.returncode != status or error not in text or (not error and not status and text):
            raise AssertionError(
                f'tenon {" ".join(map(str, arguments))}\n  status {done.returncode}, expected '
                f'{status}\n  error {text!r}, expected {error!r}\n  output {done.stdout[:300]!r}')
        return done.stdout

    def start(self, *arguments, **options):
        """Starts the command; it is killed at the end of the test if it still runs."""
        options = {'stdin': subprocess.PIPE, 'stdout': subprocess.PIPE, 'stderr': subprocess.PIPE,
                   **options}
        child = subprocess.Popen([self.command, *arguments], env=self.environment, **options)
        self.children.append(child)
        return child


def finish(child, status=0, stdin=None):
    """Waits for a started command; gives its output and its standard error."""
    output, error = child.communicate(stdin, timeout=WATCHDOG_S)
    equal(child.returncode, status, error)
    return output, error.decode(errors='replace')


def equal(actual, expected, about=''):
    if actual != expected:
        raise AssertionError(f'{about}\n  got      {actual!r:.600}\n  expected {expected!r:.600}')


def contains(whole, part):
    if part not in whole:
        raise AssertionError(f'{part!r} is not in {whole!r:.600}')


# Says its process and waits until it is told to end.
WAIT = ('sh', '-c', 'echo $$; exec sleep 1000')

# Counts what it gets, and says so when it gets SIGTERM.
COUNTER = ('python3', '-u', '-c', '''
import signal
got = []
signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 32))
print("ready")
while not got or got[-1] != "SIGTERM":
    got.append(signal.sigwait({signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGUSR1}).name)
    print(*got)
raise SystemExit(3)
''')

# One process that holds a lock of the kernel on one of some files as long as it lives, or ends with 99
# if others hold all of them: "wait" or "end" at once, and the files.
ALONE = '''
import fcntl, os, signal, sys
for path in sys.argv[2:]:
    file = open(path, "w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        break
    except BlockingIOError:
        pass
else:
    sys.exit(99)
print(os.getpid(), flush=True)
signal.alarm(100)
if sys.argv[1] == "wait":
    signal.pause()
'''


def status(namespace, kind, name):
    """What 'tenon stat' says."""
    return json.loads(namespace.run('stat', '--json', '--kind', kind, name))


def until(namespace, kind, name, condition):
    """Blocks on 'tenon stat --watch' until the object is as wanted."""
    watch = namespace.start('stat', '--json', '--kind', kind, '--interval', '10ms', name)
    while True:
        seen = json.loads(watch.stdout.readline())
        if condition(seen):
            break
    watch.kill()
    watch.wait()
    return seen


def helper(namespace, *words, wait=True):
    """Starts what does with objects what the command does not do (objects.c), and waits until it says
    that it is done, or, of an operation, that it begins."""
    program = os.environ.get('TENON_TEST_OBJECTS')
    if not program:
        raise Skip('TENON_TEST_OBJECTS does not say where the helper is')
    child = subprocess.Popen([program, *words], env=namespace.environment, stdout=subprocess.PIPE)
    namespace.children.append(child)
    if wait:
        equal(child.stdout.readline(), b'begins\n' if words[0] == 'operate' else b'ready\n')
    return child


def parent_of(pid):
    """Of a command that 'tenon lock' or such runs: the process that holds what it holds."""
    with open(f'/proc/{pid}/stat') as file:
        return int(file.read().rsplit(')', 1)[1].split()[1])


def stop_and_continue(child):
    """As a shell does with ^Z and fg."""
    child.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, child.pid, os.WSTOPPED)
    child.send_signal(signal.SIGCONT)


def has_ended(pidfd):
    return bool(select.select([pidfd], [], [], WATCHDOG_S)[0])


@contextlib.contextmanager
def watched(pid):
    pidfd = os.pidfd_open(int(pid))
    try:
        yield pidfd
    finally:
        os.close(pidfd)


def kill_at_any_moment(namespace, rounds, words, other):
    """Kills the first of two that are started, at another moment each time, and gives what became of
    both: standard output of the first, and the second, which has not been waited for."""
    begin = time.monotonic()
    namespace.run(*other)
    span = min(time.monotonic() - begin, SPAN_MOST_S)
    for i in range(rounds):
        victim = namespace.start(*words)
        survivor = namespace.start(*other)
        # Not to wait for anything, but to hit another instruction each time.
        moment = time.monotonic() + i * span / rounds * 1.5
        while time.monotonic() < moment:
            pass
        victim.kill()
        output, _ = victim.communicate(timeout=WATCHDOG_S)
        yield output, survivor
        namespace.children.clear()


def too_late(number, frame):
    """A test that hangs ends here, and what it has started is ended with it."""
    raise AssertionError(f'still not done after {2 * WATCHDOG_S} s')


def main():
    command = os.path.abspath(sys.argv[1])
    tests = {name: value for name, value in sys.modules['__main__'].__dict__.items()
             if name.startswith('test_') and (len(sys.argv) < 3 or name in sys.argv[2:])}
    failed = skipped = 0
    signal.signal(signal.SIGALRM, too_late)
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(1))
    # Whoever runs the tests with nohup(1), or in the background of a script, ignores these, and so would all that is
    # started here.
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for name, test in tests.items():
        namespace = Namespace(command)
        signal.alarm(2 * WATCHDOG_S)
        try:
            test(namespace)
            print(f'ok   {name}')
        except Skip as reason:
            skipped += 1
            print(f'SKIP {name}: {reason}')
        except Exception:
            failed += 1
            print(f'FAIL {name}')
            traceback.print_exc(file=sys.stdout)
        finally:
            signal.alarm(0)
            namespace.close()
        sys.stdout.flush()
    if failed or not tests:
        sys.exit(1)
    sys.exit(77 if skipped == len(tests) else 0)
