# lib/store: its part of the makefile.
