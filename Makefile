# SPDX-License-Identifier: Apache-2.0
#
# What people type; Meson does the work.
#
#	make            build/tenon, build/libtenon.so, build/libtenon.a, examples and benchmark; no tests
#	make demo       installs what is missing, builds, and runs the main job (DEMO_DIR=/a/folder,
#	                DEMO=--help)
#	make check      installs what is missing, and runs every test (CHECK="gcc asan" chooses)
#	make bench      measures against the kernel's own IPC, and against libraries that are there
#	                (scripts/setup bench installs them; BENCH=--help)
#	make bench-quick  the same within two minutes
#	make bench-html BENCH=--quick  and a page with plots, $(BUILD)/bench.html, for a browser
#	make soak       mixed load with kills for as many hours as SOAK_HOURS=1 says, and whether memory,
#	                descriptors and /dev/shm stay flat; then 200,000 random kills of each kind of object by
#	                itself; then so many hours of everything else
#	make soak-load  only the first of these (it takes SOAK_HOURS=0.1 to tell what is flat), and
#	                soak-kills, soak-hours only the others
#	make soak-all   every instruction of every scenario, every value of every word: days
#	make fuzz       fuzzes opened files and each operation (FUZZ_SECONDS=60 for each target)
#	make coverage   what of the library the hostile tests reach (COVERAGE=--all: all tests)
#	make install    PREFIX=/usr/local DESTDIR=
#	make format     formats the C sources
#	make clean

BUILD = build
MESON = meson
NINJA = ninja
BENCH =
CHECK =
COVERAGE =
DEMO =
DESTDIR =
FUZZ_SECONDS = 60
SOAK_HOURS = 1

all: $(BUILD)/build.ninja
	@$(NINJA) -C $(BUILD) product

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

bench-quick: all
	@$(BUILD)/bench/tenon-bench --quick $(BENCH)

# A row that failed is in the page, too.
bench-html: all
	@$(BUILD)/bench/tenon-bench --json $(BUILD)/bench.json $(BENCH); status=$$?; \
		scripts/bench_report.py $(BUILD)/bench.json $(BUILD)/bench.html && exit $$status

soak soak-load soak-kills soak-hours soak-all:
	@scripts/setup check
	@SOAK_HOURS=$(SOAK_HOURS) scripts/check $@

fuzz:
	@scripts/setup check
	@test/hostile/fuzz $(FUZZ_SECONDS)

coverage:
	@scripts/setup check
	@scripts/coverage $(COVERAGE)

install: all
	$(if $(PREFIX),$(MESON) configure $(BUILD) -Dprefix=$(PREFIX) && $(NINJA) -C $(BUILD) product)
	DESTDIR=$(DESTDIR) $(MESON) install --no-rebuild -C $(BUILD)
	@[ -n "$(DESTDIR)" ] || [ "$$(id -u)" -ne 0 ] || ldconfig

format:
	@scripts/check_format.py --fix .

clean:
	rm -rf $(BUILD) build-check

.PHONY: all demo check bench bench-quick bench-html soak soak-load soak-kills soak-hours soak-all fuzz coverage install format clean
