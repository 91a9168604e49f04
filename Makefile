# SPDX-License-Identifier: Apache-2.0
#
# What people type; Meson does the work.
#
#	make            build/tenon, build/libtenon.so, build/libtenon.a
#	make demo       installs what is missing, builds, and runs the main job (DEMO_DIR=/a/folder,
#	                DEMO=--help)
#	make check      installs what is missing, and runs every test (CHECK="gcc asan" chooses)
#	make bench      measures against the kernel's own IPC (BENCH=--help)
#	make soak       the tests that take hours
#	make install    PREFIX=/usr/local DESTDIR=
#	make format     formats the C sources
#	make clean

BUILD = build
MESON = meson
NINJA = ninja
BENCH =
CHECK =
DEMO =
DESTDIR =

all: $(BUILD)/build.ninja
	@$(NINJA) -C $(BUILD)

$(BUILD)/build.ninja:
	@$(MESON) setup $(BUILD) $(if $(PREFIX),--prefix=$(PREFIX)) || \
		{ echo 'make: scripts/setup installs what a build needs' >&2; exit 1; }

demo:
	@scripts/setup demo
	@$(MAKE) --no-print-directory all
	@examples/demo/run $(BUILD) $(DEMO)

check:
	@scripts/setup check
	@scripts/check $(CHECK)

bench: all
	@$(BUILD)/bench/tenon-bench $(BENCH)

soak:
	@scripts/setup check
	@scripts/check soak

install: all
	$(if $(PREFIX),$(MESON) configure $(BUILD) -Dprefix=$(PREFIX))
	DESTDIR=$(DESTDIR) $(MESON) install -C $(BUILD)
	@[ -n "$(DESTDIR)" ] || [ "$$(id -u)" -ne 0 ] || ldconfig

format:
	@scripts/check_format.py --fix .

clean:
	rm -rf $(BUILD) build-check

.PHONY: all demo check bench soak install format clean
