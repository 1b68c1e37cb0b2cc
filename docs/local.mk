# docs: its part of the makefile.
dist_doc_DATA += docs/ATLAS.md
