# SPDX-License-Identifier: Apache-2.0
"""Small trees for the self-test of the check scripts: of each check one that it must accept, and one
for each fault that it must find."""

SPDX = '/* SPDX-License-Identifier: Apache-2.0 */\n'

ATOMIC = '#define tni_load_acquire32(word) (*(word))\n'

RACE = '/*\n * ORD slot-ready: the receiver sees the bytes before the position.\n */\n'
RELEASE = 'void p(int *w) {\n\t/* ORD(slot-ready) */\n\ttni_store_release32(w, 1);\n}\n'
ACQUIRE = 'int g(int *w) {\n\treturn tni_load_acquire32(w); /* ORD(slot-ready) */\n}\n'

FUNCTION = 'int f(void);\nint f(void)\n{\n%s\treturn 0;\n}\n'

MANUAL = '''.Dd January 1, 2026
.Dt SAMPLE 1
.Os
.Sh NAME
.Nm sample
.Nd a page for the self-test
.Sh DESCRIPTION
%s
'''

DECLARED = '''#define TENON_PUBLIC __attribute__((__visibility__("default")))
TENON_PUBLIC int tenon_one(void);
'''

FUNCTIONS = '''.Dd January 1, 2026
.Dt SAMPLE 3
.Os
.Sh NAME
.Nm %s
.Nd a page for the self-test
.Sh SYNOPSIS
.In sample.h
.Ft int
.Fn %s void
.Sh DESCRIPTION
.Fn %s
does nothing.
'''

LINKS = "man_functions = {\n  'sample.3': [\n    '%s',\n  ],\n}\n"

