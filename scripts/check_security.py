#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks that docs/SECURITY.md and the promises of README.md name tests that exist.

A word in backquotes with nothing but small letters, digits, - and _ (and a * at its end) is a test as
Meson knows it, or a function of the library; words in asterisks behind it are its cases, and stand so
in its source.  What has a slash is a file, `make …` a target.  Each point and each row of SECURITY.md
names a test, or says that it is "shown by no test"; of README.md the last column is looked at.

    check_security.py ROOT BUILD
"""

import fnmatch
import json
import os
import re
import sys

import source_tree

SECURITY, README = 'docs/SECURITY.md', 'README.md'
TEST = re.compile(r'^[a-z][a-z0-9_-]*\*?$')
MARK = re.compile(r'`([^`]+)`|(?<!\*)\*([^*`]+)\*(?!\*)')
NO_TEST = 'shown by no test'
# Its points are how the tests work and how to write, not what is promised.
WITHOUT_PROMISES = ('How hostile writers are played', 'Reports')


def sources_of(build):
    """Name of each test to the files that it is made of."""
    information = os.path.join(build, 'meson-info')
    with open(os.path.join(information, 'intro-tests.json'), encoding='utf-8') as stream:
        tests = json.load(stream)
    with open(os.path.join(information, 'intro-targets.json'), encoding='utf-8') as stream:
        targets = json.load(stream)
    files = {name: [path for part in target['target_sources'] for path in part.get('sources', [])]
             for target in targets for name in target['filename']}
    return {test['name']: files.get(test['cmd'][0], test['cmd']) for test in tests}


def text_of(paths):
    """Sources in one piece, with the strings of C that stand in several put together."""
    found = []
    for path in paths:
        if os.path.isfile(path) and path.endswith(('.c', '.py', '.pml')):
            with open(path, encoding='utf-8') as stream:
                found.append(re.sub(r'"\s*\n\s*"', '', stream.read()))
    return '\n'.join(found)


def has_case(text, case):
    """A case is the beginning of a string, or a function of that name."""
    function = re.escape(re.sub(r'\W+', '_', case))
    return bool(re.search(rf'"{re.escape(case)}\b', text) or re.search(rf'\b{function}\(', text))


def points(text, rows_only):
    """Lines that belong together, each with the number of the first: points of a list, rows of a
    table, paragraphs."""
    found, title, fenced = [], '', False
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith('```'):
            fenced = not fenced
        if fenced or line.startswith('    '):
            continue
        if line.startswith('#'):
            title = line.lstrip('# ')
            found.append((title, number, ''))
        elif line.startswith('|'):
            if not re.match(r'^\|[\s|-]*\|$', line):
                found.append((title, number, line))
        elif rows_only:
            continue
        elif line.startswith('- ') or not line.strip() or not found or found[-1][2].startswith('|'):
            found.append((title, number, line))
        else:
            found[-1] = (title, found[-1][1], found[-1][2] + ' ' + line.strip())
    return [point for point in found if point[2].strip()]


class Check:
    def __init__(self, root, build):
        self.root = root
        self.tests = sources_of(build)
        self.public = source_tree.public_names(root)
        makefile = os.path.join(root, 'Makefile')
        text = source_tree.read(root, 'Makefile') if os.path.exists(makefile) else ''
        self.targets = {target for line in re.findall(r'^([\w -]+):', text, re.MULTILINE)
                        for target in line.split()}
        self.faults = []
        self.named = 0

    def word(self, word):
        """The tests that a word in backquotes stands for; None: it is none.  Or a fault, as text."""
        if word.startswith('make '):
            target = word.split()[1]
            return None if target in self.targets else f'there is no `make {target}`'
        if '/' in word and ' ' not in word and not word.startswith('/'):
            exists = os.path.exists(os.path.join(self.root, word))
            return None if exists else f'there is no {word}'
        if not TEST.match(word) or word in self.public:
            return None
        found = fnmatch.filter(self.tests, word)
        return found or f'there is no test `{word}`'

    def point(self, path, line, text):
        """Looks at all words; says whether a test is among them."""
        tests, any_test = None, False
        for code, case in MARK.findall(text):
            if code:
                answer = self.word(code)
                if isinstance(answer, str):
                    self.faults.append((path, line, answer))
                    answer = None
                if answer or TEST.match(code):
                    tests = answer
                any_test |= bool(answer)
                self.named += bool(answer)
            elif tests and not any(has_case(text_of(self.tests[name]), case) for name in tests):
                self.faults.append((path, line, f'`{tests[0]}` has no case *{case}*'))
            elif not tests:
                self.faults.append((path, line, f'*{case}* stands behind no test'))
        return any_test

    def document(self, path, rows_only):
        header = True
        for title, line, text in points(source_tree.read(self.root, path), rows_only):
            row = text.startswith('|')
            if rows_only:
                text = text.rstrip('|').rpartition('|')[2]
            any_test = self.point(path, line, text)
            # The first row of a table is its head.
            promises = (row and not header) or text.startswith('- ')
            header = not row
            if path == SECURITY and promises and not any_test and NO_TEST not in text and \
                    title not in WITHOUT_PROMISES:
                self.faults.append((path, line, f'names no test, nor says "{NO_TEST}"'))


def main():
    root, build = sys.argv[1:3]
    check = Check(root, build)
    check.document(SECURITY, False)
    if os.path.exists(os.path.join(root, README)):
        check.document(README, True)
    source_tree.report('security', check.faults, f'{check.named} mentions of tests')


main()
