# tests/bench: its part of the makefile. Measurements, run by hand: `make bench`, or one of them alone.
BENCHES = bench-isolation
EXTRA_DIST += tests/bench/isolation.py

bench: $(BENCHES)

bench-isolation: all
	top_srcdir='$(abs_top_srcdir)' top_builddir='$(abs_top_builddir)' PYTHONDONTWRITEBYTECODE=1 $(PYTHON) $(srcdir)/tests/bench/isolation.py

.PHONY: bench bench-isolation
