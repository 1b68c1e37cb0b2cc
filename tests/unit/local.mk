# tests/unit: its part of the makefile.
include tests/unit/scan.mk
include tests/unit/http.mk
include tests/unit/sync.mk
include tests/unit/cmd.mk
include tests/unit/workers.mk
include tests/unit/conf.mk
include tests/unit/store.mk
