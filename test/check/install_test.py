#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Shows that what `make install` installs can be used: installs into an empty folder, builds a
program against it as pkg-config says, with the shared and with the static library, and runs it.
The examples that are a file each are compiled in the same way, and a program with the original names as README.md
says.

    install_test.py BUILD ROOT
"""

import os
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../../scripts'))
import source_tree  # noqa: E402

PROGRAM = '''#include <stdio.h>
#include <tenon/queue.h>

int main(void)
{
\treturn puts(tenon_version()) < 0 || tenon_deadline_after(-1) != TENON_NO_DEADLINE;
}
'''

# Of System V and POSIX, and with no name of Tenon.
OLD_PROGRAM = '''#include <mqueue.h>
#include <sys/msg.h>

int main(void)
{
	return msgget(IPC_PRIVATE, 0600) < 0 || mq_close(-1) == 0;
}
'''

# By the end of the path.
EXPECTED = ('include/tenon/tenon.h', 'include/tenon/queue.h', '/libtenon.a', '/libtenon.so',
            '/libtenon.so.0', '/pkgconfig/tenon.pc')
EXPECTED_WITH_COMMAND = ('bin/tenon', 'man1/tenon.1', 'bash-completion/completions/tenon')


def output(*command, **options):
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, **options).stdout


def installed_files(root):
    return [os.path.join(where, name) for where, _, names in os.walk(root) for name in names]


def unreadable_pages(root, paths):
    """Public functions under whose names no manual page lies that says them."""
    folder, missing = folder_of(paths, '/man3/tenon.3'), []
    for name in source_tree.public_names(root):
        path = os.path.join(folder, f'{name}.3')
        if not os.path.exists(path) or f'.Nm {name}' not in source_tree.read(folder, f'{name}.3'):
            missing.append(name)
    return missing


def folder_of(paths, end):
    return os.path.dirname(next(path for path in paths if path.endswith(end)))


def environment_for_pkg_config(paths):
    """In which what is installed is found, and not a build that README.md says to export."""
    environment = dict(os.environ, PKG_CONFIG_LIBDIR=folder_of(paths, '/tenon.pc'))
    environment.pop('PKG_CONFIG_PATH', None)
    return environment


def flags_for(root, paths, static):
    environment = environment_for_pkg_config(paths) | {'PKG_CONFIG_SYSROOT_DIR': root}
    flags = output('pkg-config', '--cflags', '--libs', *(['--static'] if static else []), 'tenon',
                   env=environment).split()
    return [flag.replace('-ltenon', '-l:libtenon.a') for flag in flags] if static else flags


def run_program(root, paths, compiler, static):
    """Builds the program and gives what it prints."""
    flags = flags_for(root, paths, static)
    source, program = os.path.join(root, 'program.c'), os.path.join(root, 'program')
    with open(source, 'w', encoding='utf-8') as stream:
        stream.write(PROGRAM)
    output(*compiler, '-std=c99', '-pedantic', '-Wall', '-Werror', '-o', program, source, *flags)
    environment = dict(os.environ)
    if not static:
        environment['LD_LIBRARY_PATH'] = folder_of(paths, '/libtenon.so.0')
    return output(program, env=environment).strip()


def compile_examples(root, paths, compiler, source_root):
    """Compiles them as they say at their heads; how many there are."""
    folder, flags = os.path.join(source_root, 'examples'), flags_for(root, paths, False)
    examples = [name for name in os.listdir(folder) if name.endswith('.c')]
    for name in examples:
        output(*compiler, '-Wall', '-Wextra', '-Werror', '-o', os.path.join(root, 'example'),
               os.path.join(folder, name), *flags)
    return len(examples)


def compile_old_program(root, paths, source_root):
    """As README.md says; gives what of Tenon it calls."""
    line, = re.findall(r'^ +(cc -I.* program\.c .*)$', source_tree.read(source_root, 'README.md'), re.MULTILINE)
    with open(os.path.join(root, 'program.c'), 'w', encoding='utf-8') as stream:
        stream.write(OLD_PROGRAM)
    environment = environment_for_pkg_config(paths) | {'PKG_CONFIG_SYSROOT_DIR': root}
    output('sh', '-euc', line.replace('cc ', '${CC:-cc} -Wall -Werror ', 1), cwd=root, env=environment)
    return re.findall(r'U (tenon_\w+)', output('nm', '-D', 'a.out', cwd=root))


def main():
    build = sys.argv[1]
    compiler = os.environ.get('CC', 'cc').split()
    with tempfile.TemporaryDirectory() as root:
        output('meson', 'install', '-C', build, '--no-rebuild', '--quiet', '--destdir', root)
        paths = installed_files(root)
        expected = EXPECTED
        if os.path.exists(os.path.join(build, 'tenon')):
            expected += EXPECTED_WITH_COMMAND
        if os.path.exists(os.path.join(build, 'libtenon-preload.so')):
            expected += ('/libtenon-preload.so', 'man1/tenon-run.1')
        lacking = [end for end in expected if not any(path.endswith(end) for path in paths)]
        if lacking:
            sys.exit(f'not installed: {", ".join(lacking)}')
        unreadable = unreadable_pages(sys.argv[2], paths)
        if unreadable:
            sys.exit(f'not found by their names in the manual: {", ".join(unreadable)}')
        version = output('pkg-config', '--modversion', 'tenon',
                         env=environment_for_pkg_config(paths)).strip()
        for static in (False, True):
            said = run_program(root, paths, compiler, static)
            if said != version:
                sys.exit(f'tenon_version() says {said}, tenon.pc {version}')
        called = compile_old_program(root, paths, sys.argv[2])
        if sorted(called) != ['tenon_mq_close', 'tenon_msgget']:
            sys.exit(f'of Tenon a program with the original names calls {called}')
        examples = compile_examples(root, paths, compiler, sys.argv[2])
        if examples == 0:
            sys.exit('there are no examples')
    print(f'{len(paths)} files, version {version}, {examples} examples')


main()
