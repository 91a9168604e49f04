#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes a page with plots, for a browser, of what tenon-bench --json has written."""

import argparse
import html
import io
import json
import os
import re
import sys

from performance_tables import UNITS, number, with_unit

# Debian's Python has Debian's modules, whichever comes first in PATH.
DEBIAN_PYTHON = '/usr/bin/python3'

try:
    import matplotlib
    matplotlib.use('svg')
    matplotlib.rcParams['svg.fonttype'] = 'none'
    from matplotlib import pyplot
except ImportError:
    if os.path.realpath(sys.executable) != os.path.realpath(DEBIAN_PYTHON) and os.access(DEBIAN_PYTHON, os.X_OK):
        os.execv(DEBIAN_PYTHON, [DEBIAN_PYTHON] + sys.argv)
    sys.exit("bench_report: Matplotlib is not there; 'scripts/setup bench' installs python3-matplotlib")

STYLE = '''
body { font: 16px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; color: #1a1a1a; background: #fff; }
h1, h2, h3 { line-height: 1.2; } h2 { margin-top: 3rem; border-bottom: 1px solid #ccc; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: 1rem 0; font-size: .9rem; }
th, td { padding: .2rem .7rem; text-align: right; border-bottom: 1px solid #e4e4e4; } th { background: #f4f4f4; }
th:first-child, td:first-child, td.text, th.text { text-align: left; }
tr.ours td:first-child { font-weight: 600; } .met { color: #0a6b2d; } .missed { color: #a3200d; font-weight: 600; }
.note { color: #555; } .disturbed { color: #a3200d; } svg { max-width: 100%; min-width: 44rem; height: auto; } .wide { overflow-x: auto; } td { white-space: nowrap; }
td.text { white-space: normal; } details { margin: .5rem 0; }
summary { cursor: pointer; font-weight: 600; }
'''
# Ours are warm and thick, the others cold or grey and thin; neighbours differ in lightness, too.
OURS = ('#d9480f', '#7f1d1d', '#f59f00', '#e64980', '#ff6b6b')
OTHERS = ('#1d4ed8', '#2f9e44', '#7c3aed', '#000000', '#15aabf', '#868e96', '#5c940d', '#b197fc', '#0b7285', '#74c0fc')
MARKERS = ('o', 's', '^', 'D')
# How a row is waited for or moved; others come behind.
WAYS = {'': '-', ':poll': '--', '+batch': ':', '+loan': '-.'}
MORE_WAYS = ((0, (6, 1, 1, 1, 1, 1)), (0, (1, 4)), (0, (8, 4)), (0, (3, 1)))
DISTRIBUTIONS = ('rt-64-poll', 'rt-64-active', 'rt-64-asleep', 'rt-64-epoll', 'rt-64-same-cpu', 'rt-64k-active')
SIZES = (('64', 64), ('1k', 1 << 10), ('8k', 1 << 13), ('64k', 1 << 16), ('1m', 1 << 20))


def is_ours(row):
    return re.match(r'tenon|.*-(face|preload)|fifo-|priority-|typed-|objects-|processes-|message-|object-', row) is not None


def measured(group):
    return [row for row in group['rows'] if 'median' in row]


