#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What scripts/check counts and names at its end: of what failed it kept the name alone, and where nothing
but the end of its output was left, nobody could tell why.

    summary_test.py CHECK
"""

import sys
from importlib.machinery import SourceFileLoader

CASES = '''TAP version 13
1..4
# of the first
ok 1 - good
# a.c:1: one (0)
# a.c:2: two (0)
not ok 2 - bad
ok 3 - left out # SKIP no room
not ok 4 - worse
'''


def expect(what, is_so):
    if not is_so:
        sys.exit(f'summary: {what}')


def main():
    sys.dont_write_bytecode = True
    check = SourceFileLoader('check', sys.argv[1]).load_module()
    totals = check.Totals()

    check.count_test('gcc', {'name': 'many', 'result': 'FAIL', 'returncode': 1, 'stdout': CASES}, totals)
    expect('counts', (totals.passed, totals.failed) == (1, 2))
    expect('what was left out', totals.skips == ['gcc: many: left out: no room'])
    expect('what a case said',
           totals.failures == ['gcc: many: bad\n        # a.c:1: one (0)\n        # a.c:2: two (0)',
                               'gcc: many: worse'])

    totals = check.Totals()
    check.count_test('gcc', {'name': 'one', 'result': 'ERROR', 'returncode': -6, 'stdout': 'begun\n',
                             'stderr': '\n'.join(f'line {i}' for i in range(20)) + '\n' + 'x' * 1000}, totals)
    lines = totals.failures[0].splitlines()
    expect('the name of a test', lines[0] == 'gcc: one: error (-6)')
    expect('the end of what a test said',
           lines[1].strip() == 'line 15' and len(lines) == 1 + check.SAID_LINES)
    expect('a long line', len(lines[-1].strip()) == check.SAID_COLUMNS)


if __name__ == '__main__':
    main()
