# SPDX-License-Identifier: Apache-2.0
"""What the tests of the command share: a namespace of their own, the command, and checks.

A test is a function whose name begins with test_; main() runs those of the calling file, each in a
fresh namespace, and ends with 1 if one failed, with 77 if all were skipped.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import traceback

# Long enough for a loaded machine under sanitizers; nothing that passes comes near it.
WATCHDOG_S = 60


class Skip(Exception):
    """What the test needs is not to be had here."""


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
