#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""scripts/check when it is interrupted: it showed a Python traceback or, where SIGINT was ignored,
took an interrupted build for a failed one and went on to the next run.

    interrupt_test.py CHECK
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile

# When its first argument is `when` it says so, and waits for one of `signals`.
TOOL = """#!{python}
import os, signal, sys

def end(number, frame):
    print(f'{{sys.argv[1]}} ended by {{signal.Signals(number).name}}', flush=True)
    os._exit(2)

signal.signal(signal.SIGINT, signal.SIG_IGN)
for number in {signals}:
    signal.signal(number, end)
if sys.argv[1] == 'setup':
    os.makedirs(sys.argv[2])
    open(os.path.join(sys.argv[2], 'build.ninja'), 'w').close()
elif sys.argv[1] == {when!r}:
    print('ready', flush=True)
    while True:
        signal.pause()
"""


def write_tool(folder, name, when, signals):
    path = os.path.join(folder, name)
    with open(path, 'w', encoding='utf-8') as file:
        file.write(TOOL.format(python=sys.executable, when=when, signals=signals))
    os.chmod(path, 0o700)


def interrupt(check, when, ignored):
    """Lets `when`, the first argument of a tool, begin, and sends SIGINT to all."""
    with tempfile.TemporaryDirectory(prefix='tenon-test-interrupt.') as root:
        os.mkdir(os.path.join(root, 'scripts'))
        script = shutil.copy(check, os.path.join(root, 'scripts', 'check'))
        write_tool(root, 'ninja', when, '(signal.SIGINT,)')
        # Meson goes on with its other tests after one SIGINT.
        write_tool(root, 'meson', when, '(signal.SIGTERM,)')
        process = subprocess.Popen(
            [sys.executable, '-B', script, 'gcc', 'clang'], stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, start_new_session=True,
            env={**os.environ, 'PATH': f'{root}:{os.environ["PATH"]}'},
            preexec_fn=lambda: signal.signal(
                signal.SIGINT, signal.SIG_IGN if ignored else signal.default_int_handler))
        try:
            lines = []
            for line in process.stdout:
                lines.append(line.strip())
                if line == 'ready\n':
                    break
            os.killpg(process.pid, signal.SIGINT)
            for line in process.stdout:
                lines.append(line.strip())
                if line == 'ready\n':
                    break
            else:
                return process.wait(), lines
            return 'goes on', lines
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.stdout.close()
            process.wait()


def too_late(number, frame):
    raise AssertionError('still not done')


def main():
    failed = 0
    signal.signal(signal.SIGALRM, too_late)
    signal.alarm(50)
    for when, ended in (('-C', '-C ended by SIGINT'), ('test', 'test ended by SIGTERM')):
        for ignored in (False, True):
            status, lines = interrupt(sys.argv[1], when, ignored)
            good = (status, lines[-1]) == (130, 'check: interrupted') and ended in lines and \
                not [line for line in lines if 'clang' in line or 'Traceback' in line]
            print('ok  ' if good else 'FAIL', when, 'with SIGINT ignored' if ignored else '')
            if not good:
                failed += 1
                print('', status, *lines, sep='\n    ')
    sys.exit(failed != 0)


main()
