# tests/unit: its part of the makefile.
include tests/unit/conf.mk
