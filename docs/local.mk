# docs: its part of the makefile.
dist_man_MANS += docs/orgsync.yaml.5