class Looks:
    """Whatever is measured has one colour and marker all over the page, and each of its ways a dash; no two rows look alike."""

    def __init__(self):
        self.others, self.ours, self.ways = {}, {}, dict(WAYS)

    def of(self, row):
        name, way = re.match(r'([^:+*@#]*)(.*)', row).groups()
        kept, colours = (self.ours, OURS) if is_ours(row) else (self.others, OTHERS)
        number = kept.setdefault(name, len(kept))
        dash = self.ways.setdefault(way, MORE_WAYS[(len(self.ways) - len(WAYS)) % len(MORE_WAYS)])
        return {'color': colours[number % len(colours)], 'marker': MARKERS[number // len(colours) % len(MARKERS)],
                'markersize': 4, 'linestyle': dash, 'linewidth': 2.4 if is_ours(row) else 1.2}


LOOKS = Looks()


def svg(figure):
    text = io.StringIO()
    figure.tight_layout()
    figure.savefig(text, format='svg', metadata={'Date': None})
    pyplot.close(figure)
    return '<div class="wide">' + text.getvalue()[text.getvalue().index('<svg'):] + '</div>'


def canvas(title, across, up, height=5.0):
    figure, axes = pyplot.subplots(figsize=(10, height))
    axes.set_title(title)
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    axes.grid(True, which='major', color='#e4e4e4')
    axes.set_axisbelow(True)
    return figure, axes


def legend(axes):
    axes.legend(loc='center left', bbox_to_anchor=(1.0, 0.5), fontsize='small', frameon=False)


def plot_distribution(group):
    """Times over the share of the trips that took longer, both logarithmic."""
    rows = [row for row in measured(group) if 'distribution_us' in row]
    if not rows:
        return ''
    figure, axes = canvas(group['title'], 'share of the round trips that took no longer', 'µs')
    for row in rows:
        points = [(max(1 - share, 1e-6), time) for share, time in row['distribution_us'] if share > 0 and time > 0]
        axes.plot(*zip(*points), label=row['row'], **LOOKS.of(row['row']))
    axes.set_xscale('log')
    axes.set_yscale('log')
    axes.invert_xaxis()
    axes.set_xticks([0.5, 0.1, 0.01, 0.001, 0.0001, 0.00001, 0.000001],
                    ['50 %', '90 %', '99 %', '99.9 %', '99.99 %', '99.999 %', 'all'])
    axes.minorticks_off()
    legend(axes)
    return svg(figure)


def lines(title, across, up, points, ticks):
    """`points`: of each row a list of pairs."""
    figure, axes = canvas(title, across, up)
    for row, pairs in points.items():
        if len(pairs) > 1:
            axes.plot(*zip(*sorted(pairs)), label=row, **LOOKS.of(row))
    axes.set_xscale('log', base=2)
    axes.set_yscale('log')
    axes.set_xticks(*zip(*ticks))
    axes.minorticks_off()
    legend(axes)
    return svg(figure)


def gather(groups, names, scale):
    points = {}
    for name, place in names:
        for row in measured(groups[name]) if name in groups else ():
            points.setdefault(row['row'], []).append((place, row['median'] * scale(place)))
    return {row: pairs for row, pairs in points.items() if len(pairs) > 1}


def plot_sizes(groups):
    names = [(f'one-way-{word}-1to1', size) for word, size in SIZES]
    ticks = [(size, word) for word, size in SIZES]
    bytes_a_second = gather(groups, names, lambda size: size / 1e9)
    if not bytes_a_second:
        return ''
    return lines('One way, 1 → 1', 'bytes of a message', 'GB/s', bytes_a_second, ticks=ticks)


def plot_scaling(groups):
    text = ''
    for title, pattern in (('Many producers, one consumer', r'-(\d+)to1$'), ('One producer, many consumers', r'-1to(\d+)$'),
                           ('As many of each', r'-(\d+)to\1$')):
        names = []
        for name in groups:
            found = re.search(pattern, name)
            if found and (name.startswith('scale-') or name.startswith('one-way-64-')):
                names.append((name, int(found.group(1)) * 2 if 'each' in title else int(found.group(1)) + 1))
        points = gather(groups, names, lambda _: 1e-6)
        if points:
            text += lines(f'One way, 64 bytes: {title.lower()}', 'processes', 'million messages/s', points,
                          ticks=sorted({(place, str(place)) for _, place in names}))
    return text


def plot_growth(groups):
    text = ''
    for name in ('growth-messages', 'growth-objects', 'growth-processes'):
        points = {}
        for row in measured(groups[name]) if name in groups else ():
            kind, count = row['row'].rsplit('-', 1)
            points.setdefault(f'{kind}-', []).append((int(count), row['median'] / 1e3))
        if points:
            figure, axes = canvas(groups[name]['title'], 'how many', 'µs', 4.0)
            for kind, pairs in points.items():
                axes.plot(*zip(*sorted(pairs)), label=kind.rstrip('-'), **LOOKS.of(kind))
            axes.set_xscale('log')
            axes.set_ylim(bottom=0)
            legend(axes)
            text += svg(figure)
    return text


def cell(value, css=''):
    return f'<td class="{css}">{html.escape(str(value))}</td>'


def meets(target, value):
    return value >= target['target'] if target['bound'] == 'at least' else value <= target['target']


def table_of_targets(targets):
    rows = []
    for target in targets:
        if 'skipped' in target:
            result, word, css = target['skipped'], '–', 'note'
        else:
            result, low, high = (with_unit(target, target[name]) for name in ('result', 'low', 'high'))
            result = f'{result} ({low} – {high})'
            word, css = ('met', 'met') if target['met'] else ('missed', 'missed')
            if meets(target, target['low']) != target['met'] or meets(target, target['high']) != target['met']:
                word += '?'
            if target.get('remark'):
                word, css = ('faster' if target['met'] else 'slower'), 'note'
        rows.append('<tr>' + cell(target['what']) + cell(target['row'], 'text') + cell(target['rival'] or '–', 'text') +
                    cell(f"{target['bound']} {with_unit(target, target['target'])}") + cell(result) + cell(word, css) + '</tr>')
    return ('<div class="wide"><table><tr><th>what</th><th class="text">row</th><th class="text">against</th><th>target</th>'
            '<th>result (low–high)</th><th></th></tr>' + ''.join(rows) + '</table></div>')


def table_of_group(group):
    unit, scale = UNITS[group['unit']]
    rows, settings = [], {}
    for row in group['rows']:
        css = 'ours' if is_ours(row['row']) else ''
        if 'settings' in row:
            settings[row['title'].split(',')[0]] = row['settings']
        if 'median' not in row:
            why = row.get('skipped') or row.get('failed') or 'not measured'
            rows.append(f'<tr class="{css}">' + cell(row['row']) + f'<td class="note text" colspan="8">{html.escape(why)}</td></tr>')
            continue
        rows.append(f'<tr class="{css}">' + cell(row['row']) + cell(number(row['median'] * scale)) +
                    cell(f"{number(row['min'] * scale)}–{number(row['max'] * scale)}") +
                    ''.join(cell(number(row[name]) if name in row else '') for name in ('p50_us', 'p99_us', 'p99_9_us', 'max_us')) +
                    cell('+'.join(f'{100 * share:.0f}' for share in row['cpu_share'])) + cell(row['title'], 'text note') + '</tr>')
    note = (f"steal {100 * group['steal']:.1f} %, other processes {100 * group['others']:.1f} %"
            + (': <span class="disturbed">disturbed, compare with care</span>' if group['disturbed'] else ''))
    note += ''.join(f'<br>{html.escape(name)}: {html.escape(text)}' for name, text in settings.items())
    return (f"<details><summary>{html.escape(group['title'])} <span class=note>{html.escape(group['group'])}</span></summary>"
            f'<div class="wide"><table><tr><th>row</th><th>{unit}</th><th>low–high</th><th>p50 µs</th><th>p99</th><th>p99.9</th><th>max</th>'
            f'<th>CPU %</th><th></th></tr>{"".join(rows)}</table></div><p class=note>{note}</p></details>')


def page(data):
    groups = {group['group']: group for group in data['groups']}
    judged = [target for target in data['targets'] if 'met' in target and not target.get('remark')]
    met = sum(target['met'] for target in judged)
    disturbed = sum(group['disturbed'] for group in data['groups'])
    machine = data['machine']
    parts = [
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">',
        f'<title>Tenon: how fast it is here</title><style>{STYLE}</style></head><body><h1>Tenon: how fast it is here</h1>',
        f"<p>{html.escape(machine['cpu'])}, Linux {html.escape(machine['kernel'])}, {html.escape(str(machine['cpus']))} CPUs; "
        f"{data['run_seconds']:.2f} s a repetition. {met} of {len(judged)} targets met. Ours are the thick lines, and in bold. "
        'How it is measured: docs/BENCHMARKS.md.</p>']
    if disturbed:
        parts.append(f'<p class="disturbed">{disturbed} of {len(groups)} groups were disturbed: other processes or the hypervisor took '
                     'more of the CPUs than is allowed. Compare these with care, or measure again on a quiet machine.</p>')
    failed = [f"{group['group']}/{row['row']}: {row['failed']}" for group in data['groups'] for row in group['rows'] if row.get('failed')]
    if failed:
        parts.append(f'<details class="disturbed"><summary>{len(failed)} rows have no figure</summary><ul>'
                     + ''.join(f'<li>{html.escape(line)}</li>' for line in failed) + '</ul></details>')
    for title, text in (('How long a round trip takes', ''.join(plot_distribution(groups[name]) for name in DISTRIBUTIONS
                                                                if name in groups)),
                        ('Throughput over the size of messages', plot_sizes(groups)),
                        ('Throughput over the number of processes', plot_scaling(groups)),
                        ('What is there already does not count', plot_growth(groups)),
                        ('Targets', table_of_targets(data['targets']) if data['targets'] else ''),
                        ('All figures', ''.join(map(table_of_group, data['groups'])))):
        if text:
            parts.append(f'<h2>{title}</h2>{text}')
    return '\n'.join(parts) + '</body></html>\n'


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('json', help='what tenon-bench --json has written')
    parser.add_argument('html', help='the page to be written')
    arguments = parser.parse_args()
    try:
        with open(arguments.json, encoding='utf-8') as file:
            data = json.load(file)
        text = page(data)
        with open(arguments.html, 'w', encoding='utf-8') as file:
            file.write(text)
    # Whatever stands in a file that is not tenon-bench's, or not all of it.
    except (OSError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
        sys.exit(f'bench_report: {arguments.json}: {error!r}')
    print(f'bench_report: {arguments.html} is written; open it with a browser')


if __name__ == '__main__':
    main()
