# cmd/orgsync: its part of the makefile.
