#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The page that is made of the benchmark's figures has a plot of each kind, and the figures.

    report_test.py TENON_BENCH SCRIPT
"""

import json
import os
import re
import subprocess
import sys
import tempfile

BENCH, SCRIPT = sys.argv[1:]
ROWS = ('rt-64-[as]*/[pf]*', 'one-way-64-1to1/pipe', 'one-way-1k-1to1/pipe', 'scale-4to1/pipe', 'growth-messages/fifo-1*')


def measure(path):
    """Figures of some rows of each group that is plotted; those of several runs in one file."""
    all_data = None
    for row in ROWS:
        subprocess.run([BENCH, '--seconds', '0.02', '--repeat', '1', '--row', row, '--json', path], check=False,
                       stdout=subprocess.DEVNULL, timeout=120)
        with open(path, encoding='utf-8') as file:
            data = json.load(file)
        if all_data is None:
            all_data = data
        else:
            all_data['groups'] += data['groups']
            all_data['targets'] += data['targets']
    with open(path, 'w', encoding='utf-8') as file:
        json.dump(all_data, file)
    return all_data


def faults(data, text):
    if '<html' not in text or '</html>' not in text or re.search(r'(src|href)="?https?:', text):
        yield 'it is no page of its own'
    for heading in ('How long a round trip takes', 'Throughput over the size', 'Throughput over the number', 'What is there already'):
        part = text.partition(f'<h2>{heading}')[2].partition('<h2>')[0]
        if '<svg' not in part or '</svg>' not in part:
            yield f'no plot: {heading}'
    if 'at most 20 µs' not in text:
        yield 'a target without its unit'
    if any(group['disturbed'] for group in data['groups']) != ('groups were disturbed' in text):
        yield 'it does not say at its head whether something was disturbed'
    for group in data['groups']:
        for row in group['rows']:
            if row.get('failed') and f'<li>{group["group"]}/{row["row"]}: ' not in text:
                yield f'the failure of {group["group"]}/{row["row"]} is not at its head'
            if f'<td class="">{row["row"]}</td>' not in text:
                yield f'{group["group"]}/{row["row"]} is missing'


# In a process of its own, since the script runs itself by Debian's Python where there is a Matplotlib only for that.
DISTINCT = '''
import sys
sys.path.insert(0, sys.argv[1])
from bench_report import Looks
looks, of_group = Looks(), {}
for line in sys.stdin:
    group, row = line.split()[0].split('/')
    if group.startswith(('rt-', 'one-way-', 'scale-')):
        of_group.setdefault(group, {})[row] = str(looks.of(row))
for group, of_row in of_group.items():
    for row, look in of_row.items():
        alike = [other for other in of_row if of_row[other] == look]
        if len(alike) > 1:
            print(f'# {group}: {" and ".join(alike)} look alike')
print('looked at', len(of_group))
'''


def looks_are_distinct():
    """Of the rows of each plot; nothing where there is no Matplotlib."""
    python = '/usr/bin/python3' if os.access('/usr/bin/python3', os.X_OK) else sys.executable
    rows = subprocess.run([BENCH, '--list'], check=True, capture_output=True, text=True, timeout=60).stdout
    done = subprocess.run([python, '-c', DISTINCT, os.path.dirname(SCRIPT)], input=rows, check=False, capture_output=True,
                          text=True, timeout=120)
    if 'Matplotlib is not there' in done.stderr:
        return None
    print(''.join(f'# {line.lstrip("# ")}\n' for line in (done.stdout + done.stderr).splitlines()), end='')
    return 'look alike' not in done.stdout and 'looked at' in done.stdout


def main():
    print('1..3')
    distinct = looks_are_distinct()
    print({None: 'ok - no two lines look alike # SKIP python3-matplotlib is not there', True: 'ok - no two lines look alike',
           False: 'not ok - no two lines look alike'}[distinct])
    with tempfile.TemporaryDirectory(prefix='tenon-test-report.') as folder:
        figures, page = os.path.join(folder, 'figures.json'), os.path.join(folder, 'page.html')
        data = measure(figures)
        # A row that failed is no reason to leave the page untested.
        if all('skipped' in row for group in data['groups'] for row in group['rows']):
            print('ok - page # SKIP nothing could be measured here\nok - bad figures # SKIP nothing could be measured here')
            return 0
        done = subprocess.run([SCRIPT, figures, page], check=False, capture_output=True, text=True, timeout=120)
        if 'Matplotlib is not there' in done.stderr:
            print('ok - page # SKIP python3-matplotlib is not there\nok - bad figures # SKIP python3-matplotlib is not there')
            return 0
        found = [done.stderr] if done.returncode else []
        if not found and page not in done.stdout:
            found = ['it does not say where the page is']
        if not found:
            with open(page, encoding='utf-8') as file:
                found = list(faults(data, file.read()))
        print('\n'.join(f'# {line}' for line in found) + ('\nnot ok - page' if found else 'ok - page'))
        bad = False
        for text in ('{"groups": [', 'null', '[]', json.dumps({**data, 'groups': None}), json.dumps({**data, 'targets': [1]}), 20000 * '['):
            with open(figures, 'w', encoding='utf-8') as file:
                file.write(text)
            done = subprocess.run([SCRIPT, figures, page], check=False, capture_output=True, text=True, timeout=120)
            bad = bad or done.returncode == 0 or 'Traceback' in done.stderr or figures not in done.stderr
        print('not ok - bad figures' if bad else 'ok - bad figures')
        return bool(found or bad or distinct is False)


if __name__ == '__main__':
    sys.exit(main())