# Check, name of the sample, what its report must contain (None: no fault), files.
SAMPLES = (
    ('layering', 'includes run down', None, {
        'include/tenon/a.h': '#include <stdint.h>\n',
        'src/abi/atomic.h': '#define RELAXED memory_order_relaxed\n',
        'src/core/b.h': '#include "abi/atomic.h"\n#include <tenon/a.h>\n',
        'src/object/c.c': '/* memory_order, #include "cli/d.h" */\n#include "core/b.h"\n',
        'src/cli/d.h': '#include "object/c.c"\nint order = __ATOMIC_RELAXED;\n',
        'src/core/e_test.c': '#include "../../test/f.h"\n', 'test/f.h': ''}),
    ('layering', 'core includes object', 'include of src/object/b.h runs up', {
        'src/core/a.c': '#include "object/b.h"\n', 'src/object/b.h': ''}),
    ('layering', 'relative path upwards', 'include of src/cli/b.h runs up', {
        'src/core/a.c': '#include "../cli/b.h"\n', 'src/cli/b.h': ''}),
    ('layering', 'a face includes a face', 'include of src/sysv/b.h runs sideways', {
        'src/posix/a.c': '#include "sysv/b.h"\n', 'src/sysv/b.h': ''}),
    ('layering', 'public header includes internal', 'include of src/abi/b.h runs up', {
        'include/tenon/a.h': '#include "abi/b.h"\n', 'src/abi/b.h': ''}),
    ('layering', 'include that is nowhere', '"gone.h" is not found', {
        'src/core/a.c': '#include "gone.h"\n'}),
    ('layering', 'folder without a floor', 'stands on no floor', {
        'src/attic/a.c': '\n'}),
    ('layering', 'memory order outside atomic.h', 'memory_order_seq_cst is named', {
        'src/core/a.c': 'int order = memory_order_seq_cst;\n'}),
    ('layering', 'memory order of the compiler', '__ATOMIC_RELAXED is named', {
        'src/object/a.c': 'int order = __ATOMIC_RELAXED;\n'}),

    ('ordering', 'a label with both ends', None, {
        'src/abi/atomic.h': ATOMIC,
        'src/core/a.h': '#ifndef A_H\n#define A_H\n' + RACE + '#endif\n',
        'src/core/a.c': RELEASE + ACQUIRE}),
    ('ordering', 'one end only', 'ORD(slot-ready) stands at one end only', {
        'src/core/a.c': RACE + RELEASE}),
    ('ordering', 'a mention at the head is no end', 'stands at one end only', {
        'src/core/a.c': RACE + '/* See ORD(slot-ready). */\n' + RELEASE}),
    ('ordering', 'no paragraph', 'ORD(slot-ready) has no paragraph', {
        'src/core/a.c': RELEASE + ACQUIRE}),
    ('ordering', 'paragraph not at the head', 'ORD(slot-ready) has no paragraph', {
        'src/core/a.c': RELEASE + RACE + ACQUIRE}),
    ('ordering', 'two paragraphs', 'has more than one paragraph', {
        'src/core/a.c': RACE + RELEASE, 'src/core/b.c': RACE + ACQUIRE}),
    ('ordering', 'paragraph without a use', 'is not referred to by any code', {
        'src/core/a.c': RACE}),
    ('ordering', 'accessor without a label', 'tni_store_release32 without ORD(label)', {
        'src/core/a.c': RACE + RELEASE + ACQUIRE + 'void q(int *w)\n{\n\tint i = 0;\n\n'
                        '\ti++;\n\ttni_store_release32(w, i);\n}\n'}),

    ('headers', 'headers that stand alone', None, {
        'include/tenon/a.h': '#ifndef A\n#define A\n#include <stdint.h>\nuint8_t a(void);\n#endif\n',
        'src/core/b.h': '#ifndef B\n#define B\n#include "tenon/a.h"\nuint8_t b(void);\n#endif\n'}),
    ('headers', 'public header lacks an include', 'a.h alone', {
        'include/tenon/a.h': 'uint8_t a(void);\n'}),
    ('headers', 'internal header lacks an include', 'b.h alone', {
        'src/core/b.h': 'uint8_t b(void);\n'}),
    ('headers', 'public header is not C99', '-std=c99', {
        'include/tenon/a.h': '#ifndef A\n#define A\n_Static_assert(1, "C11");\n#endif\n'}),
    ('headers', 'public header is not C++', '-std=c++17', {
        'include/tenon/a.h': '#ifndef A\n#define A\nint a(int class);\n#endif\n'}),
    ('headers', 'no include guard', 'a.h alone', {
        'include/tenon/a.h': 'struct a {\n\tint b;\n};\n'}),

    ('format', 'formatted', None, {
        'src/core/a.c': SPDX + FUNCTION % ''}),
    ('format', 'indented by spaces', 'src/core/a.c:4: is not formatted', {
        'src/core/a.c': SPDX + FUNCTION.replace('\t', '    ') % ''}),
    ('format', 'brace of a function at its line', 'is not formatted', {
        'test/a.c': SPDX + 'int f(void) {\n\treturn 0;\n}\n'}),

    ('limits', 'as long as allowed', None, {
        'src/core/a.c': SPDX + FUNCTION % ('\tg();\n' * 99),
        'src/core/b.c': SPDX + '\n' * 599}),
    ('limits', 'comment as wide as allowed, and a wide table', None, {
        'src/core/a.h': SPDX + '\t/* ' + 'a' * 86 + ' */\n/*\n * a\t\t' + 'b' * 100 + '\n */\n'}),
    ('limits', 'wide comment', 'src/core/a.h:2: comment of 101 columns', {
        'src/core/a.h': SPDX + '\t/* ' + 'a' * 87 + ' */\n'}),
    ('limits', 'long function', 'function of 101 lines', {
        'src/core/a.c': SPDX + FUNCTION % ('\tg();\n' * 100)}),
    ('limits', 'long file', 'has 601 lines', {
        'src/core/a.c': SPDX + '\n' * 600}),
    ('limits', 'no licence', 'does not begin with SPDX', {
        'src/core/a.c': '\n' + SPDX}),

    ('manuals', 'sound page', None, {
        'man/sample.1': MANUAL % 'It does nothing.'}),
    ('manuals', 'unknown macro', 'unknown macro', {
        'man/sample.1': MANUAL % '.Xyzzy'}),
    ('manuals', 'no page', 'holds no manual page', {}),
    ('manuals', 'a function with its page', None, {
        'include/tenon/a.h': DECLARED, 'man/meson.build': LINKS % 'tenon_one',
        'man/sample.3': FUNCTIONS % ('tenon_one', 'tenon_one', 'tenon_one')}),
    ('manuals', 'a function without a page', 'tenon_one has no manual page', {
        'include/tenon/a.h': DECLARED, 'man/sample.1': MANUAL % 'It does nothing.'}),
    ('manuals', 'a function that is not declared', 'SYNOPSIS does not have tenon_one', {
        'include/tenon/a.h': DECLARED, 'man/meson.build': LINKS % 'tenon_one',
        'man/sample.3': FUNCTIONS % ('tenon_one', 'other', 'tenon_one')}),
    ('manuals', 'a function that is not described', 'DESCRIPTION does not have tenon_one', {
        'include/tenon/a.h': DECLARED, 'man/meson.build': LINKS % 'tenon_one',
        'man/sample.3': FUNCTIONS % ('tenon_one', 'tenon_one', 'other')}),
    ('manuals', 'a function that is not found by its name', 'does not install sample.3 as tenon_one.3',
     {'include/tenon/a.h': DECLARED,
      'man/sample.3': FUNCTIONS % ('tenon_one', 'tenon_one', 'tenon_one')}),
    ('manuals', 'a page about what is gone', 'names tenon_gone, which no public header declares', {
        'man/sample.3': FUNCTIONS % ('tenon_gone', 'tenon_gone', 'tenon_gone')}),
    ('manuals', 'a link to what is gone', 'links tenon_gone, which no public header declares', {
        'include/tenon/a.h': DECLARED, 'man/meson.build': LINKS % "tenon_one',\n    'tenon_gone",
        'man/sample.3': FUNCTIONS % ('tenon_one', 'tenon_one', 'tenon_one')}),
)

