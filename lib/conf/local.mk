# lib/conf: its part of the makefile.
