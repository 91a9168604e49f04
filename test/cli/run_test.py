#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tenon run: it becomes the program, with the preload library in front of libc; what that library does
is tested in test/programs."""

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile

import harness
from harness import contains, equal

ENVIRONMENT = ('python3', '-c', 'import json, os; print(json.dumps(dict(os.environ)))')

# Opens a queue as a C program does, and does what is said.
QUEUE = '''
import ctypes, os, sys
c = ctypes.CDLL(None, use_errno=True)
queue = c.mq_open(b"/q", os.O_RDWR | os.O_CREAT | os.O_NONBLOCK, 0o600, None)
buffer = ctypes.create_string_buffer(8192)
for word in sys.argv[1:]:
    if word == "receive":
        length = c.mq_receive(queue, buffer, 8192, None)
        print(buffer.raw[:length].decode(), flush=True)
    elif word == "wait":
        print("there", flush=True)
        sys.stdin.readline()
    else:
        print(c.mq_send(queue, word.encode(), len(word), 5), flush=True)
if queue < 0:
    sys.exit(os.strerror(ctypes.get_errno()))
'''


def environment_of(namespace, *options, **more):
    return json.loads(namespace.run('run', *options, *ENVIRONMENT, **more))


def library(namespace):
    return os.path.join(os.path.dirname(os.path.realpath(namespace.command)),
                        'libtenon-preload.so')


def copy_of(namespace, program, name):
    path = os.path.join(namespace.scratch, name)
    shutil.copy(os.path.realpath(shutil.which(program)), path)
    os.chmod(path, 0o755)
    return path


def patched(path, old, new):
    """The program with some bytes changed; it cannot be run any more."""
    with open(path, 'rb') as file:
        data = file.read()
    contains(data, old)
    with open(path, 'wb') as file:
        file.write(data.replace(old, new, 1))
    return path


def test_it_becomes_the_program(namespace):
    child = namespace.start('run', 'sh', '-c', 'echo $$; exit 7')
    output, _ = harness.finish(child, 7)
    equal(output.decode().strip(), str(child.pid))


def test_statuses(namespace):
    for number in (0, 1, 2, 125, 255):
        namespace.run('run', 'sh', '-c', f'exit {number}', status=number)
    namespace.run('run', 'nothing-of-this-name', status=127, error="cannot run 'nothing-of-this")
    namespace.run('run', '/etc', status=126, error='Permission denied')
    namespace.run('run', '/etc/passwd', status=126, error='Permission denied')
    namespace.run('run', '', status=127, error='cannot run')
    script = os.path.join(namespace.scratch, 'script')
    for line, shown in (('/nonexistent/interpreter -x', '/nonexistent/interpreter'),
                        ('/bin/sh\r', r'/bin/sh\x0d')):
        with open(script, 'w', encoding='ascii', newline='') as file:
            file.write(f'#!{line}\n')
            os.chmod(script, 0o700)
        namespace.run('run', script, status=127,
                      error=f"cannot run '{script}': its interpreter '{shown}' is missing\n")
    program = patched(copy_of(namespace, 'true', 'program'), b'/ld-', b'/no-')
    namespace.run('run', '-q', program, status=127,
                  error=f"cannot run '{program}': the dynamic linker that it names is missing\n")
    child = namespace.start('run', 'sh', '-c', 'kill -TERM $$')
    harness.finish(child, -signal.SIGTERM)


def test_words_are_the_programs(namespace):
    words = ['--', '-q', '--help', '--namespace', 'x', '']
    output = namespace.run('run', '-q', 'printf', '%s|', *words[1:], stdin='unread')
    equal(output, b'-q|--help|--namespace|x||')
    equal(namespace.run('run', '--', 'printf', '%s|', *words), b'--|-q|--help|--namespace|x||')
    equal(namespace.run('run', 'cat', stdin='through'), b'through')


def test_environment(namespace):
    seen = environment_of(namespace)
    equal([seen[name] for name in ('LD_PRELOAD', 'TENON_PRELOAD', 'TENON_NAMESPACE')],
          [library(namespace), 'posix-mq,sysv-msg,sysv-sem,sysv-shm', namespace.path])
    equal('TENON_LIMITS' in seen, False)
    for words, faces in (('mq', 'posix-mq'), ('msg', 'sysv-msg'), ('sem', 'posix-sem,sysv-sem'),
                         ('shm,mq', 'posix-shm,sysv-shm,posix-mq'),
                         ('mq,mq', 'posix-mq'),
                         ('mq,sem,shm', 'posix-mq,posix-sem,sysv-sem,posix-shm,sysv-shm')):
        equal(environment_of(namespace, '--only', words)['TENON_PRELOAD'], faces)
    equal(environment_of(namespace, '--limits', 'kernel')['TENON_LIMITS'], 'kernel')
    more = {'environment': {'TENON_LIMITS': 'kernel'}}
    equal(environment_of(namespace, **more)['TENON_LIMITS'], 'kernel')
    equal('TENON_LIMITS' in environment_of(namespace, '--limits', 'none', **more), False)


def test_what_is_preloaded_already_comes_first(namespace):
    libc = subprocess.run(['ldd', '/bin/sh'], capture_output=True, text=True, check=True).stdout
    libc = libc.split('libc.so.6 => ')[1].split()[0]
    seen = environment_of(namespace, environment={'LD_PRELOAD': libc})
    equal(seen['LD_PRELOAD'], f'{libc}:{library(namespace)}')
    seen = json.loads(namespace.run('run', '--', namespace.command, 'run', *ENVIRONMENT))
    equal(seen['LD_PRELOAD'], library(namespace))
    # A path that has it in it is another's.
    other = shutil.copy(library(namespace), os.path.join(namespace.scratch, 'other.so'))
    longer = shutil.copy(other, other + '.1')
    seen = environment_of(namespace, environment={'LD_PRELOAD': longer, 'TENON_PRELOAD_LIBRARY': other})
    equal(seen['LD_PRELOAD'], f'{longer}:{other}')


def test_namespace_is_absolute(namespace):
    os.mkdir(os.path.join(namespace.path, 'n'))
    os.symlink('n', os.path.join(namespace.path, 'link'))
    for where in ('n', './n', 'link', os.path.join(namespace.path, 'n')):
        seen = environment_of(namespace, '--namespace', where, cwd=namespace.path)
        equal(seen['TENON_NAMESPACE'], os.path.join(namespace.path, 'n'), where)


def test_namespace_that_cannot_be_had(namespace):
    namespace.run('run', '--namespace', '/dev/shm/tenon-test-missing', 'true', status=3,
                  error="mkdir -m 700 /dev/shm/tenon-test-missing")
    namespace.run('run', '--namespace', '/etc/passwd', 'true', status=9, error='it is no folder')
    namespace.run('run', '--namespace', '', 'true', status=2, error='needs a folder')


def test_namespace_on_a_disk(namespace):
    """As 'tenon create' says of it."""
    with tempfile.TemporaryDirectory(prefix='tenon-test-run.', dir='/var/tmp') as folder:
        system = subprocess.run(['stat', '-f', '-c', '%T', folder], capture_output=True, text=True,
                                check=True).stdout.strip()
        if system in ('tmpfs', 'ramfs'):
            raise harness.Skip('/var/tmp is not on a disk')
        for options, said in (((), True), (('-q',), False)):
            done = subprocess.run([namespace.command, 'run', '--namespace', folder, *options, 'echo', 'x'],
                                  env=namespace.environment, capture_output=True, text=True, check=False,
                                  timeout=harness.WATCHDOG_S)
            equal([done.returncode, done.stdout], [0, 'x\n'])
            equal('it is not on tmpfs' in done.stderr and folder in done.stderr, said, options)
            equal(done.stderr == '', not said)


def test_own_namespace_is_made(namespace):
    """For a user who has none."""
    if os.geteuid():
        raise harness.Skip('only root can be somebody who has no namespace yet')
    user = next(user for user in range(61000, 61184) if not os.path.exists(f'/dev/shm/tenon-{user}'))
    path = f'/dev/shm/tenon-{user}'
    os.chmod(namespace.scratch, 0o755)
    for name in ('tenon', 'libtenon-preload.so', 'libtenon.so.0'):
        source = os.path.join(os.path.dirname(namespace.command), name)
        shutil.copy(source, os.path.join(namespace.scratch, name))
    try:
        done = subprocess.run(
            [os.path.join(namespace.scratch, 'tenon'), 'run', 'sh', '-c', 'echo $TENON_NAMESPACE'],
            user=user, group=user, extra_groups=[], capture_output=True, text=True, check=False,
            env={'PATH': os.environ['PATH']}, timeout=harness.WATCHDOG_S, cwd='/')
        equal([done.returncode, done.stdout, done.stderr], [0, path + '\n', ''])
        found = os.stat(path)
        equal([found.st_uid, stat.S_IMODE(found.st_mode)], [user, 0o700])
    finally:
        shutil.rmtree(path, ignore_errors=True)


def test_library_that_cannot_be_had(namespace):
    for path, status, error in (('/nonexistent/x.so', 3, 'look at TENON_PRELOAD_LIBRARY'),):
        namespace.run('run', 'true', status=status, error=error,
                      environment={'TENON_PRELOAD_LIBRARY': path})
    folder = os.path.join(namespace.scratch, 'a folder')
    os.mkdir(folder)
    copy = shutil.copy(library(namespace), folder)
    namespace.run('run', 'true', status=9, error='make a link to it',
                  environment={'TENON_PRELOAD_LIBRARY': copy})
    link = os.path.join(namespace.scratch, 'alone.so')
    shutil.copy(copy, link)
    seen = environment_of(namespace, environment={'TENON_PRELOAD_LIBRARY': link})
    equal(seen['LD_PRELOAD'], link)
    for path in ('/etc/passwd', '/dev/null', '/', shutil.which('true'),
                 patched(shutil.copy(copy, os.path.join(namespace.scratch, 'small.so')),
                         b'\x7fELF\x02', b'\x7fELF\x01')):
        namespace.run('run', 'true', status=9, error='no shared library',
                      environment={'TENON_PRELOAD_LIBRARY': path})
    alone = shutil.copy(namespace.command, os.path.join(namespace.scratch, 'tenon'))
    done = subprocess.run([alone, 'run', 'true'], capture_output=True, text=True, check=False,
                          env={**namespace.environment, 'LD_LIBRARY_PATH':
                               os.path.dirname(os.path.realpath(namespace.command))},
                          timeout=harness.WATCHDOG_S)
    if done.returncode:  # 0: it is installed
        equal(done.returncode, 3)
        contains(done.stderr, 'is neither beside this program nor in')


def test_usage(namespace):
    for words, error in (((), 'the program is missing'), (('--',), 'the program is missing'),
                         (('--only', 'mq,', 'true'), 'is none of'),
                         (('--only', 'queue', 'true'), "'queue' is none of"),
                         (('--limits', 'large', 'true'), "neither 'kernel' nor 'none'"),
                         (('--limit', 'kernel', '--onli', 'mq', 'true'), "did you mean '--only'"),
                         (('-x', 'true'), "unknown option '-x'")):
        namespace.run('run', *words, status=2, error=error)


def test_signals_and_streams_are_as_they_were_found(namespace):
    text = ('import os, signal; print(signal.getsignal(signal.SIGXFSZ), os.path.exists("/dev/fd/0"), '
            'os.path.exists("/dev/fd/2"), signal.pthread_sigmask(signal.SIG_BLOCK, []))')
    command = [namespace.command, 'run', 'python3', '-c', text]
    for program in (['python3', '-c', text], command):
        done = subprocess.run(['sh', '-c', 'exec "$@" <&- 2>&-', 'sh', *program],
                              env=namespace.environment, capture_output=True, text=True,
                              timeout=harness.WATCHDOG_S, check=False)
        contains(done.stdout, 'False False set()')
    # Python itself ignores these two: what it was given stands in /proc.
    status = ['sh', '-c', 'grep SigIgn /proc/self/status']
    for ignored in ((), (signal.SIGPIPE,), (signal.SIGXFSZ, signal.SIGPIPE)):
        def prepare():
            for number in (signal.SIGPIPE, signal.SIGXFSZ):
                signal.signal(number, signal.SIG_IGN if number in ignored else signal.SIG_DFL)
        seen = [subprocess.run(words, preexec_fn=prepare, env=namespace.environment, check=True,
                               capture_output=True, restore_signals=False).stdout
                for words in (status, [namespace.command, 'run', *status])]
        equal(seen[1], seen[0])


def remark(namespace, program, text, *options, runs=True):
    done = subprocess.run([namespace.command, 'run', *options, program], text=True,
                          env=namespace.environment, capture_output=True, check=False,
                          timeout=harness.WATCHDOG_S)
    if text:
        contains(done.stderr, text)
        contains(done.stderr, program)
    elif runs:
        equal(done.stderr, '')
    if runs:
        equal(done.returncode, 0)


def test_privileged_programs(namespace):
    if os.geteuid():
        raise harness.Skip('only root can make a set-uid program of somebody else')
    if os.statvfs(namespace.scratch).f_flag & os.ST_NOSUID:
        namespace.scratch_is_nosuid = True
    path = copy_of(namespace, 'true', 'privileged')
    os.chown(path, 65534, 65534)
    os.chmod(path, 0o4755)
    expected = '' if hasattr(namespace, 'scratch_is_nosuid') else 'set-uid'
    remark(namespace, path, expected)
    remark(namespace, path, '', '--quiet')
    os.chmod(path, 0o2755)
    remark(namespace, path, expected and 'set-gid')
    # The bits mean nothing when they give what one is already, nor of a script.
    os.chown(path, 0, 0)
    os.chmod(path, 0o6755)
    remark(namespace, path, '')


def test_static_programs(namespace):
    compiler = shutil.which('gcc') or shutil.which('cc')
    source = os.path.join(namespace.scratch, 's.c')
    path = os.path.join(namespace.scratch, 'static')
    with open(source, 'w') as file:
        file.write('int main(void) { return 0; }\n')
    if not compiler or subprocess.run([compiler, '-static', '-o', path, source], check=False,
                                      capture_output=True).returncode:
        raise harness.Skip('no static C library')
    remark(namespace, path, 'linked statically')
    remark(namespace, path, '', '-q')
    if shutil.which('objcopy'):
        go = shutil.copy(path, os.path.join(namespace.scratch, 'go'))
        subprocess.run(['objcopy', '--add-section', '.go.buildinfo=/etc/hostname', go], check=True)
        remark(namespace, go, 'makes its system calls by itself')
    script = os.path.join(namespace.scratch, 'script')
    with open(script, 'w') as file:
        file.write(f'#! {path} -x\n')
    os.chmod(script, 0o700)
    done = subprocess.run([namespace.command, 'run', script], env=namespace.environment, text=True,
                          capture_output=True, check=False, timeout=harness.WATCHDOG_S)
    contains(done.stderr, f"'{path}' is linked statically")


def test_programs_of_another_kind(namespace):
    if not shutil.which('objcopy'):
        raise harness.Skip('no objcopy')
    path = copy_of(namespace, 'true', 'go')
    subprocess.run(['objcopy', '--add-section', '.go.buildinfo=/etc/hostname', path], check=True)
    remark(namespace, path, 'is a Go program: what it calls in C goes to Tenon')
    # Of these it is only looked at what is said.
    path = patched(copy_of(namespace, 'true', 'small'), b'\x7fELF\x02', b'\x7fELF\x01')
    remark(namespace, path, 'is a program of 32 bits', runs=False)
    path = patched(copy_of(namespace, 'true', 'musl'), b'/ld-linux', b'/ld-musl-')
    remark(namespace, path, 'another C library', runs=False)
    for words in (['python3', '-c', 'pass'], ['sh', '-c', 'true'], ['env', 'true']):
        namespace.run('run', *words)


def test_a_program_for_another_c_library_runs(namespace):
    """Its dynamic linker would not start it with a library that is not for it."""
    source, path = (os.path.join(namespace.scratch, name) for name in ('s.c', 'musl'))
    with open(source, 'w') as file:
        file.write('int puts(const char *); int main(void) { return puts("runs") < 0; }\n')
    if not shutil.which('musl-gcc') or subprocess.run(['musl-gcc', '-o', path, source], check=False,
                                                      capture_output=True).returncode:
        raise harness.Skip('no musl-gcc')
    remark(namespace, path, 'without the preload library')
    remark(namespace, path, '', '-q')
    equal(namespace.run('run', '-q', path), b'runs\n')


def test_queues_are_tenons(namespace):
    """And the command sees into them while the program runs."""
    child = namespace.start('run', 'python3', '-c', QUEUE, 'hello', 'wait', 'receive')
    equal(child.stdout.readline(), b'0\n')
    equal(child.stdout.readline(), b'there\n')
    equal(namespace.run('ls'), b'/q\n')
    equal(namespace.run('peek', 'q'), b'hello\n')
    equal(namespace.run('recv', 'q'), b'hello\n')
    namespace.run('send', 'q', '-m', 'answer')
    output, error = harness.finish(child, stdin=b'\n')
    equal([output, error], [b'answer\n', ''])


def test_children_have_it_too(namespace):
    namespace.run('run', 'sh', '-c', 'python3 -c "$1" one; python3 -c "$1" two', 'sh', QUEUE)
    equal(namespace.run('recv', '--count', '2', 'q'), b'one\ntwo\n')


def test_a_face_that_is_off_is_the_kernels(namespace):
    namespace.run('run', '--only', 'sem', 'true')
    child = namespace.start('run', '--only', 'sem', 'python3', '-c', QUEUE.replace('"/q"', '"/tenon-test-run"')
                            + '\nc.mq_unlink(b"/tenon-test-run")')
    child.communicate(timeout=harness.WATCHDOG_S)
    equal(namespace.run('ls'), b'')


def test_many_programs_at_once(namespace):
    words = 'for i in $(seq 40); do /bin/true & done; wait; seq 200 | xargs -n1 -P8 true'
    namespace.run('run', 'sh', '-c', words)
    namespace.run('run', 'timeout', '0.2', 'sleep', '100', status=124)


if __name__ == '__main__':
    sys.exit(harness.main())
