# tests/tools: its part of the makefile. What looks for faults beside `make check`; README.md says when to use which.
EXTRA_DIST += .clang-tidy tests/tools/README.md tests/tools/each.sh tests/tools/coverage.py tests/tools/cases.py \
	tests/tools/valgrind.supp tests/tools/under_valgrind.py tests/support/cases.h

# What a compiler is told when it only looks.
LOOK_FLAGS = -DHAVE_CONFIG_H -std=c11 -I$(abs_top_builddir) -I$(abs_top_srcdir) -D_GNU_SOURCE -pthread \
	-DORGSYNC_VERSION="$(PACKAGE_VERSION)" $(LIBORGSYNC_CFLAGS) $(MHD_CFLAGS)
LOOK = cd $(srcdir) && FLAGS='$(LOOK_FLAGS)' CC='$(CC)' $(SHELL) tests/tools/each.sh

tidy:
	$(LOOK) tidy $(FILES)

analyze:
	$(LOOK) analyze $(FILES)

coverage:
	@test -n '$(COV_CFLAGS)' || { echo 'this tree was not configured with --enable-coverage'; exit 1; }
	@test -n "`find lib workers -name '*.gcda' | head -n 1`" || $(MAKE) $(AM_MAKEFLAGS) check
	$(PYTHON) $(srcdir)/tests/tools/coverage.py $(COVERAGE_OPTIONS) $(abs_top_srcdir) $(abs_top_builddir)

# What was noted so far is forgotten: after a change of the sources.
coverage-reset:
	find . -name '*.gcda' -exec rm -f {} +

# Errors in a test's own process and in what it forks; leaks are those that nothing points at any more. The tests that
# could play any number of cases play a part of them.
MEMCHECK = valgrind -q --error-exitcode=99 --leak-check=full --show-leak-kinds=definite,indirect \
	--errors-for-leak-kinds=definite,indirect --child-silent-after-fork=no --num-callers=30 --fair-sched=yes \
	--suppressions=$(abs_top_srcdir)/tests/tools/valgrind.supp
# Left out: test_store_crash, which forks and copies files thousands of times; ASan looks at that.
MEMCHECK_QUICK = tests/tools/under_valgrind.py
if HAVE_CHECK
MEMCHECK_QUICK += tests/unit/test_buf tests/unit/test_err tests/unit/test_file tests/unit/test_log \
	tests/unit/test_page tests/unit/test_record tests/unit/test_classify tests/unit/test_conf_select
endif

check-valgrind:
	@tests='$(MEMCHECK_TESTS)'; \
	test -n "$$tests" || for test in $(check_PROGRAMS) tests/tools/under_valgrind.py; do \
		case $$test in \
		tests/unit/test_store_crash) ;; \
		tests/unit/* | tests/tools/*) tests="$$tests $$test" ;; \
		esac; \
	done; \
	ORGSYNC_TEST_PART=$${ORGSYNC_TEST_PART-20} MEMCHECK='$(MEMCHECK)' CK_TIMEOUT_MULTIPLIER=60 \
		$(MAKE) $(AM_MAKEFLAGS) check TESTS="$$tests" LOG_COMPILER='$(MEMCHECK)'

check-valgrind-quick:
	$(MAKE) $(AM_MAKEFLAGS) check-valgrind MEMCHECK_TESTS='$(MEMCHECK_QUICK)'

# Everything in its long form; the numbers of cases are printed in between, because what follows writes its own logs.
check-long:
	ORGSYNC_TEST_LONG=1 $(MAKE) $(AM_MAKEFLAGS) check
	$(PYTHON) $(srcdir)/tests/tools/cases.py --lines .
	$(MAKE) $(AM_MAKEFLAGS) check-valgrind
	$(MAKE) $(AM_MAKEFLAGS) tidy analyze

clean-local:
	find . \( -name '*.gcda' -o -name '*.gcno' \) -exec rm -f {} +

.PHONY: tidy analyze coverage coverage-reset check-valgrind check-valgrind-quick check-long