HEADER = '''#define TENON_PUBLIC __attribute__((__visibility__("default")))
/* TENON_PUBLIC int tenon_in_a_comment(void); */
TENON_PUBLIC int tenon_one(int (*visit)(void *context), void *context);
TENON_PUBLIC const char *tenon_two(
	void);
'''

# Name of the sample, what the report must contain, source of a library that declares HEADER.
LIBRARIES = (
    ('what is declared', None,
     'int tenon_one(void) { return 0; }\nint tenon_two(void) { return 0; }\n'),
    ('symbol is missing', 'tenon_two is declared but',
     'int tenon_one(void) { return 0; }\n'),
    ('symbol too many', 'exports tenon_three, which no public header declares',
     'int tenon_one(void) { return 0; }\nint tenon_two(void) { return 0; }\nint tenon_three;\n'),
    ('internal symbol', 'exports tni_four, which does not begin with tenon_',
     'int tenon_one(void) { return 0; }\nint tenon_two(void) { return 0; }\nint tni_four;\n'),
)

# What check_security takes for the tests of a build, and the source of one of them.
TESTS = (('attacks', 'attacks.c'), ('queue-random-fifo', 'random.c'))
CASES = '''static void stopped_sleeper(void)
{
}
const char *names[] = {"a ring, received", "one that is "
	"in two pieces; and more"};
'''

# Name of the sample, what the report must contain, docs/SECURITY.md, README.md.
PROMISES = (
    ('promises with their tests', None,
     '- It ends (`attacks`: *a ring, received*, *one that is in two pieces*,\n  *stopped sleeper*).\n'
     '- So does this; `SIGBUS` (`queue-random-*`).\n- This is shown by no test, because it cannot be.\n',
     '| promise | tested by |\n|---|---|\n| it has the result of `find` | `attacks` |\n'),
    ('a test that does not exist', 'there is no test `atacks`', '- It ends (`atacks`).\n', ''),
    ('tests that do not exist', 'there is no test `queue-kill-*`', '- It ends (`queue-kill-*`).\n', ''),
    ('a case that does not exist', 'has no case *a ring, sent*', '- It (`attacks`: *a ring, sent*).\n',
     ''),
    ('a part of a case', 'has no case *ring*', '- It ends (`attacks`: *ring*).\n', ''),
    ('a case without a test', 'stands behind no test', '- It ends (*a ring, received*, `attacks`).\n', ''),
    ('a point without a test', 'SECURITY.md:2: names no test', '- Ends (`attacks`).\n- Never fails.\n',
     ''),
    ('a row without a test', 'SECURITY.md:3: names no test', '| a | b |\n|---|---|\n| may | never |\n',
     ''),
    ('a file that does not exist', 'there is no test/gone', '- It ends (`attacks`, `test/gone`).\n', ''),
    ('a target that does not exist', 'there is no `make fuss`', '- It ends (`attacks`, `make fuss`).\n',
     ''),
    ('a promise of README.md', 'README.md:3: there is no test `atacks`', '- Ends (`attacks`).\n',
     '| promise | tested by |\n|---|---|\n| it ends | `atacks` |\n'),
)
