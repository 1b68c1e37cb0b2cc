# tests/unit: its part of the makefile.
