#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Shows that the examples in README.md work as they stand there: compiles and runs the one in C, and
runs the one for the shell.

    readme_test.py ROOT BUILD
"""

import os
import re
import subprocess
import sys
import tempfile


def block(readme, language):
    return re.search(rf'^```{language}\n(.*?)^```', readme, re.MULTILINE | re.DOTALL).group(1)


def run_c(root, build, text, folder, environment):
    source, program = os.path.join(folder, 'example.c'), os.path.join(folder, 'example')
    with open(source, 'w', encoding='utf-8') as stream:
        stream.write(text)
    compiler = os.environ.get('CC', 'cc').split()
    subprocess.run([*compiler, '-Wall', '-Werror', f'-I{os.path.join(root, "include")}', source,
                    os.path.join(build, 'libtenon.a'), '-pthread', '-o', program], check=True)
    return subprocess.run([program], env=environment, stdout=subprocess.PIPE, text=True,
                          check=True).stdout


def main():
    root, build = sys.argv[1:3]
    with open(os.path.join(root, 'README.md'), encoding='utf-8') as stream:
        readme = stream.read()
    with tempfile.TemporaryDirectory(dir='/dev/shm') as namespace, \
            tempfile.TemporaryDirectory() as folder:
        environment = dict(os.environ, TENON_NAMESPACE=namespace,
                           PATH=f'{build}:{os.environ["PATH"]}')
        said = run_c(root, build, block(readme, 'c'), folder, environment)
        if said != '/etc/hosts\n':
            sys.exit(f'the C example printed {said!r}')
        subprocess.run(['tenon', 'rm', 'jobs'], env=environment, check=True)
        said = subprocess.run(['sh', '-eu', '-c', block(readme, 'sh')], env=environment,
                              stdout=subprocess.PIPE, text=True, check=True).stdout
        sums = set(re.findall(r'^[0-9a-f]{64}  (/etc/default/.*)$', said, re.MULTILINE))
        files = {os.path.join(where, name) for where, _, names in os.walk('/etc/default')
                 for name in names if not os.path.islink(os.path.join(where, name))}
        if sums != files:
            sys.exit(f'the shell example gave {sorted(sums)} for {sorted(files)}')
        left = os.listdir(namespace)
        if left:
            sys.exit(f'the shell example leaves {left} behind')
    print(f'{len(sums)} sums')


main()
