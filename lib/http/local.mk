# lib/http: its part of the makefile.
