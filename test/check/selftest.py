#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Shows that each check script finds the faults it is for, and accepts what has none (TAP)."""

import json
import os
import subprocess
import sys
import tempfile

import samples

SCRIPTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'scripts')


def write(root, path, text):
    path = os.path.join(root, path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, 'w', encoding='utf-8') as stream:
        stream.write(text)


def run(check, *arguments):
    script = os.path.join(SCRIPTS, f'check_{check}.py')
    return subprocess.run([sys.executable, '-B', script, *arguments], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)


def verdict(done, expected):
    """`ok`, `not ok` or a skip, and what the script said if it was wrong."""
    if done.returncode == 77:
        return 'ok', f' # SKIP {done.stdout.strip()}', ''
    if expected is None:
        good = done.returncode == 0
    else:
        good = done.returncode == 1 and expected in done.stdout
    if good:
        return 'ok', '', ''
    return 'not ok', '', f'exit code {done.returncode}, expected: {expected}\n{done.stdout}'


def check_sample(check, expected, files):
    with tempfile.TemporaryDirectory() as root:
        for path, text in files.items():
            write(root, path, text)
        return verdict(run(check, root), expected)


def check_library(expected, source):
    with tempfile.TemporaryDirectory() as root:
        write(root, 'include/tenon/sample.h', samples.HEADER)
        write(root, 'library.c', source)
        library = os.path.join(root, 'library.so')
        subprocess.run([os.environ.get('CC', 'cc'), '-shared', '-fPIC', '-o', library,
                        os.path.join(root, 'library.c')], check=True)
        return verdict(run('symbols', root, library), expected)


def check_promises(expected, security, readme):
    with tempfile.TemporaryDirectory() as root:
        build = os.path.join(root, 'build')
        sources = {name: os.path.join(root, source) for name, source in samples.TESTS}
        programs = {name: os.path.join(build, name) for name in sources}
        write(root, 'docs/SECURITY.md', security)
        write(root, 'README.md', readme)
        for path in sources.values():
            write(root, path, samples.CASES)
        write(build, 'meson-info/intro-tests.json', json.dumps(
            [{'name': name, 'cmd': [program]} for name, program in programs.items()]))
        write(build, 'meson-info/intro-targets.json', json.dumps(
            [{'filename': [program], 'target_sources': [{'sources': [sources[name]]}]}
             for name, program in programs.items()]))
        return verdict(run('security', root, build), expected)


def main():
    cases = [(f'{check}: {name}', lambda c=check, e=expected, f=files: check_sample(c, e, f))
             for check, name, expected, files in samples.SAMPLES]
    cases += [(f'symbols: {name}', lambda e=expected, s=source: check_library(e, s))
              for name, expected, source in samples.LIBRARIES]
    cases += [(f'security: {name}', lambda e=expected, s=security, r=readme: check_promises(e, s, r))
              for name, expected, security, readme in samples.PROMISES]
    print(f'1..{len(cases)}')
    failed = False
    for number, (name, case) in enumerate(cases, 1):
        result, skip, explanation = case()
        print(f'{result} {number} - {name}{skip}')
        for line in explanation.splitlines():
            print(f'# {line}')
        failed |= result != 'ok'
    sys.exit(failed)


main()
