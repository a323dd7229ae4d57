# Restante's front door; Meson and ninja do the work.
#
#   make            the release build, in build/
#   make demo       a server with mail in it, on this machine, until Ctrl-C (ONCE=1: ends by itself)
#   make check      every test and gate, on a build with address and undefined-behaviour sanitizers
#   make install    DESTDIR=… PREFIX=/usr/local SYSCONFDIR=/etc
#   make fuzz       the fuzz targets, FUZZ_SECONDS each (clang)
#   make bench      the server beside Dovecot, Courier and the floor of the machine; writes bench/RESULTS.md
#   make bench-client   the client beside mpop, fetchmail, getmail and fdm; writes bench/CLIENT.md
#   make lint       the gates, and clang-tidy and cppcheck where installed
#   make format     clang-format over src/, tests/ and bench/
#   make clean
#
# demo and check install what is missing from Debian packages (scripts/install-deps).

BUILD        ?= build
CHECK        ?= $(BUILD)/check
FUZZ         ?= $(BUILD)/fuzz
PREFIX       ?= /usr/local
SYSCONFDIR   ?= /etc
DESTDIR      ?=
ONCE         ?=
FUZZ_SECONDS ?= 60
ROUNDS       ?= 5
BENCH        ?=
TIDY          = -*,bugprone-*,-bugprone-easily-swappable-parameters,-bugprone-reserved-identifier,clang-analyzer-*,$\
                -clang-analyzer-security.insecureAPI.DeprecatedOrUnsafeBufferHandling
SETUP         = meson setup --prefix $(PREFIX) --sysconfdir $(SYSCONFDIR)

all: $(BUILD)/build.ninja
	ninja -C $(BUILD)

$(BUILD)/build.ninja:
	$(SETUP) --buildtype release -Dtests=false $(BUILD)

$(CHECK)/build.ninja:
	$(SETUP) -Db_sanitize=address,undefined -Dtests=true $(CHECK)

$(FUZZ)/build.ninja:
	CC=clang $(SETUP) -Db_sanitize=address,undefined -Dtests=true -Dfuzz=true $(FUZZ)

deps-build:
	scripts/install-deps build

deps-test:
	scripts/install-deps build test

# The demo needs curl and openssl besides the build's packages; they are among those of the tests.
demo: deps-build
	@command -v curl >/dev/null && command -v openssl >/dev/null || scripts/install-deps test
	@$(MAKE) --no-print-directory all
	@scripts/demo --build $(BUILD) $(if $(ONCE),--once)

check: deps-test
	@$(MAKE) --no-print-directory $(CHECK)/build.ninja
	ninja -C $(CHECK)
	scripts/run-tests $(CHECK)

gates: deps-test
	@$(MAKE) --no-print-directory $(CHECK)/build.ninja
	ninja -C $(CHECK)
	scripts/check-gates $(CHECK)

lint: gates
	@if command -v clang-tidy >/dev/null; then \
	    clang-tidy --quiet -p $(CHECK) --checks='$(TIDY)' --extra-arg=-ftrivial-auto-var-init=uninitialized \
	        $$(git ls-files 'src/*.c'); else echo "clang-tidy: not installed"; fi
	@if command -v cppcheck >/dev/null; then \
	    cppcheck --quiet --std=c11 --enable=warning,portability --inline-suppr --error-exitcode=1 \
	        -D_GNU_SOURCE -Isrc $$(git ls-files 'src/*.c'); else echo "cppcheck: not installed"; fi

fuzz: deps-test
	@$(MAKE) --no-print-directory $(FUZZ)/build.ninja
	ninja -C $(FUZZ)
	@for target in $(FUZZ)/tests/fuzz/fuzz_*; do \
	    [ -f $$target ] && [ -x $$target ] || continue; \
	    echo "$$target: $(FUZZ_SECONDS) s"; \
	    $$target -max_total_time=$(FUZZ_SECONDS) -print_final_stats=0 || exit 1; done

# BENCH: more options, such as --quick or --only poll,storm (bench/server_bench.py --help)
bench: deps-build
	@scripts/install-deps bench
	@$(MAKE) --no-print-directory all
	bench/server_bench.py --build $(BUILD) --rounds $(ROUNDS) --write bench/RESULTS.md $(BENCH)

bench-client: deps-test
	@$(MAKE) --no-print-directory all
	bench/client_bench.py --build $(BUILD) --rounds $(ROUNDS) --write bench/CLIENT.md

install: $(BUILD)/build.ninja
	meson configure $(BUILD) --prefix $(PREFIX) --sysconfdir $(SYSCONFDIR)
	DESTDIR=$(DESTDIR) meson install -C $(BUILD)

format:
	clang-format -i $$(git ls-files 'src/*.[ch]' 'tests/*.[ch]' 'bench/*.[ch]')

clean:
	rm -rf $(BUILD)

.PHONY: all demo check gates lint fuzz bench bench-client install format clean deps-build deps-test
